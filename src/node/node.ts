/** The driver: everything around one Raft core happens here, in turns. */
import type { Input, Message, Ready, Refusal, Write } from "../raft/message.ts";
import type { Raft, RaftStatus } from "../raft/raft.ts";
import type { Index, NodeId, Position } from "../raft/types.ts";
import type { Runtime, StateMachine, Transport } from "./ports.ts";
import type { SnapshotChunk } from "./incoming.ts";
import type { ChunkAnswer, Snapshots } from "./snapshots.ts";
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
}

/** Commands to append together, and who is told where they stand. */
interface Submission {
  readonly data: readonly Uint8Array[];
  readonly taken: (result: Position | Refusal) => void;
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
  private reads: ((index: Index | null) => void)[] = [];
  private readonly pendingReads = new Map<number, (index: Index | null) => void>();
  private readToken = 0;
  private awake = false;
  private lastStatus: RaftStatus;

  constructor(deps: NodeDeps<Result>) {
    this.deps = deps;
    this.waiters = new Waiters((result) => deps.machine.resultBytes(result));
    this.lastStatus = deps.raft.status(deps.runtime.now());
    deps.snapshots.attach((input) => this.enqueue(input));
  }

  /** Starts the clock. Returns how to stop it; what is under way then still ends by itself. */
  start(): () => void {
    const { raft, runtime } = this.deps;
    return runtime.every(raft.core.options.tickMs, () => this.enqueue({ type: "tick" }));
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
   * call (§6.4 of the thesis). Null: this node is not the leader, or ceased to be.
   */
  readIndex(done: (index: Index | null) => void): void {
    this.reads.push(done);
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
    const { raft, runtime } = this.deps;
    const inputs = this.inbox;
    this.inbox = [];
    const now = runtime.now();
    for (const input of inputs) raft.step(input, now);
    this.proposeAll();
    this.readAll();
    this.carryOut(raft.drain());
    this.deps.snapshots.afterTurn(raft);
    this.tellChange();
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
    // They arrived together, so one confirmation serves them all.
    const token = ++this.readToken;
    const answer = (index: Index | null) => {
      for (const done of reads) done(index);
    };
    if (this.deps.raft.read(token)) this.pendingReads.set(token, answer);
    else answer(null);
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
    for (const { token, index } of ready.reads) this.answerRead(token, index);
    for (const token of ready.readsLost) this.answerRead(token, null);
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

  private answerRead(token: number, index: Index | null): void {
    const answer = this.pendingReads.get(token);
    this.pendingReads.delete(token);
    answer?.(index);
  }

  /** One call per peer, whatever the number of messages. */
  private send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const byPeer = new Map<NodeId, Message[]>();
    for (const message of messages) {
      const list = byPeer.get(message.to);
      if (list === undefined) byPeer.set(message.to, [message]);
      else list.push(message);
    }
    for (const [peer, list] of byPeer) this.deps.transport.send(peer, list);
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
