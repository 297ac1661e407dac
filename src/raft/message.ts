/** What nodes say to each other, what can happen to a node, and what it wants done. */
import type { Entry } from "./entry.ts";
import type { ConfirmedRead } from "./read-index.ts";
import type { HardState, Index, NodeId, SnapshotMeta, Term } from "./types.ts";

/**
 * A message between two nodes. May be lost, repeated, delayed or reordered. `term` is the sender's
 * term when it spoke, so a receiver can tell a voice from the past.
 */
export type Message = { readonly from: NodeId; readonly to: NodeId; readonly term: Term } & Body;

export type Body =
  /** Would you vote for me in `term + 1`? Changes nothing at the receiver (§9.6 of the thesis). */
  | {
      readonly type: "prevote";
      readonly round: number;
      readonly lastIndex: Index;
      readonly lastTerm: Term;
    }
  /** `round` repeats the question's, so that an answer to an older round is not counted. */
  | { readonly type: "prevoted"; readonly round: number; readonly granted: boolean }
  /** `isTransfer`: the leader itself has asked the candidate to stand, so nobody is loyal to it. */
  | {
      readonly type: "vote";
      readonly lastIndex: Index;
      readonly lastTerm: Term;
      readonly isTransfer: boolean;
    }
  | { readonly type: "voted"; readonly granted: boolean }
  | {
      readonly type: "append";
      readonly prevIndex: Index;
      readonly prevTerm: Term;
      readonly entries: readonly Entry[];
      readonly commit: Index;
    }
  /** Everything up to `matched` is on this node's disk and equal to the leader's log. */
  | { readonly type: "appended"; readonly matched: Index }
  /** The same of a node in doubt: it says how far it is, and promises nothing. */
  | { readonly type: "copied"; readonly matched: Index }
  /**
   * The log does not hold the append's `prevIndex`. `hint` is the last index that may agree, and
   * `hintTerm` the term of the entry there.
   */
  | {
      readonly type: "refused";
      readonly prevIndex: Index;
      readonly hint: Index;
      readonly hintTerm: Term;
    }
  /** The leader lives; everything up to `commit` is committed. */
  | { readonly type: "heartbeat"; readonly commit: Index; readonly readSeq: number }
  | { readonly type: "heard"; readonly readSeq: number }
  /** The answer of a node in doubt to a heartbeat: it asks to be made certain (doubt.ts). */
  | { readonly type: "rejoin"; readonly incarnation: string }
  /** Stand for election now: the leader hands over to you (§3.10 of the thesis). Not answered. */
  | { readonly type: "timeoutNow" }
  /** A commit that no append has carried. Not answered. */
  | { readonly type: "commit"; readonly commit: Index }
  /** A snapshot of the leader that the receiver's driver has fetched, checked and made ready. */
  | { readonly type: "snapshot"; readonly meta: SnapshotMeta }
  /** The answer to a leader of an older term: its time is over. */
  | { readonly type: "stale" };

/** Everything that can happen to a node, besides `propose` and `read`. */
export type Input =
  /** Look at the deadlines. */
  | { readonly type: "tick" }
  | { readonly type: "message"; readonly message: Message }
  /** The write with this number, and every one before it, is on disk. */
  | { readonly type: "persisted"; readonly write: number }
  /** The peer could not be reached: what is in flight to it is probably lost. */
  | { readonly type: "unreachable"; readonly peer: NodeId }
  /** This transfer of a snapshot to the peer has ended, well or not. */
  | ({ readonly type: "snapshotSent"; readonly ok: boolean } & SnapshotTransfer)
  | SnapshotSaved;

/**
 * A snapshot of the applied state is on disk: entries up to `compactTo` may go. A leader keeps what
 * a follower still lacks that it has sent a snapshot to; `isUrgent`: not even that, as memory runs
 * out.
 */
export interface SnapshotSaved {
  readonly type: "snapshotSaved";
  readonly meta: SnapshotMeta;
  readonly compactTo: Index;
  readonly isUrgent: boolean;
}

/** What must be on disk, together, before `messagesAfterPersist` may be sent. */
export interface Write {
  /** Counts up by one; told back by the input `persisted`. */
  readonly number: number;
  /** Null: unchanged. */
  readonly hardState: HardState | null;
  /** Not null: the log is replaced by a snapshot and begins anew after it. */
  readonly reset: SnapshotMeta | null;
  /** Contiguous. The first one's index may be in the log already: it replaces all from there on. */
  readonly entries: readonly Entry[];
}

/** What the driver must do after a batch of inputs, in the order of the fields. */
export interface Ready {
  /** Send now. */
  readonly messages: readonly Message[];
  /** Write to the log, then fsync once, then say `persisted`. Null: nothing. */
  readonly write: Write | null;
  /** Send once everything written so far is on disk: votes and acks promise durability. */
  readonly messagesAfterPersist: readonly Message[];
  /** Replace the state machine's state with this snapshot, made ready before, then go on. */
  readonly restore: SnapshotMeta | null;
  /** Apply in order. */
  readonly committed: readonly Entry[];
  /** More is committed than was handed out: drain again soon. */
  readonly moreCommitted: boolean;
  /** Reads that may be served from the state at `index` or later. */
  readonly reads: readonly ConfirmedRead[];
  /** Reads that this node can no longer vouch for: it is not the leader any more. */
  readonly readsLost: readonly number[];
  /** Send the newest snapshot to these peers: the log no longer reaches back far enough. */
  readonly snapshotsTo: readonly SnapshotTransfer[];
}

/** The numbers tell transfers apart: a newer one to a peer may end an older one, and that late. */
export interface SnapshotTransfer {
  readonly peer: NodeId;
  readonly transfer: number;
}

/** Why a proposal was not taken. It is certain that it will never be applied. */
export type Refusal = "not_leader" | "busy";
