/**
 * The state of one Raft node, and the few things that every role does with it.
 *
 * The roles are functions over this state, each in its own file, and each starts only the next:
 * core ← leader ← candidate ← follower ← raft.
 */
import { assert } from "../lib/assert.ts";
import type { Random } from "../lib/random.ts";
import { Doubt } from "./doubt.ts";
import type { Entry, EntryKind } from "./entry.ts";
import { makeEntry } from "./entry.ts";
import { RaftLog } from "./log.ts";
import { ConfigurationHistory } from "./configuration-history.ts";
import { decodeConfiguration, isVoter, memberOf } from "./membership.ts";
import type { Body, Message, SnapshotTransfer, Write } from "./message.ts";
import type { Progress, Window } from "./progress.ts";
import type { ConfirmedRead } from "./read-index.ts";
import { ReadQueue } from "./read-index.ts";
import type { Saved } from "./saved.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  type HardState,
  type Index,
  type Millis,
  type NodeId,
  type SnapshotMeta,
  type Term,
} from "./types.ts";

/** Everything a node is told when it is made. There are no defaults here. */
export interface RaftOptions {
  readonly id: NodeId;
  /** Who decides, where neither log nor snapshot says otherwise. */
  readonly bootstrap: Configuration;
  readonly heartbeatMs: number;
  /** Elections start after a silence of between once and twice this, drawn anew each time. */
  readonly electionMs: number;
  /**
   * For how long after a quorum was asked a leader may answer reads by itself; 0: never. Less than
   * `electionMs` by as much as clocks may differ in speed (R6).
   */
  readonly leaseMs: number;
  /** The interval of the input `tick`. Ticks much further apart mean that it stood still. */
  readonly tickMs: number;
  /** Bounds of one append message; it holds at least one entry, however large. */
  readonly appendEntriesMax: number;
  readonly appendBytesMax: number;
  /** What may be on its way to one follower. */
  readonly window: Window;
  /** How many entries one `drain` hands out to be applied, so that no turn takes long. */
  readonly applyEntriesMax: number;
  /** Proposals are refused as `busy` while the log in memory is larger than this, … */
  readonly logBytesMax: number;
  /** … or while this much is taken but not applied: a longer queue only makes all wait longer. */
  readonly unappliedEntriesMax: number;
  readonly unappliedBytesMax: number;
  readonly random: Random;
}

export type Role =
  | { readonly kind: "follower"; readonly leader: NodeId | null }
  | {
      readonly kind: "precandidate";
      readonly round: number;
      readonly votes: Map<NodeId, boolean>;
    }
  | { readonly kind: "candidate"; readonly votes: Map<NodeId, boolean> }
  | {
      readonly kind: "leader";
      readonly progress: Map<NodeId, Progress>;
      /** Cluster time goes on from here, at the pace of this node's clock. */
      since: Millis;
      readonly timeAtStart: ClusterTime;
      heartbeatAt: Millis;
      /** Not null: leadership is being handed over. */
      transfer: Transfer | null;
      /** Until then nobody else can have been elected: reads need no other proof. */
      leaseUntil: Millis;
      /** Not any more in this term, once another was told to stand for election (R7). */
      mayLease: boolean;
      /** Not null: until when the last step of a change waits for the clients of who leaves. */
      partingUntil: Millis | null;
    };

/** Leadership on its way to another. Meanwhile its leader takes no proposals, so it can end. */
export interface Transfer {
  readonly target: NodeId;
  /** It is given up then: the target may be gone. */
  readonly until: Millis;
  /** When to ask the target to stand for election, again. */
  askAt: Millis;
}

/** A write that was handed out and is not yet known to be on disk. */
interface PendingWrite {
  readonly number: number;
  readonly hardState: HardState | null;
  /** The last entry that it makes durable, lowered when the log is truncated meanwhile. */
  lastIndex: number;
  at: Millis;
}

/** Ticks this many intervals apart mean that the process was paused. */
const STALL_TICKS = 5;
const ROUND_BOUND = 2 ** 31;

export class Core {
  readonly options: RaftOptions;
  readonly id: NodeId;
  /** Which entry has made this node a member; 0: it is a founder. */
  readonly since: Index;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  readonly reads = new ReadQueue();
  now: Millis;
  term: Term;
  vote: NodeId | null;
  role: Role = { kind: "follower", leader: null };
  /** The newest snapshot of this node's state. */
  snapshot: SnapshotMeta | null;
  /** Not null: this node may have promised what it does not know, and neither votes nor counts. */
  doubt: Doubt | null;
  /** Which entry has ended the doubt, if there was one in the life of this process. */
  rejoined: Index | null = null;
  /** When to stand for election. */
  electionAt: Millis;
  /** When the leader of this term was last heard. */
  heardLeaderAt: Millis | null = null;
  /**
   * Who has asked for pre-votes in this term. None of them leads it any more, or ever will: what
   * still comes from one as its leader is old.
   */
  readonly resigned = new Set<NodeId>();
  /** Grants no vote before this: in an older term, or life, it has promised loyalty to a leader. */
  noVoteBefore: Millis;
  /**
   * Counts campaigns, so that answers to an older one are told apart. It begins anywhere, so that
   * answers to a campaign before a restart are told apart too.
   */
  round: number;
  /** How many transfers of snapshots were ever begun: a number for the next. */
  transfers = 0;

  /** What the next `drain` will hand out. */
  outbox: Message[] = [];
  outboxAfterPersist: Message[] = [];
  confirmedReads: ConfirmedRead[] = [];
  lostReads: number[] = [];
  snapshotsTo: SnapshotTransfer[] = [];
  restore: SnapshotMeta | null = null;

  private hardStateChanged = false;
  private durableTerm: Term;
  private writes: PendingWrite[] = [];
  private writeNumber = 0;
  private lastTickAt: Millis;

  constructor(options: RaftOptions, saved: Saved, now: Millis) {
    // A lease vouches for reads as long as nobody is elected, and no longer (R8).
    assert(options.leaseMs < options.electionMs, "a lease that outlives the others' loyalty");
    this.options = options;
    this.id = options.id;
    this.since = memberOf(options.bootstrap, options.id)?.since ?? asIndex(0);
    this.now = now;
    this.lastTickAt = now;
    this.term = saved.hardState.term;
    this.vote = saved.hardState.vote;
    this.durableTerm = this.term;
    this.snapshot = saved.snapshot;
    this.log = new RaftLog(saved);
    this.configurations = new ConfigurationHistory(
      saved.snapshot?.index ?? asIndex(0),
      saved.snapshot?.configuration ?? options.bootstrap,
    );
    const { doubt: incarnation } = saved;
    this.doubt = incarnation === null ? null : new Doubt({ id: options.id, incarnation });
    for (const entry of saved.entries) this.learnFrom(entry);
    const restarted = this.term > 0;
    this.noVoteBefore = (restarted ? now + options.electionMs : now) as Millis;
    this.round = options.random.below(ROUND_BOUND);
    this.electionAt = now;
    this.resetElectionTimer();
  }

  get configuration(): Configuration {
    return this.configurations.current;
  }

  get leader(): NodeId | null {
    if (this.role.kind === "leader") return this.id;
    return this.role.kind === "follower" ? this.role.leader : null;
  }

  /**
   * Who is no voter any more still stands until it knows that this is committed: the entry that
   * says so may be in no log but those of nodes that leave, and then nobody else could be elected
   * (§4.2.2 of the thesis). Its own vote does not count.
   */
  get mayCampaign(): boolean {
    if (this.doubt !== null || !this.hasJoined) return false;
    if (isVoter(this.configuration, this.id)) return true;
    const { previous, index } = this.configurations;
    return index > this.log.committed && previous !== null && isVoter(previous, this.id);
  }

  /**
   * Whether the log has come to the entry that made this node a member. What stands before it may
   * name an earlier machine of the same name, which had promised what this one knows nothing of: so
   * until then it decides nothing (M8).
   */
  get hasJoined(): boolean {
    const { id, since, configurations, snapshot } = this;
    return since <= (snapshot?.index ?? 0) || configurations.tellsOf({ id, since });
  }

  /** The time to stamp entries with. Only a leader's is meaningful. */
  clusterTime(): ClusterTime {
    if (this.role.kind !== "leader") return this.log.lastTime;
    return (this.role.timeAtStart + Math.floor(this.now - this.role.since)) as ClusterTime;
  }

  // ---- messages

  /** Sends now: nothing in it depends on what is not on disk yet. */
  send(to: NodeId, body: Body): void {
    this.outbox.push({ from: this.id, to, term: this.term, ...body });
  }

  /** Sends once everything so far is on disk: it promises durability. */
  sendAfterPersist(to: NodeId, body: Body): void {
    this.outboxAfterPersist.push({ from: this.id, to, term: this.term, ...body });
  }

  /** An answer that promises nothing but this node's term, which must be on disk (§5.1). */
  reply(to: NodeId, body: Body): void {
    if (this.durableTerm === this.term) this.send(to, body);
    else this.sendAfterPersist(to, body);
  }

  // ---- term, vote and role

  setHardState(term: Term, vote: NodeId | null): void {
    assert(term >= this.term, () => `the term goes back from ${this.term} to ${term}`);
    assert(
      term > this.term || this.vote === null || this.vote === vote,
      () => `a second vote in term ${term}`,
    );
    if (term > this.term) this.resigned.clear();
    this.term = term;
    this.vote = vote;
    this.hardStateChanged = true;
  }

  /** The log has turned out to be lost. There is nothing in it yet that could end the doubt. */
  enterDoubt(incarnation: string): void {
    assert(this.log.lastIndex === 0, "doubt comes with a log that is lost");
    this.doubt = new Doubt({ id: this.id, incarnation });
  }

  /** Whether a crash now would be followed by a restart in this term. */
  get termIsDurable(): boolean {
    return this.durableTerm === this.term;
  }

  /** Steps down, or goes on as follower: of nobody, until a leader is heard. */
  becomeFollower(term: Term): void {
    if (term > this.term) {
      this.setHardState(term, null);
      this.forgetLeader();
      if (this.doubt !== null) this.doubt.verified = asIndex(0);
    }
    if (this.role.kind === "leader") {
      this.lostReads.push(...this.reads.abandon());
      // A leader's own timer was never running: give the others the first try.
      this.resetElectionTimer();
    }
    this.role = { kind: "follower", leader: null };
  }

  /**
   * In a new term no leader was heard yet. But the last one may still count on this node: a term
   * that is learned from an answer, of whoever stands in vain, does not end the promise (R6).
   */
  private forgetLeader(): void {
    if (this.heardLeaderAt === null) return;
    const loyalUntil = this.heardLeaderAt + this.options.electionMs;
    this.noVoteBefore = Math.max(this.noVoteBefore, loyalUntil) as Millis;
    this.heardLeaderAt = null;
  }

  resetElectionTimer(): void {
    const { electionMs, random } = this.options;
    this.electionAt = (this.now + electionMs + random.below(electionMs)) as Millis;
  }

  /**
   * Whether a leader of this term lives, as far as this node knows: then it helps nobody to depose
   * it (§4.2.3 of the thesis), so that a node that cannot hear the leader cannot disturb the rest.
   */
  get hasLiveLeader(): boolean {
    if (this.role.kind === "leader") return true;
    if (this.heardLeaderAt === null) return false;
    return this.now < this.heardLeaderAt + this.options.electionMs;
  }

  // ---- log

  appendNew(kind: EntryKind, data: Uint8Array): Entry {
    const time = Math.max(this.clusterTime(), this.log.lastTime) as ClusterTime;
    const index = asIndex(this.log.lastIndex + 1);
    const entry = makeEntry({ index, term: this.term, time, kind, data });
    this.append(entry);
    return entry;
  }

  append(entry: Entry): void {
    this.log.append(entry);
    this.learnFrom(entry);
  }

  truncateFrom(index: number): void {
    this.log.truncateFrom(asIndex(index));
    this.configurations.truncateFrom(asIndex(index));
    this.doubt?.truncated(index);
    // What is being written may no longer be what is in the log at that index.
    for (const write of this.writes) write.lastIndex = Math.min(write.lastIndex, index - 1);
  }

  /** Takes another node's snapshot in place of everything it has. */
  resetTo(meta: SnapshotMeta): void {
    this.log.resetTo(meta);
    this.configurations.reset(meta);
    this.doubt?.truncated(0);
    for (const write of this.writes) write.lastIndex = 0;
    this.snapshot = meta;
    this.restore = meta;
  }

  /** Some entries are for Raft itself. */
  private learnFrom(entry: Entry): void {
    this.doubt?.appended(entry);
    if (entry.kind !== "config" || entry.index <= (this.snapshot?.index ?? 0)) return;
    this.configurations.append(entry.index, decodeConfiguration(entry.data));
  }

  // ---- disk

  /** Everything that must be written since the last call. Null: nothing. */
  takeWrite(): Write | null {
    const reset = this.restore;
    const entries = this.log.takeUnwritten();
    if (!this.hardStateChanged && entries.length === 0 && reset === null) return null;
    const hardState = this.hardStateChanged ? { term: this.term, vote: this.vote } : null;
    this.hardStateChanged = false;
    this.writeNumber += 1;
    const number = this.writeNumber;
    const lastIndex = entries.at(-1)?.index ?? reset?.index ?? 0;
    this.writes.push({ number, hardState, lastIndex, at: this.now });
    return { number, hardState, reset, entries };
  }

  /** The write `number`, and all before it, are on disk. */
  persisted(number: number): void {
    while (this.writes[0] !== undefined && this.writes[0].number <= number) {
      const { hardState, lastIndex } = this.writes[0];
      if (hardState !== null) this.durableTerm = asTerm(hardState.term);
      if (lastIndex > this.log.durable) this.log.durable = asIndex(lastIndex);
      this.writes.shift();
    }
  }

  /** A write has taken so long that this node should neither lead nor stand for election. */
  get diskHangs(): boolean {
    return this.diskHangsAt(this.now);
  }

  diskHangsAt(now: Millis): boolean {
    const oldest = this.writes[0];
    return oldest !== undefined && now - oldest.at >= 2 * this.options.electionMs;
  }

  // ---- time

  /**
   * Notes a tick, and returns for how long the process stood still before it. Messages may have
   * arrived meanwhile that it had no chance to see, so the silence is not the others' fault.
   * Deadlines move by as much, but never beyond what they would be if they were set now: some were
   * set after the pause already.
   */
  noteTick(): number {
    const { tickMs, electionMs } = this.options;
    const gap = this.now - this.lastTickAt;
    this.lastTickAt = this.now;
    if (gap <= STALL_TICKS * tickMs) return 0;
    // Less than the gap, so that a process that always stands still gets on all the same.
    const stalled = gap - tickMs;
    this.electionAt = Math.min(this.electionAt + stalled, this.now + 2 * electionMs) as Millis;
    for (const write of this.writes) write.at = Math.min(write.at + stalled, this.now) as Millis;
    return stalled;
  }
}
