/** The driver: everything around one Raft core happens here, in turns. */
import type { MemberChange } from "../raft/change.ts";
import type { Input, Message, Ready, Refusal, Write } from "../raft/message.ts";
import type { Raft, RaftStatus } from "../raft/raft.ts";
import type { ChangeRefusal, ChangeTaken } from "../raft/reconfigure.ts";
import type { TransferRefusal } from "../raft/transfer.ts";
import type { Configuration, Index, NodeId, Position } from "../raft/types.ts";
import { type FrozenSnapshot, frozenSnapshot } from "./frozen-snapshot.ts";
import type { Runtime, StateMachine, Transport } from "./ports.ts";
import type { SnapshotChunk } from "./incoming.ts";
import { SleepWatch } from "./sleep-watch.ts";
import type { ChunkAnswer, SavedSnapshot, Snapshots } from "./snapshots.ts";
import { type Waiter, Waiters } from "./waiters.ts";

/** Where writes go. Calls `done` in order, when the write and all before it are on disk. */
export interface LogWriter {
  /** Null writes nothing: `done` is called when everything before is on disk. */
  write(write: Write | null, done: () => void): void;
}

/** What a node is made of. */
export interface NodeDeps<Result> {
  readonly raft: Raft;
  readonly log: LogWriter;
  readonly transport: Transport;
  readonly runtime: Runtime;
  readonly machine: StateMachine<Result>;
  readonly snapshots: Snapshots;
  /** Told after every turn in which role, term or leader changed, or a doubt ended. */
  readonly onChange: (now: RaftStatus, before: RaftStatus) => void;
  /** Told after every turn in which another configuration came into force, or one was committed. */
  readonly onConfiguration: (now: InForce) => void;
}

/** Who the members are, as this node knows. */
export interface InForce {
  readonly configuration: Configuration;
  /** Which entry brought it, or a place up to which it was in force already. */
  readonly index: Index;
  readonly isCommitted: boolean;
}

/**
 * What became of an entry.
 *
 * - `committed`: it stands where it was appended, for ever.
 * - `lost`: another entry is committed in its place.
 * - `unknown`: a snapshot stands for its place here, and whatever was in it.
 */
export type EntryFate = "committed" | "lost" | "unknown";

/** Commands to append together, and who is told where they stand. */
interface Submission {
  readonly data: readonly Uint8Array[];
  readonly taken: (result: Position | Refusal) => void;
}

interface Change {
  readonly changes: readonly MemberChange[];
  readonly taken: (result: ChangeTaken | ChangeRefusal) => void;
}

interface TransferAsked {
  readonly target: NodeId | null;
  readonly begun: (result: { readonly target: NodeId } | TransferRefusal) => void;
}

/**
 * What vouches for a read: a quorum that was asked after it came, or the leader's lease, which is
 * as good as the bound on how much clocks differ in speed.
 */
export type ReadProof = "quorum" | "lease";

/** Told the index that a state must have reached to answer a read, and what vouches for that. */
type ReadDone = (index: Index | null, proof: ReadProof) => void;

interface ReadAsked {
  readonly proof: ReadProof;
  readonly done: ReadDone;
}

/**
 * Drives one Raft core. Inputs only queue; all the work happens in `turn`, once per event-loop
 * iteration, so everything that arrived together shares one log write and one message per peer.
 */
export class RaftNode<Result> {
  private readonly deps: NodeDeps<Result>;
  private readonly waiters: Waiters<Result>;
  private inbox: Input[] = [];
  private submissions: Submission[] = [];
  private changes: Change[] = [];
  private transfers: TransferAsked[] = [];
  private reads: ReadAsked[] = [];
  private readonly pendingReads = new Map<number, ReadDone>();
  private readToken = 0;
  private readonly sleep: SleepWatch;
  private awake = false;
  private isRetired = false;
  private lastStatus: RaftStatus;
  private lastInForce: InForce | null = null;

  constructor(deps: NodeDeps<Result>) {
    this.deps = deps;
    this.waiters = new Waiters((result) => deps.machine.resultBytes(result));
    this.lastStatus = deps.raft.status(deps.runtime.now());
    this.sleep = new SleepWatch(deps.runtime, deps.raft.core.options.electionMs);
    deps.snapshots.attach((input) => this.enqueue(input));
  }

  /** Starts the clock. Returns how to stop it; what is under way then still ends by itself. */
  start(): () => void {
    const { raft, runtime } = this.deps;
    return runtime.every(raft.core.options.tickMs, () => this.enqueue({ type: "tick" }));
  }

  /**
   * Takes no part any more, for good: it leads nobody, and nothing more is taken, sent or applied.
   * For a node whose state is wrong. Its log is as good as before.
   */
  retire(): void {
    const { raft } = this.deps;
    raft.resign();
    const { messages, readsLost } = raft.drain();
    this.send(messages);
    for (const token of readsLost) this.answerRead(token, null, "quorum");
    this.isRetired = true;
    this.refuseAll();
    this.tellChange();
  }

  status(): RaftStatus {
    const { raft, runtime } = this.deps;
    return raft.status(runtime.now());
  }

  /** Messages from a peer have arrived. */
  receive(messages: readonly Message[]): void {
    for (const message of messages) this.enqueue({ type: "message", message });
  }

  /** A part of a snapshot has arrived. Answers, once, what to send next. */
  receiveSnapshot(chunk: SnapshotChunk, answer: (answer: ChunkAnswer) => void): void {
    if (this.isRetired) return answer({ type: "refused", reason: "not_wanted" });
    this.deps.snapshots.receive(chunk, this.deps.raft.core, answer);
  }

  /** The peer could not be reached. */
  unreachable(peer: NodeId): void {
    this.enqueue({ type: "unreachable", peer });
  }

  /**
   * Appends commands to the log, all or none. `taken` is told where the first one stands, or that
   * this node did not take them, in which case they will certainly never be applied.
   */
  submit(data: readonly Uint8Array[], taken: (result: Position | Refusal) => void): void {
    this.submissions.push({ data, taken });
    this.wake();
  }

  /**
   * Changes who is a member, all wishes together or none. `taken` is told which entry begins that,
   * or why nothing was done. When it is through, `onConfiguration` tells of it.
   */
  change(changes: readonly MemberChange[], taken: Change["taken"]): void {
    this.changes.push({ changes, taken });
    this.wake();
  }

  /** Hands leadership over; null: to who is furthest. It can fail: `onChange` tells who leads. */
  transfer(target: NodeId | null, begun: TransferAsked["begun"]): void {
    this.transfers.push({ target, begun });
    this.wake();
  }

  /** Who the members are, at this moment. */
  inForce(): InForce {
    const { configurations, log } = this.deps.raft.core;
    const { current: configuration, index } = configurations;
    return { configuration, index, isCommitted: index <= log.committed };
  }

  /** Who the members certainly were, at the entry `index`, and maybe still are. */
  committedMembers(): { readonly index: Index; readonly configuration: Configuration } {
    const { configurations, log } = this.deps.raft.core;
    return configurations.itemAt(log.committed);
  }

  /**
   * What became of the entry that was appended at this place, on whichever node. Null: that is not
   * known before something is committed there.
   */
  fateOf({ index, term }: Position): EntryFate | null {
    const { log } = this.deps.raft.core;
    if (index > log.committed) return null;
    const found = log.termAt(index);
    if (found === null) return "unknown";
    return found === term ? "committed" : "lost";
  }

  /** The peer's clients wait for the entry at `index`: tell it of the commit at once. */
  awaitCommit(peer: NodeId, index: Index): void {
    this.deps.raft.awaitCommit(peer, index);
  }

  /**
   * Tells what becomes of the proposal at this place, on whichever node it was appended. Returns
   * how to cancel that.
   */
  whenApplied(position: Position, done: Waiter<Result>): () => void {
    if (position.index <= this.deps.raft.core.log.applied) {
      this.waiters.tellApplied(position, done);
      return () => {};
    }
    return this.waiters.addProposal(position, done);
  }

  /**
   * Finds an index such that the state there includes every write that was acknowledged before this
   * call (§6.4 of the thesis). Null: this node is not the leader, or ceased to be. `proof`: what
   * will do; a quorum is asked all the same where there is no lease.
   */
  readIndex(done: ReadDone, proof: ReadProof = "quorum"): void {
    this.reads.push({ proof, done });
    this.wake();
  }

  /** Calls `done` when everything up to `index` is applied here. Returns how to cancel that. */
  whenReached(index: Index, done: () => void): () => void {
    if (index <= this.deps.raft.core.log.applied) {
      done();
      return () => {};
    }
    return this.waiters.addIndex(index, done);
  }

  /** The state as it is now, for a copy of it; null: nothing was ever applied. */
  freeze(): FrozenSnapshot | null {
    const { raft, machine } = this.deps;
    const meta = raft.snapshotMeta() ?? raft.core.snapshot;
    return meta === null ? null : frozenSnapshot(meta, machine.freeze());
  }

  /** See Snapshots.request. */
  saveSnapshot(done: (saved: SavedSnapshot) => void): void {
    this.deps.snapshots.request(done);
    this.wake();
  }

  private enqueue(input: Input): void {
    this.inbox.push(input);
    this.wake();
  }

  private wake(): void {
    if (this.awake) return;
    this.awake = true;
    this.deps.runtime.defer(() => this.turn());
  }

  private turn(): void {
    this.awake = false;
    if (this.isRetired) return this.refuseAll();
    const { raft, runtime } = this.deps;
    const inputs = this.inbox;
    this.inbox = [];
    const now = runtime.now();
    for (const input of inputs) raft.step(input, now);
    this.proposeAll();
    this.reconfigure();
    this.readAll();
    this.carryOut(raft.drain());
    this.deps.snapshots.afterTurn(raft);
    this.tellConfiguration();
    this.tellChange();
  }

  private reconfigure(): void {
    if (this.changes.length === 0 && this.transfers.length === 0) return;
    const { raft, runtime } = this.deps;
    const { changes, transfers } = this;
    this.changes = [];
    this.transfers = [];
    const now = runtime.now();
    for (const change of changes) change.taken(raft.change(change.changes, now));
    for (const { target, begun } of transfers) begun(raft.transfer(target, now));
  }

  private refuseAll(): void {
    const { submissions, reads, changes, transfers } = this;
    this.inbox = [];
    this.submissions = [];
    this.reads = [];
    this.changes = [];
    this.transfers = [];
    for (const { taken } of submissions) taken("not_leader");
    for (const { taken } of changes) taken({ refused: "not_leader" });
    for (const { begun } of transfers) begun("not_leader");
    for (const { done, proof } of reads) done(null, proof);
  }

  private proposeAll(): void {
    if (this.submissions.length === 0) return;
    const { raft, runtime } = this.deps;
    const submissions = this.submissions;
    this.submissions = [];
    const now = runtime.now();
    for (const { data, taken } of submissions) taken(raft.propose(data, now));
  }

  private readAll(): void {
    if (this.reads.length === 0) return;
    const reads = this.reads;
    this.reads = [];
    for (const wanted of ["quorum", "lease"] as const) {
      this.readTogether(
        reads.filter(({ proof }) => proof === wanted),
        wanted,
      );
    }
  }

  /** They arrived together, so one confirmation serves them all. */
  private readTogether(reads: readonly ReadAsked[], wanted: ReadProof): void {
    if (reads.length === 0) return;
    const { raft, runtime } = this.deps;
    const token = ++this.readToken;
    const answer: ReadDone = (index, proof) => {
      for (const { done } of reads) done(index, proof);
    };
    const now = runtime.now();
    const lease = wanted === "lease" && !this.sleep.mayHaveSlept(now) ? { now } : null;
    if (raft.read(token, lease)) this.pendingReads.set(token, answer);
    else answer(null, wanted);
  }

  /** Does what the core wants, in the order in which it must be done. */
  private carryOut(ready: Ready): void {
    this.send(ready.messages);
    this.write(ready);
    if (ready.restore !== null) {
      this.deps.snapshots.install(ready.restore);
      this.waiters.skipped(ready.restore.index);
    }
    this.apply(ready);
    for (const { token, index, byLease } of ready.reads) {
      this.answerRead(token, index, byLease ? "lease" : "quorum");
    }
    for (const token of ready.readsLost) this.answerRead(token, null, "quorum");
    const { term } = this.deps.raft.core;
    for (const transfer of ready.snapshotsTo) this.deps.snapshots.sendTo(transfer, term);
    if (ready.moreCommitted) this.wake();
  }

  private write(ready: Ready): void {
    const { write, messagesAfterPersist: promises } = ready;
    if (write === null && promises.length === 0) return;
    this.deps.log.write(write, () => {
      this.send(promises);
      if (write !== null) this.enqueue({ type: "persisted", write: write.number });
    });
  }

  private apply(ready: Ready): void {
    for (const entry of ready.committed) {
      const isCommand = entry.kind === "command";
      const result = isCommand ? this.deps.machine.apply(entry.data, entry.time) : null;
      this.waiters.applied(entry, result);
    }
    this.waiters.reached(this.deps.raft.core.log.applied);
  }

  private answerRead(token: number, index: Index | null, proof: ReadProof): void {
    const answer = this.pendingReads.get(token);
    this.pendingReads.delete(token);
    answer?.(index, proof);
  }

  /** One call per peer, whatever the number of messages. */
  private send(messages: readonly Message[]): void {
    if (messages.length === 0 || this.isRetired) return;
    const byPeer = new Map<NodeId, Message[]>();
    for (const message of messages) {
      const list = byPeer.get(message.to);
      if (list === undefined) byPeer.set(message.to, [message]);
      else list.push(message);
    }
    for (const [peer, list] of byPeer) this.deps.transport.send(peer, list);
  }

  private tellConfiguration(): void {
    const now = this.inForce();
    const before = this.lastInForce;
    const isSame = before?.configuration === now.configuration && before.index === now.index;
    if (isSame && before.isCommitted === now.isCommitted) return;
    this.lastInForce = now;
    this.deps.onConfiguration(now);
  }

  private tellChange(): void {
    const before = this.lastStatus;
    const { term, role, leader, doubt } = this.deps.raft.core;
    const isSame = before.term === term && before.role === role.kind && before.leader === leader;
    if (isSame && before.inDoubt === (doubt !== null)) return;
    this.lastStatus = this.status();
    this.deps.onChange(this.lastStatus, before);
  }
}
