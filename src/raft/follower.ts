/** The follower: takes the leader's entries, votes, and stands where it hears no leader. */
import { assert, must } from "../lib/assert.ts";
import { campaign, stand } from "./candidate.ts";
import type { Core } from "./core.ts";
import type { Message } from "./message.ts";
import { asIndex, type Index, type NodeId, type Term } from "./types.ts";

type From<T extends Message["type"]> = Extract<Message, { type: T }>;

/** Looks at the deadline, for followers and candidates alike. */
export function onFollowerTick(core: Core): void {
  if (core.now < core.electionAt) return;
  // Who cannot write could not vote for itself, nor lead.
  if (core.mayCampaign && !core.diskHangs) campaign(core);
  else core.resetElectionTimer();
}

/** §5.3: accept the leader's entries if our logs agree just before them. */
export function onAppend(core: Core, m: From<"append">): void {
  follow(core, m.from);
  const { log } = core;

  if (!log.has(m.prevIndex, m.prevTerm)) {
    if (m.prevIndex < log.committed) {
      // What is committed here is in every later leader's log, so we agree at least so far.
      assert(log.termAt(m.prevIndex) === null, () => `${m.from} lacks committed ${m.prevIndex}`);
      return acknowledge(core, m.from, log.committed);
    }
    const last = asIndex(Math.min(m.prevIndex, log.lastIndex));
    const { index: hint, term: hintTerm } = log.lastWithTermAtMost(last, m.prevTerm);
    return core.reply(m.from, { type: "refused", prevIndex: m.prevIndex, hint, hintTerm });
  }
  for (const entry of m.entries) {
    if (log.has(entry.index, entry.term)) continue; // A repeat.
    if (entry.index <= log.lastIndex) core.truncateFrom(entry.index);
    core.append(entry);
  }
  // Entries beyond this message are unverified: the leader's commit may not cover them yet.
  const matched = asIndex(m.prevIndex + m.entries.length);
  log.commitTo(asIndex(Math.min(m.commit, matched)));
  acknowledge(core, m.from, matched);
}

export function onHeartbeat(core: Core, m: From<"heartbeat">): void {
  follow(core, m.from);
  learnCommit(core, m.commit);
  const { doubt } = core;
  if (doubt === null && core.hasJoined) core.reply(m.from, { type: "heard", readSeq: m.readSeq });
  else if (doubt?.asked === null)
    core.reply(m.from, { type: "rejoin", incarnation: doubt.self.incarnation });
  // Only that it is there: how far it is, it says in answer to appends.
  else core.reply(m.from, { type: "copied", matched: asIndex(0) });
}

export function onCommit(core: Core, m: From<"commit">): void {
  follow(core, m.from);
  learnCommit(core, m.commit);
}

/** The leader tells no more than it knows to match; but who is in doubt may have lost that. */
function learnCommit(core: Core, commit: Index): void {
  const { doubt, log } = core;
  log.commitTo(doubt === null ? commit : asIndex(Math.min(commit, doubt.verified)));
}

/** §7. The driver has the snapshot's contents ready; here is decided whether they are taken. */
export function onSnapshot(core: Core, m: From<"snapshot">): void {
  follow(core, m.from);
  const { log } = core;
  if (m.meta.index <= log.committed) return acknowledge(core, m.from, log.committed);
  if (log.has(m.meta.index, m.meta.term)) {
    // The log is ahead of the snapshot and agrees with it: keep the log, learn the commit.
    log.commitTo(m.meta.index);
  } else {
    core.resetTo(m.meta);
  }
  acknowledge(core, m.from, m.meta.index);
}

/**
 * Looks whether the doubt is over. The leader that is followed then was elected without this node,
 * or by a vote of it that is forgotten: the vote goes to it, as no other may have it in this term.
 */
export function endDoubt(core: Core): void {
  const { doubt, leader, log } = core;
  const asked = doubt?.asked ?? null;
  if (doubt === null || asked === null || leader === null) return;
  if (asked > log.committed || asked > log.durable) return;
  if (core.vote === null) core.setHardState(core.term, leader);
  core.doubt = null;
  core.rejoined = asked;
  // All that is known to be in the leader's log too: it may be silent for long from here on.
  const matched = asIndex(Math.max(log.committed, doubt.verified));
  core.sendAfterPersist(leader, { type: "appended", matched });
}

/**
 * The leader hands over: no pre-vote, as the others would stay loyal to it. An old question of this
 * term, repeated by the network, costs a term and no more.
 */
export function onTimeoutNow(core: Core, m: From<"timeoutNow">): void {
  const { role } = core;
  if (role.kind !== "follower" || (role.leader !== null && role.leader !== m.from)) return;
  if (core.mayCampaign && !core.diskHangs) stand(core, true);
}

/** Would vote, if it were asked now. Promises nothing. */
export function onPrevote(core: Core, m: From<"prevote">): void {
  if (m.term === core.term) resign(core, m.from);
  const granted = m.term >= core.term && mayVote(core, false) && isUpToDate(core, m);
  core.reply(m.from, { type: "prevoted", round: m.round, granted });
}

/**
 * Whoever led this term, and asks to be elected for another, was restarted or has stepped down. It
 * is not heard as leader any more, or messages of its old days, repeated by the network, would
 * keep everybody loyal to a leader that is none.
 */
function resign(core: Core, id: NodeId): void {
  core.resigned.add(id);
  if (core.leader === id) core.heardLeaderAt = null;
}

/** §5.2, §5.4.1. The caller has seen to it that the request is of this term. */
export function onVote(core: Core, m: From<"vote">): void {
  const isLoyal = core.now < core.noVoteBefore && !m.isTransfer;
  const isFree = core.vote === null && core.leader === null && !isLoyal;
  const mayHaveIt = core.vote === m.from || isFree;
  if (core.doubt !== null || !core.hasJoined || !mayHaveIt || !isUpToDate(core, m)) {
    return core.reply(m.from, { type: "voted", granted: false });
  }
  if (core.vote === null) core.setHardState(core.term, m.from);
  core.resetElectionTimer();
  core.sendAfterPersist(m.from, { type: "voted", granted: true });
}

/**
 * Whether this node may help to depose a leader: not while it hears one itself, and not shortly
 * after a restart, when it may have heard one that it has forgotten; unless that leader wants it so
 * itself. In doubt, it may have given its vote already; with a disk that hangs, it could not give
 * it.
 */
export function mayVote(core: Core, isTransfer: boolean): boolean {
  if (core.doubt !== null || !core.hasJoined || core.diskHangs) return false;
  if (isTransfer) return true;
  return !core.hasLiveLeader && core.now >= core.noVoteBefore;
}

/** §5.4.1: the last entry's term decides, and only between equal terms the length. */
function isUpToDate(core: Core, candidate: { lastIndex: Index; lastTerm: Term }): boolean {
  const { lastIndex, lastTerm } = core.log;
  if (candidate.lastTerm !== lastTerm) return candidate.lastTerm > lastTerm;
  return candidate.lastIndex >= lastIndex;
}

function follow(core: Core, leader: NodeId): void {
  const { role } = core;
  assert(role.kind !== "leader", () => `two leaders in term ${core.term}: ${leader}, ${core.id}`);
  if (role.kind !== "follower" || role.leader === null) {
    core.role = { kind: "follower", leader };
  } else {
    const known = must(role.leader, "checked");
    assert(known === leader, () => `two leaders in term ${core.term}: ${known}, ${leader}`);
  }
  if (core.resigned.has(leader)) return;
  core.heardLeaderAt = core.now;
  core.resetElectionTimer();
}

function acknowledge(core: Core, leader: NodeId, matched: Index): void {
  const { doubt } = core;
  if (doubt !== null) doubt.verified = asIndex(Math.max(doubt.verified, matched));
  const type = doubt === null && core.hasJoined ? "appended" : "copied";
  core.sendAfterPersist(leader, { type, matched });
}
