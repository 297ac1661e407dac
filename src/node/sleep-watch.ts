/**
 * Whether the machine has slept. The monotonic clock stands still meanwhile, so a lease would seem
 * to be valid that is long over (R10).
 */
import type { Millis } from "../raft/types.ts";
import type { Runtime } from "./ports.ts";

/** Both clocks are read one after the other, and the one that counts sleep is exact to 10 ms. */
const TOLERANCE_MS = 50;

export class SleepWatch {
  readonly #runtime: Pick<Runtime, "now" | "awakeAndAsleep">;
  readonly #holdMs: number;
  /** By how much the clock that counts sleep is ahead. */
  #aheadMs: number;
  #distrustUntil = Number.NEGATIVE_INFINITY;

  /** `holdMs`: as long as no lease lasts longer. */
  constructor(runtime: Pick<Runtime, "now" | "awakeAndAsleep">, holdMs: number) {
    this.#runtime = runtime;
    this.#holdMs = holdMs;
    this.#aheadMs = this.#read(runtime.now());
  }

  /** Whether what began before now may have begun before a sleep. */
  mayHaveSlept(now: Millis): boolean {
    const aheadMs = this.#read(now);
    if (aheadMs > this.#aheadMs + TOLERANCE_MS) this.#distrustUntil = now + this.#holdMs;
    this.#aheadMs = Math.max(this.#aheadMs, aheadMs);
    return now < this.#distrustUntil;
  }

  #read(now: Millis): number {
    return this.#runtime.awakeAndAsleep() - now;
  }
}
