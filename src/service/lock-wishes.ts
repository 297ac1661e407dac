/** What is wanted of locks. */

/** Who wants a lock, for how long, and for how long they wait for it. */
export interface LockWish {
  readonly name: string;
  /** Whoever asks under the same name is the same: a retry finds what it has, and its place. */
  readonly owner: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  /** For what is to be done about it besides waiting. */
  readonly timeoutMs: number;
  /** The request's own name; null: it has none. */
  readonly idempotencyKey: string | null;
}

/** What a holder wants of its lock. */
export interface HolderWish {
  readonly name: string;
  readonly token: number;
  readonly timeoutMs: number;
}

/** A lock to give back. */
export interface ReleaseWish extends HolderWish {
  /** The request's own name; null: it has none. */
  readonly idempotencyKey: string | null;
}
