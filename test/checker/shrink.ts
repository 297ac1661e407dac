/** Makes a failing history small: operations are left out as long as it still fails. */
import type { AnyOperation } from "./history.ts";

/** How often `fails` is asked, at most: each may take as long as the check of the whole. */
const QUESTIONS_MAX = 2_000;

/**
 * The operations that are needed for the failure, in their order. Leaving out a write that was read
 * makes a history fail for another reason, so `fails` must look for the same kind of failure.
 */
export function shrink(
  operations: readonly AnyOperation[],
  fails: (operations: readonly AnyOperation[]) => boolean,
): readonly AnyOperation[] {
  let kept = operations;
  let questions = 0;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < kept.length && questions < QUESTIONS_MAX; ) {
      const without = [...kept.slice(0, from), ...kept.slice(from + size)];
      questions++;
      if (without.length > 0 && fails(without)) kept = without;
      else from += size;
    }
  }
  return kept;
}
