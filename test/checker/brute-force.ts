/** The definition of linearizability, tried out in every order: for a few operations. */
import { groupsOf } from "./groups.ts";
import type { AnyOperation } from "./history.ts";
import { carryOut, emptyStore, type StoreState } from "./store.ts";
import type { Task } from "./task.ts";

/** Whether some order explains every answer and keeps to time, for each group of keys. */
export function isLinearizable(operations: readonly AnyOperation[]): boolean {
  const groups = groupsOf(operations, { ignoreRevisions: false });
  return groups.every(({ names, tasks }) => explore(tasks, emptyStore(names.length)));
}

function explore(left: readonly Task[], state: StoreState): boolean {
  if (left.every(({ operation }) => operation.outcome === "unknown")) return true;
  return left.some((task) => {
    const others = left.filter((each) => each !== task);
    const { call } = task.operation;
    const isTooEarly = others.some((other) => (other.operation.return ?? call) < call);
    if (isTooEarly) return false;
    const after = carryOut(state, task);
    return after !== null && explore(others, after);
  });
}
