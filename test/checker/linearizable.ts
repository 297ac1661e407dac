/** Whether a history is linearizable, by groups of keys, with or without a look at revisions. */
import { type Group, groupsOf } from "./groups.ts";
import type { AnyOperation } from "./history.ts";
import { Search } from "./search.ts";
import type { Task } from "./task.ts";

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
  | {
      readonly verdict: "ok";
      /** Groups of keys that were not searched, as only the check by witness can judge them. */
      readonly leftToWitness?: readonly string[];
    }
  | { readonly verdict: "illegal"; readonly failure: Failure }
  | { readonly verdict: "unknown"; readonly keys: readonly string[] };

/** Where a history cannot be explained. */
export interface Failure {
  /** The key or, where operations have joined several, all of them. */
  readonly key: string;
  /** All operations on them that tell anything, by the time of their calls. */
  readonly operations: readonly AnyOperation[];
  /** The longest order that explains what is in it. */
  readonly placed: readonly AnyOperation[];
}

const STEPS_MAX = 20_000_000;
const FIRST_STEPS = 2_000;
/** Sets of placed operations in memory: some 100 bytes each. */
const REMEMBERED_MAX = 4_000_000;
/** In one group of several keys. What is remembered of each step grows with them. */
const JOINED_MAX = 5_000;

interface Searched {
  readonly key: string;
  readonly group: Group;
  readonly search: Search;
}

/**
 * Checks every group by itself, which is enough (Herlihy and Wing). Each gets a few steps in turn
 * and more the next time, so one that is hard does not hide one that is wrong.
 */
export function checkHistory(
  operations: readonly AnyOperation[],
  options: CheckOptions = {},
): Verdict {
  const { ignoreRevisions = false, stepsMax = STEPS_MAX } = options;
  const groups = groupsOf(operations, { ignoreRevisions });
  const left = groups.filter(isForWitness).map(nameOf);
  const searched = groups
    .filter((group) => !isForWitness(group))
    .map((group) => {
      const search = new Search(group.tasks, group.names.length);
      return { key: nameOf(group), group, search };
    });
  const verdict = searchAll(searched, stepsMax);
  if (verdict.verdict !== "ok" || left.length === 0) return verdict;
  return { verdict: "ok", leftToWitness: left };
}

function searchAll(all: readonly Searched[], stepsMax: number): Verdict {
  let open = all;
  let left = stepsMax;
  const givenUp = (): Verdict => ({ verdict: "unknown", keys: open.map(({ key }) => key) });
  for (let steps = FIRST_STEPS; open.length > 0; steps *= 4) {
    const undecided: Searched[] = [];
    for (const each of open) {
      const grant = Math.min(steps, left);
      if (grant === 0) return givenUp();
      left -= grant;
      const result = each.search.run(grant);
      if (result === "illegal") return { verdict: "illegal", failure: failureOf(each) };
      if (result === "more") undecided.push(each);
    }
    open = undecided;
    const remembered = open.reduce((sum, { search }) => sum + search.remembered, 0);
    if (remembered > REMEMBERED_MAX) return givenUp();
  }
  return { verdict: "ok" };
}

/** Too large, and all that it was told can be placed by revisions. */
function isForWitness({ names, tasks }: Group): boolean {
  return names.length > 1 && tasks.length > JOINED_MAX && tasks.every(hasPlace);
}

function hasPlace({ operation, revision, storeRevision }: Task): boolean {
  return operation.outcome === "unknown" || revision !== null || storeRevision !== null;
}

function nameOf({ names }: Group): string {
  return names.join(", ");
}

function failureOf({ key, group, search }: Searched): Failure {
  const operationOf = (id: number) => group.tasks[id]?.operation as AnyOperation;
  const operations = [...new Set(group.tasks.map(({ operation }) => operation))];
  return { key, operations, placed: search.longest.map(operationOf) };
}
