/** Signals that ask this program to end. */
import { Interrupted } from "./exit.ts";

export const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Does work that such a signal ends: it is given an AbortSignal, whose reason is then Interrupted.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ending = new AbortController();
  const end = (name: NodeJS.Signals) => ending.abort(new Interrupted(name));
  for (const name of ENDING_SIGNALS) process.on(name, end);
  try {
    return await work(ending.signal);
  } finally {
    for (const name of ENDING_SIGNALS) process.off(name, end);
  }
}
