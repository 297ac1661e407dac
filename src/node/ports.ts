/** What a node needs from the world. Production and the simulator each bring their own. */
import type { Message } from "../raft/message.ts";
import type { ClusterTime, Millis, NodeId } from "../raft/types.ts";

/** Time and turns. Production uses the event loop; the simulator uses its event queue. */
export interface Runtime {
  /** Monotonic, not affected by changes of the wall clock. */
  now(): Millis;
  /** In milliseconds, from whenever: as `now`, but it goes on while the machine sleeps. */
  awakeAndAsleep(): number;
  /** Runs `turn` soon, after the input that is already waiting has been delivered. */
  defer(turn: () => void): void;
  /** Runs `run` every `ms` until the returned function is called. */
  every(ms: number, run: () => void): () => void;
}

/** Best-effort delivery. Never throws, never blocks, may drop: Raft resends. */
export interface Transport {
  send(to: NodeId, messages: readonly Message[]): void;
  /**
   * Streams the snapshot file to a peer, on a lane of its own, and calls `done` once.
   * `name` stays readable until then.
   */
  sendSnapshot(to: NodeId, snapshot: OutgoingSnapshot, done: (ok: boolean) => void): void;
}

/** A snapshot file to send, and the term in which the sender leads. */
export interface OutgoingSnapshot {
  readonly name: string;
  readonly bytes: number;
  readonly term: number;
}

/** Deterministic: the same commands in the same order give the same results and bytes. */
export interface StateMachine<Result> {
  /** Called for the data of every committed entry that is a command, in order. May keep it. */
  apply(command: Uint8Array, time: ClusterTime): Result;
  /** How much memory the result keeps alive, about. */
  resultBytes(result: Result): number;
  /** A view of the state as it is now, which later changes do not touch. */
  freeze(): FrozenState;
  /** Begins to read a snapshot, beside the present state. */
  restorer(): Restorer;
}

/** A frozen state, encoded bit by bit so that nobody waits for the whole. */
export interface FrozenState {
  /**
   * The encoding, in pieces of at most about 256 KiB, each quick to make. An empty one says that
   * there was work and nothing to write: a pause, to be left out.
   */
  chunks(): Iterator<Uint8Array>;
  /** Must be called once when the view is no longer needed. */
  release(): void;
}

/** Builds a state from the chunks of a snapshot. */
export interface Restorer {
  /** The next chunk, cut as `chunks()` cut it. Throws MalformedError where it makes no sense. */
  feed(chunk: Uint8Array): void;
  /** Replaces the state machine's state by what was read, at once. */
  commit(): void;
}
