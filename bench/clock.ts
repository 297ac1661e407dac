/** One clock for all processes of this machine. */

/** Milliseconds since some moment that is the same for all processes, and never goes back. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
