/** The leader: replicates, commits, confirms reads, and steps down when it has lost its quorum. */
import { assert, must } from "../lib/assert.ts";
import type { Core, Role } from "./core.ts";
import { membersOf } from "./membership.ts";
import type { Message, Refusal, SnapshotTransfer } from "./message.ts";
import { Progress } from "./progress.ts";
import { reached } from "./quorum.ts";
import { hasCommittedOwn, onMembersTick, reconfigureDrain } from "./reconfigure.ts";
import { encodeRejoin } from "./rejoin.ts";
import { handOver, onTransferTick, transferDrain } from "./transfer.ts";
import {
  asIndex,
  type ClusterTime,
  type Index,
  type Millis,
  type NodeId,
  type Position,
} from "./types.ts";

type Leader = Extract<Role, { kind: "leader" }>;
type From<T extends Message["type"]> = Extract<Message, { type: T }>;

const NO_DATA = new Uint8Array(0);

export function becomeLeader(core: Core): void {
  assert(core.termIsDurable, "leading a term that is not on disk");
  const progress = new Map<NodeId, Progress>();
  for (const id of membersOf(core.configuration)) {
    if (id !== core.id) progress.set(id, new Progress(asIndex(core.log.lastIndex + 1), core.now));
  }
  core.role = {
    kind: "leader",
    progress,
    since: core.now,
    timeAtStart: core.log.lastTime as ClusterTime,
    heartbeatAt: core.now,
    transfer: null,
    leaseUntil: core.now,
    mayLease: core.options.leaseMs > 0,
    partingUntil: null,
  };
  // Entries of earlier terms are committed only together with one of this term (§5.4.2), and reads
  // may be served only after that (§6.4 of the thesis): so start with an entry of its own.
  core.appendNew("noop", NO_DATA);
}

/** Takes proposals into the log, all or none. Returns where the first one stands. */
export function propose(core: Core, data: readonly Uint8Array[]): Position | Refusal {
  // While it hands over it takes nothing new: whoever asks is told to look for a leader again.
  if (core.role.kind !== "leader" || core.role.transfer !== null) return "not_leader";
  if (isBusy(core, data)) return "busy";
  const first: Position = { index: asIndex(core.log.lastIndex + 1), term: core.term };
  for (const item of data) core.appendNew("command", item);
  return first;
}

function isBusy(core: Core, data: readonly Uint8Array[]): boolean {
  const { log, options } = core;
  const bytes = data.reduce((sum, item) => sum + item.length, 0);
  if (log.bytes + bytes > options.logBytesMax) return true;
  if (log.unappliedBytes + bytes > options.unappliedBytesMax) return true;
  return log.lastIndex - log.applied + data.length > options.unappliedEntriesMax;
}

/** Looks at the deadlines. `stalledMs`: for how long this process did not run before. */
export function onLeaderTick(core: Core, leader: Leader, stalledMs: number): void {
  for (const progress of leader.progress.values()) {
    progress.heardAt = Math.min(progress.heardAt + stalledMs, core.now) as Millis;
  }
  // While this process stood still nobody could renew a lease with it: that time does not count.
  leader.since = Math.min(leader.since + stalledMs, core.now) as Millis;
  if (core.diskHangs) return handOver(core, leader);
  // CheckQuorum (§6.2 of the thesis): without a quorum nothing can be committed or read here.
  const silence = core.now - quorumContact(core, leader, core.now);
  if (silence >= core.options.electionMs) return core.becomeFollower(core.term);
  onTransferTick(core, leader);
  onMembersTick(core, leader);
  if (core.now >= leader.heartbeatAt) sendHeartbeats(core, leader);
}

/** Since when a quorum has not been heard: this node itself always is. */
export function quorumContact(core: Core, leader: Leader, now: Millis): number {
  return reached(core.configuration, (id) => {
    if (id === core.id) return now;
    const progress = leader.progress.get(id);
    return progress === undefined || progress.doubt !== null ? 0 : progress.heardAt;
  });
}

export function onAppended(core: Core, leader: Leader, m: From<"appended" | "copied">): void {
  assert(m.matched <= core.log.lastIndex, () => `${m.from} matches past the log: ${m.matched}`);
  const progress = heard(core, leader, m.from);
  if (progress === null) return;
  if (m.type === "copied" && progress.doubt === null) progress.forget("");
  const advanced = m.matched > progress.matched;
  if (progress.mode === "snapshot") {
    // It can follow the log again: the transfer, or an earlier one, has done its work.
    if (m.matched < core.log.base.index) return;
    progress.probeFrom(m.matched + 1);
  }
  if (m.type === "appended") progress.appended(m.matched);
  else progress.copied(m.matched);
  if (advanced) progress.retryAt = later(core);
  advanceCommit(core, leader);
}

/** §5.3: go back, by whole terms, to where the logs may agree. */
export function onRefused(core: Core, leader: Leader, m: From<"refused">): void {
  const progress = heard(core, leader, m.from);
  if (progress === null || progress.mode === "snapshot") return;
  // A late refusal of something that has been answered since says nothing about now.
  if (m.prevIndex <= progress.matched) return;
  if (progress.mode === "probe" && m.prevIndex !== progress.next - 1) return;
  const agree = core.log.lastWithTermAtMost(m.hint, m.hintTerm);
  progress.probeFrom(Math.min(m.prevIndex, agree.index + 1));
}

export function onHeard(core: Core, leader: Leader, m: From<"heard">): void {
  const progress = heard(core, leader, m.from);
  if (progress === null) return;
  assert(m.readSeq <= core.reads.seq, () => `${m.from} confirms a round never started`);
  progress.readAcked = Math.max(progress.readAcked, m.readSeq);
  // Its doubt is over, and the answer that told so was lost: an append will be answered by another.
  if (progress.doubt !== null && progress.mode === "replicate") progress.probeFrom(progress.next);
}

/** A node in doubt asks (doubt.ts). What it promised earlier does not count any more. */
export function onRejoin(core: Core, leader: Leader, m: From<"rejoin">): void {
  const progress = heard(core, leader, m.from);
  if (progress === null) return;
  if (progress.doubt !== m.incarnation) progress.forget(m.incarnation);
  // Asked again though it is past the answer: that was in a snapshot, where it cannot see it.
  const { asked } = progress;
  if (asked !== null && asked > progress.matched) return;
  const data = encodeRejoin({ id: m.from, incarnation: m.incarnation });
  progress.asked = core.appendNew("rejoin", data).index;
}

/** The peer's clients wait for the entry at `index` to be committed. */
export function awaitCommit(leader: Leader, peer: NodeId, index: Index): void {
  const progress = leader.progress.get(peer);
  if (progress === undefined) return;
  progress.commitAwaited = asIndex(Math.max(progress.commitAwaited, index));
}

export function onUnreachable(leader: Leader, peer: NodeId): void {
  const progress = leader.progress.get(peer);
  if (progress?.mode === "replicate") progress.probeFrom(progress.matched + 1);
}

export function onSnapshotSent(core: Core, leader: Leader, result: SnapshotResult): void {
  const progress = leader.progress.get(result.peer);
  if (progress?.mode !== "snapshot" || progress.transfer !== result.transfer) return;
  const after = result.ok ? progress.snapshotIndex + 1 : 0;
  progress.probeFrom(Math.min(after, core.log.lastIndex + 1));
  // Where it failed, look again only after the peer has been heard of.
  if (!result.ok) waitFor(core, progress);
}

/**
 * Whoever was sent a snapshot and still answers has everything up to here, or will have it with
 * that snapshot. If the log forgot more, a follower that copies slower than clients write would
 * need one snapshot after the other.
 */
export function heldAfterSnapshots(core: Core, leader: Leader): Index {
  let index = core.log.lastIndex;
  for (const { transfer, heardAt, matched, mode, snapshotIndex } of leader.progress.values()) {
    if (transfer === 0 || core.now - heardAt >= core.options.electionMs) continue;
    const has = mode === "snapshot" ? Math.max(matched, snapshotIndex) : matched;
    index = asIndex(Math.min(index, has));
  }
  return index;
}

interface SnapshotResult extends SnapshotTransfer {
  readonly ok: boolean;
}

/** Everything that became possible or due since the last drain. */
export function leaderDrain(core: Core, leader: Leader): void {
  advanceCommit(core, leader);
  confirmReads(core, leader);
  reconfigureDrain(core, leader);
  if (core.role !== leader) return;
  if (core.reads.hasWaiting && hasCommittedOwn(core)) readNow(core, leader);
  transferDrain(core, leader);
  for (const [peer, progress] of leader.progress) replicate(core, peer, progress);
}

/** By the lease, where that will do, or else in a round: what arrives meanwhile shares the next. */
function readNow(core: Core, leader: Leader): void {
  const { reads, log } = core;
  if (core.now < leader.leaseUntil) core.confirmedReads.push(...reads.takeLeased(log.committed));
  if (reads.hasWaiting && !reads.isAsking) {
    reads.startRound(core.now, log.committed);
    tellHeartbeat(core, leader);
    confirmReads(core, leader);
  }
}

/** Sends what the follower lacks, as far as its window allows. */
function replicate(core: Core, peer: NodeId, progress: Progress): void {
  if (progress.mode === "snapshot") return;
  const overdue = isOverdue(core, progress);
  if (overdue && progress.mode === "probe") progress.stopWaiting();
  let sent = false;
  while (progress.mayAppend(core.options.window)) {
    const pending = progress.next <= core.log.lastIndex;
    if (!pending && progress.mode === "replicate") break;
    if (!sendAppend(core, peer, progress)) return;
    sent = true;
  }
  if (sent) return;
  if (overdue) sendEmpty(core, peer, progress);
  else tellCommit(core, peer, progress);
}

/**
 * Tells of a commit that no append has carried: at once where the follower's own clients wait for
 * it, and else a tick later, as under load the next append is already on its way.
 */
function tellCommit(core: Core, peer: NodeId, progress: Progress): void {
  const commit = commitFor(core, progress);
  if (commit <= progress.commitTold) {
    progress.commitDueAt = null;
    return;
  }
  progress.commitDueAt ??= (core.now + core.options.tickMs) as Millis;
  const isAwaited = progress.commitAwaited > progress.commitTold;
  if (!isAwaited && core.now < progress.commitDueAt) return;
  progress.commitDueAt = null;
  progress.commitTold = commit;
  core.send(peer, { type: "commit", commit });
}

/** Something sent is unanswered, though the follower has been heard since: it may be lost. */
function isOverdue(core: Core, progress: Progress): boolean {
  if (!progress.unanswered || core.now < progress.retryAt) return false;
  return progress.heardAt + core.options.heartbeatMs > progress.retryAt;
}

/** Sends the next batch. False: the log no longer reaches back so far, and a snapshot must go. */
function sendAppend(core: Core, peer: NodeId, progress: Progress): boolean {
  const { log, options } = core;
  const prevIndex = asIndex(progress.next - 1);
  const prevTerm = log.termAt(prevIndex);
  if (prevTerm === null) {
    startSnapshot(core, peer, progress);
    return false;
  }
  const limits = { entries: options.appendEntriesMax, bytes: options.appendBytesMax };
  const entries = log.batchFrom(progress.next, limits);
  core.send(peer, { type: "append", prevIndex, prevTerm, entries, commit: log.committed });
  const last = asIndex(prevIndex + entries.length);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
  if (!progress.unanswered) progress.retryAt = later(core);
  progress.sent(last, bytes);
  progress.commitTold = asIndex(Math.min(log.committed, Math.max(last, progress.commitTold)));
  return true;
}

/** An append after the last one sent: it is refused if anything before it was lost. */
function sendEmpty(core: Core, peer: NodeId, progress: Progress): void {
  const prevIndex = asIndex(progress.next - 1);
  const prevTerm = core.log.termAt(prevIndex);
  if (prevTerm === null) return startSnapshot(core, peer, progress);
  progress.retryAt = later(core);
  const commit = core.log.committed;
  core.send(peer, { type: "append", prevIndex, prevTerm, entries: [], commit });
}

function startSnapshot(core: Core, peer: NodeId, progress: Progress): void {
  // A peer that is silent would only be streamed at in vain.
  const silent = core.now - progress.heardAt >= core.options.electionMs;
  if (silent) return waitFor(core, progress);
  const { index } = must(core.snapshot, "the log was compacted without a snapshot");
  core.transfers += 1;
  progress.startSnapshot(core.transfers, index);
  core.snapshotsTo.push({ peer, transfer: core.transfers });
}

function sendHeartbeats(core: Core, leader: Leader): void {
  // Who answers this one has been loyal since it was sent.
  if (leader.mayLease) core.reads.startRound(core.now, null);
  tellHeartbeat(core, leader);
}

/** Heartbeats tell of the commit only as far as the follower is known to match. */
function tellHeartbeat(core: Core, leader: Leader): void {
  leader.heartbeatAt = (core.now + core.options.heartbeatMs) as Millis;
  for (const [peer, progress] of leader.progress) {
    const commit = asIndex(Math.min(core.log.committed, progress.matched));
    core.send(peer, { type: "heartbeat", commit, readSeq: core.reads.seq });
  }
}

/** §5.3, §5.4.2: what a quorum has on disk is committed, if it is of this term. */
function advanceCommit(core: Core, leader: Leader): void {
  const { log } = core;
  const index = reached(core.configuration, (id) =>
    id === core.id ? log.durable : (leader.progress.get(id)?.promised ?? 0),
  );
  if (index > log.committed && log.termAt(index) === core.term) log.commitTo(asIndex(index));
}

function confirmReads(core: Core, leader: Leader): void {
  const { reads } = core;
  if (!reads.hasRound) return;
  const confirmed = reached(core.configuration, (id) =>
    id === core.id ? reads.seq : (leader.progress.get(id)?.readAcked ?? 0),
  );
  const { reads: served, sentAt } = reads.confirm(confirmed);
  core.confirmedReads.push(...served);
  if (sentAt === null || !leader.mayLease) return;
  leader.leaseUntil = Math.max(leader.leaseUntil, sentAt + core.options.leaseMs) as Millis;
}

/** An answer of this term arrived. Null: from nobody that this leader replicates to. */
function heard(core: Core, leader: Leader, from: NodeId): Progress | null {
  const progress = leader.progress.get(from);
  if (progress === undefined) return null;
  progress.heardAt = core.now;
  return progress;
}

function commitFor(core: Core, progress: Progress): Index {
  return asIndex(Math.min(core.log.committed, progress.matched));
}

/** Does nothing for the follower until it has been heard again. */
function waitFor(core: Core, progress: Progress): void {
  progress.probeFrom(progress.next);
  progress.retryAt = later(core);
  progress.sent(asIndex(progress.next - 1), 0);
}

function later(core: Core): Millis {
  return (core.now + core.options.heartbeatMs) as Millis;
}
