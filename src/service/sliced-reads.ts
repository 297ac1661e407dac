/** Reads of many keys, a slice in each round of the event loop, so that they hold up nobody. */
import type { Slices } from "../kv/range.ts";
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";

/** As many as there may be connections: beyond it, waiting would only take memory. */
const READS_MAX = 4_096;

/** Does a slice of a read. Returns whether the read has ended. */
type Step = () => boolean;

/** Reads under way, which take turns. */
export class SlicedReads {
  readonly #clock: Clock;
  readonly #reads: Step[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves to what the slices return. Rejects with what they throw, or at the deadline. */
  run<Result>(slices: Slices<Result>, deadline: Millis): Promise<Result> {
    if (this.#reads.length >= READS_MAX) {
      const text = "this node has more reads under way than it can hold";
      return Promise.reject(new ServiceError("OVERLOADED", text));
    }
    return new Promise((resolve, reject) => {
      const step: Step = () => {
        try {
          const isLate = this.#clock.now() >= deadline;
          const next = isLate ? slices.throw(tooLong()) : slices.next();
          if (next.done !== true) return false;
          resolve(next.value);
        } catch (error) {
          reject(error);
        }
        return true;
      };
      this.#reads.push(step);
      if (this.#reads.length === 1) this.#defer();
    });
  }

  #defer(): void {
    this.#clock.defer(() => {
      const step = this.#reads.shift();
      if (step !== undefined && !step()) this.#reads.push(step);
      if (this.#reads.length > 0) this.#defer();
    });
  }
}

function tooLong(): ServiceError {
  const text = "this is too much to be read in time: ask for a smaller range or give it more time";
  return new ServiceError("READ_TIMEOUT", text);
}
