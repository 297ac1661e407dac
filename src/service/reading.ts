/** What reads want, and what they find. */
import type { KeyValue } from "../kv/version.ts";
import type { ManyReading } from "./many-reads.ts";

/**
 * `linearizable`: sees all that was acknowledged before. `lease`: the same, as far as clocks keep
 * to the bound that the operator has set. `stale`: from this node's own state, at once.
 */
export type Consistency = "linearizable" | "lease" | "stale";

/** How a read wants to be answered. */
export interface ReadOptions {
  /** Where the leader has no lease, `lease` is answered as `linearizable`. */
  readonly consistency: Consistency;
  /** Not if the leader was last heard longer ago than this. Null: however long ago. */
  readonly maxStaleMs: number | null;
  /** Not before the store has reached this revision. Null: at once. */
  readonly minRevision: number | null;
  readonly timeoutMs: number;
}

/** A key, as it was found. */
export interface Reading {
  readonly found: KeyValue | null;
  /** Of the store when it was read. */
  readonly storeRevision: number;
  /** Of a stale read: for how long the leader had not been heard then; null: it never was. */
  readonly lastContactMs: number | null;
  /** How it was read. */
  readonly consistency: Consistency;
}

/** Many keys, as they were found at one revision. */
export interface Listing<Found> extends ManyReading<Found> {
  /** As in `Reading`. */
  readonly lastContactMs: number | null;
  readonly consistency: Consistency;
}

/** How long a key lives. */
export interface Life {
  /** The lease that it hangs on, if others may name it. */
  readonly lease: number | null;
  /** Null: for ever. */
  readonly ttlMs: number | null;
}
