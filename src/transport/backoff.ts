/** How long to leave a peer alone that did not answer: longer each time, and never in step. */
import type { Random } from "../lib/random.ts";

export interface BackoffOptions {
  readonly minMs: number;
  /** How late, at most, a peer that came back is noticed. */
  readonly maxMs: number;
  readonly random: Random;
}

/** Doubles from `minMs` to `maxMs`; each wait is between half of that and all of it. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  reset(): void {
    this.#failures = 0;
  }

  /** Waits, longer than the last time. Returns early, and never throws, when `signal` fires. */
  wait(signal: AbortSignal): Promise<void> {
    const { minMs, maxMs, random } = this.#options;
    const ceiling = Math.ceil(Math.min(maxMs, minMs * 2 ** this.#failures));
    this.#failures += 1;
    return sleep(ceiling / 2 + random.below(Math.ceil(ceiling / 2) + 1), signal);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}
