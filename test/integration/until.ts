/** Waiting for what must become true, and saying what did not. */
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 10;

/**
 * Asks again and again until there is an answer that is not null or false, and returns it. Fails,
 * saying what was waited for, after `timeoutMs`.
 */
export async function until<T>(
  what: string,
  check: () => Promise<T | null | false> | T | null | false,
  timeoutMs = 10_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== null && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}
