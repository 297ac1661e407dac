/**
 * Changes of the configuration, as arithmetic (§6).
 *
 * Whoever decides changes in two steps: a joint configuration first, in which old and new voters
 * must agree, and when that is committed the new one alone. A change of learners is one step.
 */
import { inOrder, isJoint, isStaying, isVoter, MEMBERS_MAX, memberOf } from "./membership.ts";
import type { Configuration, Index, Member, NodeId } from "./types.ts";

/** One wish. Several together are one change: all or none of them. */
export type MemberChange =
  /** A new learner, or one that was announced and now says which data directory it has. */
  | {
      readonly type: "add";
      readonly id: NodeId;
      readonly peerUrl: string;
      /** Empty: whichever is heard first. */
      readonly incarnation: string;
      /** Whether it becomes a voter by itself, when it has caught up. */
      readonly isJoining: boolean;
    }
  | { readonly type: "promote"; readonly id: NodeId }
  /** A voter becomes a learner. */
  | { readonly type: "demote"; readonly id: NodeId }
  | { readonly type: "remove"; readonly id: NodeId }
  /** Where the others reach it from now on. */
  | { readonly type: "move"; readonly id: NodeId; readonly peerUrl: string };

/** Why a change makes no sense, whatever state the cluster is in. `id`: the first that is wrong. */
export interface ChangeProblem {
  readonly problem:
    | "exists"
    | "url_taken"
    | "unknown"
    | "not_learner"
    | "not_voter"
    | "named_twice"
    | "no_voters"
    | "too_many";
  readonly id: NodeId | null;
}

/**
 * The configuration that comes of the changes, when they are through. `at`: which entry it will
 * be. `config` must not be joint.
 */
export function configurationAfter(
  config: Configuration,
  changes: readonly MemberChange[],
  at: Index,
): Configuration | ChangeProblem {
  const twice = changes.find(({ id }, place) => changes.findIndex((c) => c.id === id) !== place);
  if (twice !== undefined) return { problem: "named_twice", id: twice.id };
  let next = config;
  for (const change of changes) {
    const result = changed(next, change, at);
    if ("problem" in result) return result;
    next = result;
  }
  if (next.voters.length === 0) return { problem: "no_voters", id: null };
  // On the way there are more of them: those who leave stay until the change is through.
  const most = firstStep(config, next).members.length;
  if (most > MEMBERS_MAX) return { problem: "too_many", id: null };
  return next;
}

/** What to enter the log first on the way from one to the other: `target`, or a joint one. */
export function firstStep(config: Configuration, target: Configuration): Configuration {
  const isSame = config.voters.join() === target.voters.join();
  if (isSame) return target;
  // A learner that leaves decides nothing, and is gone at once.
  const isGone = ({ id }: Member) => memberOf(target, id) === undefined;
  const gone = config.members.filter((member) => isVoter(config, member.id) && isGone(member));
  return {
    ...target,
    outgoing: config.voters,
    members: inOrder([...target.members, ...gone]),
  };
}

/** What to enter the log when the joint configuration is committed. */
export function lastStep(config: Configuration): Configuration {
  const { voters, learners, members } = config;
  const staying = members.filter(({ id }) => isStaying(config, id));
  return { voters, outgoing: [], learners, members: staying };
}

/** Whether everyone is where the change wants them already, so that there is nothing to do. */
export function isDone(config: Configuration, change: MemberChange): boolean {
  if (isJoint(config)) return false;
  const member = memberOf(config, change.id);
  switch (change.type) {
    case "add":
      return member !== undefined && isAddedBy(config, member, change);
    case "promote":
      return config.voters.includes(change.id);
    case "demote":
      return config.learners.includes(change.id);
    case "remove":
      return false;
    case "move":
      return member?.peerUrl === change.peerUrl;
  }
}

function isAddedBy(
  config: Configuration,
  member: Member,
  { peerUrl, incarnation, isJoining }: Extract<MemberChange, { type: "add" }>,
): boolean {
  if (member.peerUrl !== peerUrl || member.incarnation !== incarnation) return false;
  // Without a data directory it can only have been announced, and to be the same.
  const isAnnounced = member.since > 0 && config.learners.includes(member.id);
  return incarnation !== "" || (isAnnounced && member.isJoining === isJoining);
}

function changed(
  config: Configuration,
  change: MemberChange,
  at: Index,
): Configuration | ChangeProblem {
  const { id } = change;
  const member = memberOf(config, id);
  if (change.type === "add") return added(config, change, at);
  if (member === undefined) return { problem: "unknown", id };
  const isLearner = config.learners.includes(id);
  switch (change.type) {
    case "promote":
      if (!isLearner) return { problem: "not_learner", id };
      return {
        ...withMember(config, { ...member, isJoining: false }),
        voters: [...config.voters, id].sort(),
        learners: without(config.learners, id),
      };
    case "demote":
      if (isLearner) return { problem: "not_voter", id };
      return {
        ...config,
        voters: without(config.voters, id),
        learners: [...config.learners, id].sort(),
      };
    case "remove":
      return {
        ...config,
        voters: without(config.voters, id),
        learners: without(config.learners, id),
        members: config.members.filter((other) => other.id !== id),
      };
    case "move":
      if (isTaken(config, change)) return { problem: "url_taken", id };
      return withMember(config, { ...member, peerUrl: change.peerUrl });
  }
}

/** A name that is announced, without a data directory, can be claimed once. */
function added(
  config: Configuration,
  change: Extract<MemberChange, { type: "add" }>,
  at: Index,
): Configuration | ChangeProblem {
  const { id, peerUrl, incarnation, isJoining } = change;
  const member = memberOf(config, id);
  const isAnnounced =
    member?.incarnation === "" &&
    member.since > 0 &&
    incarnation !== "" &&
    config.learners.includes(id) &&
    member.peerUrl === peerUrl;
  if (member !== undefined && !isAnnounced) return { problem: "exists", id };
  if (isTaken(config, change)) return { problem: "url_taken", id };
  // Whoever has announced it has said what it is to be.
  const joins = member?.isJoining ?? isJoining;
  const next = withMember(config, { id, peerUrl, incarnation, since: at, isJoining: joins });
  return { ...next, learners: [...without(config.learners, id), id].sort() };
}

function isTaken(config: Configuration, { id, peerUrl }: { id: NodeId; peerUrl: string }): boolean {
  if (peerUrl === "") return false;
  return config.members.some((other) => other.id !== id && other.peerUrl === peerUrl);
}

function withMember(config: Configuration, member: Member): Configuration {
  const others = config.members.filter(({ id }) => id !== member.id);
  return { ...config, members: inOrder([...others, member]) };
}

function without(ids: readonly NodeId[], id: NodeId): readonly NodeId[] {
  return ids.filter((other) => other !== id);
}
