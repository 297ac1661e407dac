/** A bound on retries, so that clients do not add to the load of servers that have too much. */

/** Retries for each request, in the long run. */
const SHARE = 0.1;
/** Retries that may come at once: all that is under way when a node dies. */
const BURST = 100;

/** About one retry for ten requests. */
export class RetryBudget {
  #left = BURST;

  /** Tells of a request. */
  earn(): void {
    this.#left = Math.min(BURST, this.#left + SHARE);
  }

  /** Whether there may be a retry, which is then counted. */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

const PAUSE_FIRST_MS = 50;
const PAUSE_MAX_MS = 2_000;

/** How long to wait before the retry with this number, from 1: longer each time, and by chance. */
export function pauseMs(retry: number): number {
  const longest = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** retry);
  return longest / 2 + (Math.random() * longest) / 2;
}
