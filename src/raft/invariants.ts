/**
 * What must hold of one node: at any moment (`checkBasic`), and from each step to the next
 * (`checkDelta`). The scripts and the simulator run both after every step; what holds between
 * nodes (one leader a term, equal logs) they check themselves.
 *
 * Both throw AssertionError. Their cost grows with the uncommitted part of the log only.
 */
import { assert, must } from "../lib/assert.ts";
import { equalBytes } from "../lib/bytes.ts";
import type { Core, Role } from "./core.ts";
import { encodeConfiguration, isJoint, isVoter, membersOf } from "./membership.ts";
import type { Raft } from "./raft.ts";
import type { Configuration, Index, NodeId, Term } from "./types.ts";

type Leader = Extract<Role, { kind: "leader" }>;

/** What `checkDelta` remembers of a node from before a step. */
export interface NodeState {
  readonly term: Term;
  readonly vote: NodeId | null;
  readonly inDoubt: boolean;
  readonly role: Role["kind"];
  readonly leader: NodeId | null;
  readonly base: Index;
  readonly snapshot: Index;
  readonly applied: Index;
  readonly committed: Index;
  readonly committedTerm: Term;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  readonly round: number;
  readonly readSeq: number;
  readonly configuration: Configuration;
  readonly configurationIndex: Index;
  /** Of a leader: whether it may have a lease. */
  readonly mayLease: boolean;
}

export function captureState(raft: Raft): NodeState {
  const { core } = raft;
  const { log } = core;
  return {
    term: core.term,
    vote: core.vote,
    inDoubt: core.doubt !== null,
    role: core.role.kind,
    leader: core.leader,
    base: log.base.index,
    snapshot: core.snapshot?.index ?? (0 as Index),
    applied: log.applied,
    committed: log.committed,
    committedTerm: must(log.termAt(log.committed), "the committed entry is in the log"),
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    round: core.round,
    readSeq: core.reads.seq,
    configuration: core.configuration,
    configurationIndex: core.configurations.index,
    mayLease: core.role.kind === "leader" && core.role.mayLease,
  };
}

/** What holds of a node at any moment between two inputs. */
export function checkBasic(raft: Raft): void {
  const { core } = raft;
  checkLog(core);
  checkUncommitted(core);
  checkConfiguration(core);
  checkSnapshot(core);
  checkRole(core);
}

/** What holds between a moment and a later one in the life of the same process. */
export function checkDelta(before: NodeState, raft: Raft): void {
  const after = captureState(raft);
  for (const key of ["term", "base", "snapshot", "applied", "committed", "round"] as const) {
    assert(after[key] >= before[key], () => `${key} goes back: ${before[key]} to ${after[key]}`);
  }
  assert(after.readSeq >= before.readSeq, "a read round's number is used again");
  checkTermDelta(before, after);
  checkDoubtDelta(before, raft.core);
  checkLogDelta(before, raft.core);
  const { core } = raft;
  if (before.role !== "leader" || core.role.kind !== "leader" || before.term !== core.term) return;
  assert(before.mayLease || !core.role.mayLease, "may have a lease again, though it handed over");
  if (before.configurationIndex !== core.configurations.index) checkChange(before, core);
}

/** §6: a leader goes on from what is committed, and never without a majority of who decided. */
function checkChange(before: NodeState, core: Core): void {
  const { configuration: old, configurationIndex } = before;
  const { log, configuration } = core;
  assert(configurationIndex <= log.committed, "another change is not committed yet");
  const hasOwn = log.termAt(log.committed) === core.term;
  assert(hasOwn, "changes members before an entry of its own is committed");
  if (isJoint(old)) {
    const isEnd = !isJoint(configuration) && isSame(configuration.voters, old.voters);
    return assert(isEnd, "a change ends with other voters than it began with");
  }
  const decidesOn = isJoint(configuration) ? configuration.outgoing : configuration.voters;
  assert(isSame(decidesOn, old.voters), "voters change without a joint configuration");
}

/** In doubt nobody votes; and it ends by an entry that is committed and on disk, with a vote. */
function checkDoubtDelta(before: NodeState, core: Core): void {
  if (!before.inDoubt) return assert(core.doubt === null, "in doubt though nothing was lost");
  if (core.doubt !== null) {
    const voted = core.vote !== null && (core.term > before.term || before.vote === null);
    return assert(!voted, "votes in doubt");
  }
  const rejoined = must(core.rejoined, "certain without an answer");
  assert(rejoined <= core.log.committed, "certain by what is not committed");
  assert(rejoined <= core.log.durable, "certain by what is not on disk");
  // The leader of the term in which it became certain has its vote. Another term may follow.
  assert(core.vote !== null || core.term > before.term, "certain without a vote");
}

/** §5.2: one vote and one leader a term, and leadership by election only. */
function checkTermDelta(before: NodeState, after: NodeState): void {
  if (after.term > before.term) {
    assert(after.role !== "leader", "leading a term without having been its candidate");
    return;
  }
  assert(before.vote === null || before.vote === after.vote, "the vote changes within a term");
  assert(
    before.leader === null || after.leader === null || before.leader === after.leader,
    () => `two leaders in term ${after.term}: ${before.leader}, ${after.leader}`,
  );
  if (after.role !== "leader") return;
  assert(before.role === "leader" || before.role === "candidate", "leads without an election");
}

/** What was committed stays; a leader only ever appends (Leader Append-Only, §5.3). */
function checkLogDelta(before: NodeState, core: Core): void {
  const { log } = core;
  if (before.committed >= log.base.index) {
    const term = log.termAt(before.committed);
    assert(term === before.committedTerm, () => `committed entry ${before.committed} changes`);
  }
  const leads = before.role === "leader" && core.role.kind === "leader";
  if (!leads || before.term !== core.term || before.lastIndex < log.base.index) return;
  const kept = log.termAt(before.lastIndex) === before.lastTerm;
  assert(kept, () => `the leader's own entry ${before.lastIndex} changes`);
}

function checkLog(core: Core): void {
  const { log } = core;
  const base = log.base.index;
  assert(base <= log.applied, "compacted what was not applied");
  assert(log.applied <= log.committed, "applied what is not committed");
  assert(log.committed <= log.lastIndex, "committed past the end of the log");
  assert(log.durable <= log.lastIndex, "on disk past the end of the log");
  assert(log.durable < log.unwritten, "on disk what was never handed out to be written");
  assert(log.unwritten > base && log.unwritten <= log.lastIndex + 1, "written outside the log");
  // A snapshot from a leader counts as applied at once; its write comes after.
  assert(log.applied <= Math.max(log.durable, base), "applied what is not on disk");
  assert(log.lastTerm <= core.term, "an entry of a term still to come");
}

/** Terms and times never go back, and the newest configuration is the one in force (§6). */
function checkUncommitted(core: Core): void {
  const { log, configurations } = core;
  const from = Math.max(log.committed, log.base.index) + 1;
  let newest: Uint8Array | null = null;
  let time = 0;
  for (let index = from; index <= log.lastIndex; index++) {
    const entry = log.entryAt(index as Index);
    assert(entry.index === index, () => `entry ${entry.index} stands at ${index}`);
    const term = must(log.termAt(index - 1), "the entry before");
    assert(entry.term >= term, () => `the term goes back at ${index}`);
    assert(entry.time >= time, () => `cluster time goes back at ${index}`);
    time = entry.time;
    if (entry.kind === "config") newest = entry.data;
  }
  const current = configurations.current;
  assert(configurations.at(log.lastIndex) === current, "a configuration past the log's end");
  if (newest !== null) {
    const isInForce = equalBytes(newest, encodeConfiguration(current));
    assert(isInForce, "the newest configuration is not in force");
  }
}

/** Configurations never change, and the same one is in force for long. */
const checked = new WeakSet<Configuration>();

function checkConfiguration({ configuration, configurations }: Core): void {
  if (!checked.has(configuration)) checkMembers(configuration);
  checked.add(configuration);
  // Whoever joins begins with the configuration of a log that it has yet to get.
  if (configurations.index === 0) return;
  for (const { id, since } of configuration.members) {
    assert(since <= configurations.index, () => `${id} is a member since an entry to come`);
  }
}

/** Everybody has a part and a place, and nobody two that exclude each other. */
function checkMembers(configuration: Configuration): void {
  const { voters, outgoing, learners, members } = configuration;
  assert(voters.length > 0, "nobody decides");
  const parts = [...new Set([...voters, ...outgoing, ...learners])].sort();
  assert(isSame(parts, [...membersOf(configuration)].sort()), "parts and members disagree");
  for (const id of learners) assert(!voters.includes(id), () => `${id} votes and learns`);
  for (const { id, isJoining } of members) {
    assert(!isJoining || learners.includes(id), () => `${id} has joined already`);
  }
}

function isSame(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.join() === b.join();
}

function checkSnapshot(core: Core): void {
  const { log, snapshot } = core;
  if (snapshot === null) {
    assert(log.base.index === 0, "the log was compacted without a snapshot");
    return;
  }
  assert(log.base.index <= snapshot.index, "entries are gone that no snapshot covers");
  assert(snapshot.index <= log.applied, "the snapshot is ahead of the state");
  assert(log.has(snapshot.index, snapshot.term), "the snapshot and the log disagree");
  assert(log.lastTime >= snapshot.time, "cluster time is behind the snapshot");
}

function checkRole(core: Core): void {
  const { role } = core;
  const idle = !core.reads.hasRound && !core.reads.hasWaiting;
  assert(core.doubt === null || role.kind === "follower", "stands or leads in doubt");
  switch (role.kind) {
    case "follower":
      assert(role.leader !== core.id, "follows itself");
      return assert(idle, "a follower holds reads");
    case "precandidate":
    case "candidate":
      for (const id of role.votes.keys()) {
        const mayVote = id === core.id || isVoter(core.configuration, id);
        assert(mayVote, () => `${id} has no vote`);
      }
      assert(core.mayCampaign, "stands though it is no voter");
      assert(role.kind === "precandidate" || core.vote === core.id, "stands without its own vote");
      return assert(idle, "a candidate holds reads");
    case "leader":
      return checkLeader(core, role);
  }
}

function checkLeader(core: Core, role: Leader): void {
  checkLease(core, role);
  const { log } = core;
  assert(core.vote === core.id, "leads without its own vote");
  assert(core.termIsDurable, "leads a term that is not on disk");
  assert(log.lastTerm === core.term, "leads without an entry of its own");
  const peers = membersOf(core.configuration).filter((id) => id !== core.id);
  const isToMembers = isSame([...role.progress.keys()].sort(), [...peers].sort());
  assert(isToMembers, "replicates to other than the members");
  for (const [id, progress] of role.progress) {
    const { matched, next } = progress;
    assert(progress.promised <= matched, () => `${id}: counts more than matches`);
    assert(progress.doubt === null || progress.promised === 0, () => `${id}: counts in doubt`);
    assert(matched < next, () => `${id}: would send again what matches: ${matched}, ${next}`);
    assert(next <= log.lastIndex + 1, () => `${id}: would send what is not there: ${next}`);
    assert(progress.readAcked <= core.reads.seq, () => `${id}: confirmed a round never sent`);
    assert(progress.commitTold <= log.committed, () => `${id}: was told of what is not committed`);
    const streams = progress.mode === "snapshot" && progress.unanswered;
    assert(!streams, () => `${id}: sends entries during a snapshot`);
  }
}

/** R6, R7: a lease is short, and nobody has one who has told another to stand for election. */
function checkLease(core: Core, { transfer, leaseUntil, mayLease }: Leader): void {
  assert(mayLease || leaseUntil <= core.now, "has a lease that it must not have");
  assert(leaseUntil <= core.now + core.options.leaseMs, "has a lease for longer than any lasts");
  if (transfer === null) return;
  assert(!mayLease, "may have a lease while it hands over");
  const canLead =
    core.configuration.voters.includes(transfer.target) && transfer.target !== core.id;
  assert(canLead, () => `hands over to ${transfer.target}, which cannot lead`);
}
