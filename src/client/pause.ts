/** Waiting that can be ended. */
import { setTimeout as sleep } from "node:timers/promises";

/** Timers that are longer would fire at once. */
export const TIMER_MAX_MS = 2 ** 31 - 1;

/** Resolves after so many milliseconds, or after 24 days; rejects with the signal's reason. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(Math.min(ms, TIMER_MAX_MS), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted(); // The reason itself, and not an error about it.
    throw error;
  }
}
