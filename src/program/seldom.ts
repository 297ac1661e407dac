/** What should be said, but not every time. */

/** Does it at most once in `pauseMs`; what comes in between is dropped. */
export function seldom<Args extends readonly unknown[]>(
  pauseMs: number,
  run: (...args: Args) => void,
): (...args: Args) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now - last < pauseMs) return;
    last = now;
    run(...args);
  };
}
