/** The truth about keys that are used together: a sequential store, one task after another. */
import {
  ABSENT,
  afterIncrement,
  afterPut,
  agreed,
  type Change,
  holds,
  identity,
  type KeyState,
} from "./model.ts";
import type { ComparisonAt, Step, Task } from "./task.ts";

export interface StoreState {
  /** By their numbers. */
  readonly keys: readonly KeyState[];
  /** The newest that was told so far. */
  readonly revision: number;
}

/** Before anything was written. */
export function emptyStore(keys: number): StoreState {
  return { keys: Array<KeyState>(keys).fill(ABSENT), revision: 0 };
}

/**
 * The store after the task, if it may take effect on one like this with the answer that was given;
 * null if it may not. Revisions are compared where both sides know one.
 */
export function carryOut(state: StoreState, task: Task): StoreState | null {
  const { revision, storeRevision } = task;
  if (revision !== null && revision <= state.revision) return null;
  if (storeRevision !== null && storeRevision < state.revision) return null;
  const decided = judge(task.compares, state.keys);
  const succeeded = task.succeeded ?? decided;
  // Where a revision decides that is not known, the answer tells how; without one, either may be.
  if (succeeded === null || (decided !== null && decided !== succeeded)) return null;
  const keys = [...state.keys];
  for (const step of succeeded ? task.success : task.failure) {
    if (!carryOutStep(keys, step, revision)) return null;
  }
  // What nobody was told of, and changes nothing, need not be done.
  const isIdle = keys.every((key, at) => key === state.keys[at]);
  if (isIdle && task.operation.outcome === "unknown") return null;
  return { keys, revision: Math.max(state.revision, revision ?? 0, storeRevision ?? 0) };
}

/** Equal where two states can be told apart by nothing that follows. */
export function storeIdentity({ keys, revision }: StoreState): string {
  return keys.length === 1
    ? `${revision} ${identity(keys[0] ?? ABSENT)}`
    : `${revision} ${keys.map(identity).join("\n")}`;
}

/** Null: that depends on a revision that is not known. */
function judge(compares: readonly ComparisonAt[], keys: readonly KeyState[]): boolean | null {
  let result: boolean | null = true;
  for (const compare of compares) {
    const one = holds(keys[compare.at] ?? ABSENT, compare);
    if (one === false) return false;
    if (one === null) result = null;
  }
  return result;
}

/** Changes `keys`. False: the answer cannot be. */
function carryOutStep(keys: KeyState[], step: Step, revision: number | null): boolean {
  if (step.kind === "delete") return remove(keys, step);
  if (step.kind === "range") return agreesWithRange(keys, step);
  if (step.kind === "expire") {
    for (const at of step.keys) if (keys[at]?.lease === step.lease) keys[at] = ABSENT;
    return true;
  }
  const before = keys[step.at] ?? ABSENT;
  const after = afterStep(before, step, { told: step.told, revision });
  if (after === null) return false;
  keys[step.at] = after;
  return true;
}

/** What a step on one key makes of it; null: it cannot be, with what was told. */
export function afterStep(
  before: KeyState,
  step: Extract<Step, { readonly kind: "get" | "put" | "increment" }>,
  change: Change,
): KeyState | null {
  switch (step.kind) {
    case "get":
      return step.told === null ? before : agreed(before, step.told);
    case "put":
      return afterPut(before, step, change);
    case "increment":
      return afterIncrement(before, step.by, change);
  }
}

function remove(keys: KeyState[], step: Extract<Step, { readonly kind: "delete" }>): boolean {
  let deleted = 0;
  for (const at of step.keys) {
    if ((keys[at] ?? ABSENT).version > 0) deleted += 1;
    keys[at] = ABSENT;
  }
  return step.told?.deleted === undefined || step.told.deleted === deleted;
}

function agreesWithRange(
  keys: KeyState[],
  step: Extract<Step, { readonly kind: "range" }>,
): boolean {
  let count = 0;
  for (const at of step.keys) {
    const state = keys[at] ?? ABSENT;
    if (state.version === 0) continue;
    count += 1;
    if (count > step.limit) continue;
    const told = step.items.get(at);
    const after = told === undefined ? null : agreed(state, told);
    if (after === null) return false;
    keys[at] = after;
  }
  const isWhole = Math.min(count, step.limit) === step.items.size;
  return isWhole && (step.count === null || step.count === count);
}
