/** Who waits for what to be applied, and what they are told. */
import { must } from "../lib/assert.ts";
import type { Index, Position, Term } from "../raft/types.ts";

/**
 * What became of a proposal.
 *
 * - `applied`: it is committed and applied here, with this result.
 * - `lost`: another entry is committed in its place; it never was and never will be applied.
 * - `unknown`: this node skipped over its place by a snapshot, and cannot tell.
 */
export type Outcome<Result> =
  | { readonly kind: "applied"; readonly result: Result; readonly index: Index }
  | { readonly kind: "lost" }
  | { readonly kind: "unknown" };

/** Called once, unless it is cancelled before. */
export type Waiter<Result> = (outcome: Outcome<Result>) => void;

interface WaitingProposal<Result> {
  readonly term: Term;
  readonly done: Waiter<Result>;
}

/**
 * A proposal that another node appended may be applied here before that node's answer says where
 * it stands. So the last results are kept for a while.
 */
const RECENT_MAX = 8192;
/** Results may carry values. */
const RECENT_BYTES_MAX = 32 * 1024 * 1024;

interface Applied<Result> {
  readonly position: Position;
  readonly result: Result | null;
  readonly bytes: number;
}

/** Waiting proposals by their place in the log, and waiting reads by the index they need. */
export class Waiters<Result> {
  /** By index, the oldest first. */
  private readonly recent = new Map<Index, Applied<Result>>();
  private recentBytes = 0;
  private readonly bytesOf: (result: Result) => number;
  private readonly proposals = new Map<Index, WaitingProposal<Result>[]>();
  private indexes: { readonly index: Index; readonly done: () => void }[] = [];

  /** `bytesOf` says how much memory a result keeps alive. */
  constructor(bytesOf: (result: Result) => number) {
    this.bytesOf = bytesOf;
  }

  /** Tells of a place that was applied already: `unknown` if that is too long ago. */
  tellApplied(position: Position, done: Waiter<Result>): void {
    const recent = this.recent.get(position.index);
    if (recent === undefined) done({ kind: "unknown" });
    else tell(position.term, done, recent);
  }

  /** Calls `done` when the entry at this place is applied. Returns how to cancel that. */
  addProposal(position: Position, done: Waiter<Result>): () => void {
    const { index, term } = position;
    const waiting = { term, done };
    const list = this.proposals.get(index);
    if (list === undefined) this.proposals.set(index, [waiting]);
    else list.push(waiting);
    return () => this.removeProposal(index, waiting);
  }

  /** Calls `done` when everything up to `index` is applied. Returns how to cancel that. */
  addIndex(index: Index, done: () => void): () => void {
    const waiting = { index, done };
    this.indexes.push(waiting);
    return () => {
      this.indexes = this.indexes.filter((other) => other !== waiting);
    };
  }

  /** The entry at this place was applied; `result` is null for an entry that is no command. */
  applied({ index, term }: Position, result: Result | null): void {
    const bytes = result === null ? 0 : this.bytesOf(result);
    const applied = { position: { index, term }, result, bytes };
    this.remember(applied);
    const list = this.proposals.get(index);
    if (list === undefined) return;
    this.proposals.delete(index);
    for (const waiting of list) tell(waiting.term, waiting.done, applied);
  }

  /** The state jumped to `index` by a snapshot. */
  skipped(index: Index): void {
    for (const [at, list] of this.proposals) {
      if (at > index) continue;
      this.proposals.delete(at);
      for (const { done } of list) done({ kind: "unknown" });
    }
  }

  /** Everything up to `index` is applied. */
  reached(index: Index): void {
    if (this.indexes.length === 0) return;
    const ready = this.indexes.filter((waiting) => waiting.index <= index);
    if (ready.length === 0) return;
    this.indexes = this.indexes.filter((waiting) => waiting.index > index);
    for (const { done } of ready) done();
  }

  private remember(applied: Applied<Result>): void {
    this.recent.set(applied.position.index, applied);
    this.recentBytes += applied.bytes;
    for (const [index, { bytes }] of this.recent) {
      if (this.recent.size <= RECENT_MAX && this.recentBytes <= RECENT_BYTES_MAX) return;
      this.recent.delete(index);
      this.recentBytes -= bytes;
    }
  }

  private removeProposal(index: Index, waiting: WaitingProposal<Result>): void {
    const list = this.proposals.get(index);
    if (list === undefined) return;
    const rest = list.filter((other) => other !== waiting);
    if (rest.length === 0) this.proposals.delete(index);
    else this.proposals.set(index, rest);
  }
}

function tell<Result>(
  term: Term,
  done: Waiter<Result>,
  applied: { readonly position: Position; readonly result: Result | null },
): void {
  const { position, result } = applied;
  if (term !== position.term) done({ kind: "lost" });
  else done({ kind: "applied", result: must(result, "a command"), index: position.index });
}
