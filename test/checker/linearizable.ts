/** Whether a history is linearizable, key by key, with or without a look at revisions. */
import type { Operation, Out } from "./history.ts";
import { Search } from "./search.ts";

export interface CheckOptions {
  /** Judge by values and versions alone, as if no answer had told a revision. */
  readonly ignoreRevisions?: boolean;
  /** Steps of the search, over all keys: about a million a second. */
  readonly stepsMax?: number;
}

/**
 * `unknown` says nothing for the system that was tested: the search was given up. Whoever asks must
 * not take it for a pass.
 */
export type Verdict =
  | { readonly verdict: "ok" }
  | { readonly verdict: "illegal"; readonly failure: Failure }
  | { readonly verdict: "unknown"; readonly keys: readonly string[] };

/** Where a history cannot be explained. */
export interface Failure {
  readonly key: string;
  /** All operations on that key that tell anything, by the time of their calls. */
  readonly operations: readonly Operation[];
  /** The longest order that explains what is in it. */
  readonly placed: readonly Operation[];
}

const STEPS_MAX = 20_000_000;
const FIRST_STEPS = 2_000;
/** Sets of placed operations in memory: some 100 bytes each. */
const REMEMBERED_MAX = 4_000_000;

/**
 * Checks every key by itself, which is enough (Herlihy and Wing). Each key gets a few steps in turn
 * and more the next time, so one that is hard does not hide one that is wrong.
 */
export function checkHistory(
  operations: readonly Operation[],
  options: CheckOptions = {},
): Verdict {
  const { ignoreRevisions = false, stepsMax = STEPS_MAX } = options;
  let open = [...byKey(operations, ignoreRevisions)].map(([key, list]) => {
    return { key, list, search: new Search(list) };
  });
  let left = stepsMax;
  for (let steps = FIRST_STEPS; open.length > 0; steps *= 4) {
    const undecided: typeof open = [];
    for (const each of open) {
      const grant = Math.min(steps, left);
      if (grant === 0) return { verdict: "unknown", keys: open.map(({ key }) => key) };
      left -= grant;
      const result = each.search.run(grant);
      if (result === "illegal") return { verdict: "illegal", failure: failureOf(each) };
      if (result === "more") undecided.push(each);
    }
    open = undecided;
    const remembered = open.reduce((sum, { search }) => sum + search.remembered, 0);
    if (remembered > REMEMBERED_MAX) {
      return { verdict: "unknown", keys: open.map(({ key }) => key) };
    }
  }
  return { verdict: "ok" };
}

/** What tells nothing is left out: what surely was not done, and reads without an answer. */
function byKey(operations: readonly Operation[], ignoreRevisions: boolean) {
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const { key, op, outcome } = operation;
    if (outcome === "failed" || (op === "get" && outcome === "unknown")) continue;
    const list = keys.get(key);
    const seen = ignoreRevisions ? withoutRevisions(operation) : operation;
    if (list === undefined) keys.set(key, [seen]);
    else list.push(seen);
  }
  for (const list of keys.values()) list.sort((a, b) => a.call - b.call);
  return keys;
}

function withoutRevisions(operation: Operation): Operation {
  if (operation.out === undefined) return operation;
  const { version, value, deleted } = operation.out;
  const out: Out = { version, value, deleted };
  return { ...operation, out };
}

function failureOf(each: { key: string; list: readonly Operation[]; search: Search }): Failure {
  const placed = each.search.longest.map((id) => each.list[id] as Operation);
  return { key: each.key, operations: each.list, placed };
}
