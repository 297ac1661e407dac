/** The definition of linearizability, tried out in every order: for a few operations of one key. */
import type { Operation } from "./history.ts";
import { ABSENT, type KeyState, step } from "./model.ts";

/** Whether some order explains every answer and keeps to time. */
export function isLinearizable(operations: readonly Operation[]): boolean {
  return explore(
    operations.filter(({ outcome }) => outcome !== "failed"),
    ABSENT,
  );
}

function explore(left: readonly Operation[], state: KeyState): boolean {
  if (left.every(({ outcome }) => outcome === "unknown")) return true;
  return left.some((operation) => {
    const others = left.filter((each) => each !== operation);
    const isTooEarly = others.some(({ return: end }) => end !== null && end < operation.call);
    if (isTooEarly) return false;
    const after = step(state, operation);
    return after !== null && explore(others, after);
  });
}
