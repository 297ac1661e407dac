/** Bounds of the service. */
import type { Retention } from "../kv/retention.ts";
import type { WatchLimits } from "../watch/limits.ts";
import type { WriteLimits } from "./writes.ts";

export interface ServiceLimits {
  readonly writes: WriteLimits;
  /** For a leader to answer another node. */
  readonly callTimeoutMs: number;
  readonly retention: Retention;
  /** Of watches, where they are not the usual ones. */
  readonly watches?: Partial<WatchLimits>;
}

const MIB = 1024 * 1024;

/** Limits that fit an election timeout. */
export function serviceLimits(electionMs: number): ServiceLimits {
  return {
    // A second of writes, as many as a leader takes in.
    writes: { writesMax: 20_000, bytesMax: 128 * MIB },
    // Long after an answer was to be expected, and soon enough to say that there was none.
    callTimeoutMs: 4 * electionMs,
    // What a client that was away for some minutes has missed can still be told.
    retention: { ageMs: 5 * 60_000, bytesMax: 64 * MIB },
  };
}
