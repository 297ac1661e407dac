/** Time for requests: what a deadline is measured by, and how waiting ends. */
import type { Millis } from "../raft/types.ts";

/** Monotonic time and timers. */
export interface Clock {
  now(): Millis;
  /** Runs `run` once after `ms`, unless the returned function is called before. */
  after(ms: number, run: () => void): () => void;
  /** Runs `run` soon, after the input that is already waiting has been delivered. */
  defer(run: () => void): void;
}
