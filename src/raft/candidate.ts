/** The candidate: asks whether it could win, then stands for election, and counts. */
import type { Core, Role } from "./core.ts";
import { becomeLeader } from "./leader.ts";
import { isVoter } from "./membership.ts";
import type { Message } from "./message.ts";
import { tally } from "./quorum.ts";
import { asTerm, type NodeId } from "./types.ts";

type From<T extends Message["type"]> = Extract<Message, { type: T }>;

/**
 * Begins with a pre-vote (§9.6 of the thesis): only who could win disturbs the others with a new
 * term. Nobody's state changes by it, so the node's own consent needs no disk.
 */
export function campaign(core: Core): void {
  core.resetElectionTimer();
  core.round += 1;
  const votes = new Map([[core.id, true]]);
  core.role = { kind: "precandidate", round: core.round, votes };
  const { lastIndex, lastTerm } = core.log;
  for (const peer of otherVoters(core)) {
    core.send(peer, { type: "prevote", round: core.round, lastIndex, lastTerm });
  }
  countPrevotes(core, votes);
}

export function onPrevoted(core: Core, m: From<"prevoted">): void {
  if (core.role.kind !== "precandidate" || core.role.round !== m.round) return;
  if (!isVoter(core.configuration, m.from)) return;
  core.role.votes.set(m.from, m.granted);
  countPrevotes(core, core.role.votes);
}

export function onVoted(core: Core, m: From<"voted">): void {
  if (core.role.kind !== "candidate" || !isVoter(core.configuration, m.from)) return;
  core.role.votes.set(m.from, m.granted);
  countVotes(core, core.role);
}

/** The candidate's own vote counts from when it is on disk, like everyone else's. */
export function countOwnVote(core: Core): void {
  if (core.role.kind !== "candidate" || !core.termIsDurable) return;
  core.role.votes.set(core.id, true);
  countVotes(core, core.role);
}

function countPrevotes(core: Core, votes: ReadonlyMap<NodeId, boolean>): void {
  const verdict = tally(core.configuration, votes);
  if (verdict === "won") stand(core, false);
  else if (verdict === "lost") core.becomeFollower(core.term);
}

/**
 * §5.2. The requests leave only when the new term and the own vote are on disk. `isTransfer`: the
 * leader has asked for it.
 */
export function stand(core: Core, isTransfer: boolean): void {
  core.setHardState(asTerm(core.term + 1), core.id);
  core.role = { kind: "candidate", votes: new Map() };
  core.heardLeaderAt = null;
  core.resetElectionTimer();
  const { lastIndex, lastTerm } = core.log;
  for (const peer of otherVoters(core)) {
    core.sendAfterPersist(peer, { type: "vote", lastIndex, lastTerm, isTransfer });
  }
}

function countVotes(core: Core, role: Extract<Role, { kind: "candidate" }>): void {
  const verdict = tally(core.configuration, role.votes);
  if (verdict === "won" && core.termIsDurable) becomeLeader(core);
  else if (verdict === "lost") core.becomeFollower(core.term);
}

function otherVoters(core: Core): readonly NodeId[] {
  const { voters, outgoing } = core.configuration;
  return [...new Set([...voters, ...outgoing])].filter((id) => id !== core.id).sort();
}
