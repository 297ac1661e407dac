/** The leader's part in a change of the configuration: begins it, ends it, and lets nodes join. */
import type { MemberChange } from "./change.ts";
import { type ChangeProblem, configurationAfter, firstStep, isDone, lastStep } from "./change.ts";
import type { Core, Role } from "./core.ts";
import { encodeConfiguration, isJoint, isStaying, isVoter, memberOf } from "./membership.ts";
import { Progress } from "./progress.ts";
import { majority } from "./quorum.ts";
import { handOver } from "./transfer.ts";
import {
  asIndex,
  type Configuration,
  type Index,
  type Millis,
  type NodeId,
  type Position,
} from "./types.ts";

type Leader = Extract<Role, { kind: "leader" }>;

/**
 * Why nothing was entered into the log.
 * - `not_ready`: this leader has yet to commit an entry of its own (M1); soon.
 * - `in_progress`: another change is under way (M2).
 * - `behind`: these have to be here, and to catch up, before they can vote (M9).
 * - `unsafe`: too few of the voters that there would be are here; these are not.
 */
export type ChangeRefusal =
  | { readonly refused: "not_leader" }
  | { readonly refused: "not_ready" }
  | { readonly refused: "in_progress" }
  | { readonly refused: "behind" | "unsafe"; readonly ids: readonly NodeId[] }
  | ({ readonly refused: "problem" } & ChangeProblem);

/**
 * Which entry begins the change. It is committed there, or lost with its leader: then the entry at
 * that index is of another term. Where there is nothing to do, the newest entry that is committed,
 * by which all is as it is wanted: that one cannot be lost.
 */
export type ChangeTaken = Position;

/** Enters the changes into the log, all or none. What is refused leaves no trace. */
export function changeMembers(
  core: Core,
  changes: readonly MemberChange[],
): ChangeTaken | ChangeRefusal {
  const { role, configuration, log, term } = core;
  if (role.kind !== "leader" || role.transfer !== null) return { refused: "not_leader" };
  if (!hasCommittedOwn(core)) return { refused: "not_ready" };
  if (!isSettled(core)) return { refused: "in_progress" };
  if (changes.every((change) => isDone(configuration, change))) {
    return { index: log.committed, term };
  }
  const at = asIndex(log.lastIndex + 1);
  const target = configurationAfter(configuration, changes, at);
  if ("problem" in target) return { refused: "problem", ...target };
  const refusal = dangerOf(core, role, target);
  if (refusal !== null) return refusal;
  enter(core, role, firstStep(configuration, target));
  return { index: at, term };
}

/** What has become possible: the second step of a change, a promotion, the end of leading. */
export function reconfigureDrain(core: Core, leader: Leader): void {
  if (core.configurations.index > core.log.committed || !hasCommittedOwn(core)) return;
  if (isJoint(core.configuration)) {
    if (!mayPart(core, leader)) return;
    leader.partingUntil = null;
    return enter(core, leader, lastStep(core.configuration));
  }
  // §6: a leader that is not in the new configuration leads until that is committed.
  if (!isVoter(core.configuration, core.id)) return handOver(core, leader);
  if (leader.transfer === null) promoteJoined(core, leader);
}

/**
 * Whoever leaves gets nothing any more from the last step on. So that waits for them to be told of
 * what their own clients wrote, for an election timeout at most.
 */
function mayPart(core: Core, leader: Leader): boolean {
  leader.partingUntil ??= (core.now + core.options.electionMs) as Millis;
  if (core.now >= leader.partingUntil) return true;
  const { configuration } = core;
  return configuration.members.every(({ id }) => {
    const progress = leader.progress.get(id);
    const isDone = progress === undefined || progress.commitTold >= progress.commitAwaited;
    return isDone || isStaying(configuration, id);
  });
}

/** Notes who keeps up with the log. */
export function onMembersTick(core: Core, leader: Leader): void {
  const { electionMs } = core.options;
  for (const progress of leader.progress.values()) {
    progress.noteRound(core.log.lastIndex, core.now, electionMs);
  }
}

/**
 * Learners that are to be voters become such when they keep up, all that do together. What is
 * refused is left at that: the next drain tries again.
 */
function promoteJoined(core: Core, leader: Leader): void {
  const joined = core.configuration.members.filter(
    ({ id, isJoining }) => isJoining && isPresent(core, leader, id) && keepsUp(leader, id),
  );
  if (joined.length === 0) return;
  changeMembers(
    core,
    joined.map(({ id }) => ({ type: "promote", id })),
  );
}

function enter(core: Core, leader: Leader, configuration: Configuration): void {
  const previous = core.configuration;
  core.appendNew("config", encodeConfiguration(configuration));
  // In force from here on (§6), so it decides who is replicated to.
  const before = new Map(leader.progress);
  leader.progress.clear();
  for (const { id, since } of core.configuration.members) {
    if (id === core.id) continue;
    // What is known of a name says nothing of its next life, which has a log of its own (M8).
    const isSameLife = memberOf(previous, id)?.since === since;
    const known = isSameLife ? before.get(id) : undefined;
    const next = asIndex(core.log.lastIndex + 1);
    leader.progress.set(id, known ?? new Progress(next, core.now));
  }
}

function isSettled({ configuration, configurations, log }: Core): boolean {
  return !isJoint(configuration) && configurations.index <= log.committed;
}

/** Without that, an entry of an earlier leader may yet be committed in this one's place (M1). */
export function hasCommittedOwn({ log, term }: Core): boolean {
  return log.termAt(log.committed) === term;
}

/** Whether the cluster could go on deciding when the change is through. Null: it could. */
function dangerOf(core: Core, leader: Leader, target: Configuration): ChangeRefusal | null {
  const { configuration } = core;
  const isNew = (id: NodeId) => !configuration.voters.includes(id);
  const isReady = (id: NodeId) => keepsUp(leader, id) && isPresent(core, leader, id);
  const behind = target.voters.filter((id) => isNew(id) && !isReady(id));
  if (behind.length > 0) return { refused: "behind", ids: behind };
  const missing = target.voters.filter((id) => !isPresent(core, leader, id));
  const count = target.voters.length;
  if (count - missing.length < majority(count)) return { refused: "unsafe", ids: missing };
  return null;
}

function isPresent(core: Core, leader: Leader, id: NodeId): boolean {
  if (id === core.id) return true;
  const progress = leader.progress.get(id);
  if (progress === undefined || progress.doubt !== null) return false;
  return core.now - progress.heardAt < core.options.electionMs && progress.matched > 0;
}

function keepsUp(leader: Leader, id: NodeId): boolean {
  return leader.progress.get(id)?.keepsUp === true;
}

/** Whether `id` was a member under these circumstances, and is none any more. */
export function wasRemoved(
  committed: { readonly configuration: Configuration; readonly index: Index },
  life: { readonly id: NodeId; readonly since: Index },
): boolean {
  const member = memberOf(committed.configuration, life.id);
  if (member !== undefined) return life.since < member.since;
  return life.since < committed.index;
}
