/**
 * Transactions: all compares are judged first, those of transactions within too, then everything is
 * checked that could go wrong or take too long, and only then is anything written. So a transaction
 * is done as a whole or not at all, under one revision.
 */
import { unreachable } from "../lib/assert.ts";
import { bytesOf, byteString } from "../lib/bytes.ts";
import { type Keys, liveIn, mayHang, putKey, removeKey, valueOf } from "./changes.ts";
import { holds } from "./compare.ts";
import type { Key } from "./key.ts";
import {
  DEPTH_MAX,
  isIn,
  type KeyRange,
  type Operation,
  type Txn,
  TXN_LENGTH_MAX,
} from "./operation.ts";
import { type Leaf, ReadBudget } from "./read-budget.ts";
import {
  type KeyValue,
  keyValueOf,
  type LiveVersion,
  type Metadata,
  metadataOf,
} from "./version.ts";

/** What an operation came to. */
export type OperationResult =
  | { readonly type: "put"; readonly current: Metadata; readonly previous: KeyValue | null }
  | { readonly type: "delete"; readonly deleted: number; readonly previous: readonly KeyValue[] }
  | {
      readonly type: "get";
      /** Without values where only keys were asked for; none where only the count was. */
      readonly items: readonly KeyValue[];
      /** Of all keys in the range. */
      readonly count: number;
      readonly more: boolean;
    }
  | { readonly type: "increment"; readonly value: number; readonly current: Metadata }
  | ({ readonly type: "txn" } & TxnResult);

export interface TxnResult {
  readonly succeeded: boolean;
  /** Of the list that was carried out, in its order. */
  readonly results: readonly OperationResult[];
}

/** Why nothing of a transaction was done, though it was well-formed. */
export type TxnProblem = "TXN_TOO_LARGE" | "LEASE_NOT_FOUND" | "NOT_A_NUMBER";

/** A transaction whose compares are judged. */
interface Plan {
  readonly succeeded: boolean;
  readonly steps: readonly Step[];
}

type Step = Leaf | { readonly type: "txn"; readonly plan: Plan };

/** Where and when it is written. */
export interface Moment {
  /** Of the change, if there is one. */
  readonly revision: number;
  /** Of the cluster. */
  readonly time: number;
}

/** Carries a transaction out, or says why it cannot be. */
export function runTxn(keys: Keys, txn: Txn, moment: Moment): TxnResult | TxnProblem {
  const budget = new ReadBudget(keys.keyspace);
  const plan = judge(txn, budget);
  budget.take(leavesOf(plan));
  if (budget.isSpent) return "TXN_TOO_LARGE";
  return problemIn(keys, plan) ?? carryOut(keys, plan, moment);
}

function judge({ compares, success, failure }: Txn, budget: ReadBudget): Plan {
  const succeeded = compares.every((compare) => holds(compare, budget.compared(compare)));
  const steps = (succeeded ? success : failure).map((operation): Step => {
    return operation.type === "txn" ? { type: "txn", plan: judge(operation, budget) } : operation;
  });
  return { succeeded, steps };
}

/** All that will be done, in its order. */
function leavesOf({ steps }: Plan): readonly Leaf[] {
  return steps.flatMap((step) => (step.type === "txn" ? leavesOf(step.plan) : [step]));
}

function problemIn(keys: Keys, { steps }: Plan): TxnProblem | null {
  for (const step of steps) {
    const problem = problemOf(keys, step);
    if (problem !== null) return problem;
  }
  return null;
}

function problemOf(keys: Keys, step: Step): TxnProblem | null {
  switch (step.type) {
    case "put":
      return mayHang(keys, step.lease) ? null : "LEASE_NOT_FOUND";
    case "increment":
      return incremented(keys, step) === null ? "NOT_A_NUMBER" : null;
    case "txn":
      return problemIn(keys, step.plan);
    case "delete":
    case "get":
      return null;
    default:
      return unreachable(step);
  }
}

function carryOut(keys: Keys, { succeeded, steps }: Plan, moment: Moment): TxnResult {
  return { succeeded, results: steps.map((step) => carryOutStep(keys, step, moment)) };
}

function carryOutStep(keys: Keys, step: Step, moment: Moment): OperationResult {
  switch (step.type) {
    case "put": {
      const before = step.returnPrevious ? keys.keyspace.get(step.key) : null;
      const current = metadataOf(putKey(keys, step, moment));
      return { type: "put", current, previous: before === null ? null : keyValueOf(before) };
    }
    case "delete": {
      const found = liveIn(keys.keyspace, step);
      for (const live of found) removeKey(keys, live, moment);
      const previous = step.returnPrevious ? found.map(keyValueOf) : [];
      return { type: "delete", deleted: found.length, previous };
    }
    case "get":
      return read(keys, step);
    case "increment": {
      const value = incremented(keys, step) ?? 0;
      const lease = { kind: "keep" } as const;
      const write = { key: step.key, value: bytesOf(String(value)), lease };
      return { type: "increment", value, current: metadataOf(putKey(keys, write, moment)) };
    }
    case "txn":
      return { type: "txn", ...carryOut(keys, step.plan, moment) };
    default:
      return unreachable(step);
  }
}

const NO_VALUE = new Uint8Array();

function read(
  { keyspace }: Keys,
  get: Extract<Operation, { readonly type: "get" }>,
): Extract<OperationResult, { readonly type: "get" }> {
  const found = liveIn(keyspace, get);
  const limit = get.limit === 0 ? found.length : get.limit;
  const page = get.countOnly ? [] : found.slice(0, limit);
  const describe = (live: LiveVersion): KeyValue =>
    get.keysOnly ? { key: live.key, value: NO_VALUE, ...metadataOf(live) } : keyValueOf(live);
  const more = !get.countOnly && found.length > limit;
  return { type: "get", items: page.map(describe), count: found.length, more };
}

/** What a counter will be; null: it is no whole number, or would leave those that are exact. */
function incremented(
  { keyspace }: Keys,
  { key, by, initial }: Extract<Operation, { readonly type: "increment" }>,
): number | null {
  const live = keyspace.get(key);
  const text = live === null ? String(initial) : byteString(valueOf(live));
  if (!/^(0|-?[1-9]\d{0,15})$/.test(text)) return null;
  const value = Number(text) + by;
  return Number.isSafeInteger(value) && Number.isSafeInteger(Number(text)) ? value : null;
}

/**
 * What is wrong with a transaction as such, in one sentence; null: nothing. Nobody could say what a
 * key is that is put twice, or put and deleted, under one revision.
 */
export function malformation(txn: Txn): string | null {
  if (depthOf(txn) > DEPTH_MAX) {
    return `at most ${DEPTH_MAX} transactions can be in each other`;
  }
  if (lengthOf(txn) > TXN_LENGTH_MAX) {
    return `a transaction has at most ${TXN_LENGTH_MAX} compares, and as many operations`;
  }
  for (const list of [txn.success, txn.failure]) {
    if (touched(list) === null) return "a key is written twice in one transaction";
  }
  return null;
}

/** How many transactions are in each other, the outermost not counted. */
function depthOf({ success, failure }: Txn): number {
  return [...success, ...failure].reduce(
    (depth, each) => (each.type === "txn" ? Math.max(depth, 1 + depthOf(each)) : depth),
    0,
  );
}

/** Of the longest list; a transaction in it counts, and what is in that does too. */
function lengthOf({ compares, success, failure }: Txn): number {
  const lengths = [success, failure].map((list) =>
    list.reduce((sum, each) => sum + 1 + (each.type === "txn" ? lengthOf(each) : 0), 0),
  );
  return Math.max(compares.length, ...lengths);
}

interface Touched {
  readonly puts: ReadonlySet<Key>;
  readonly deletes: readonly KeyRange[];
}

/** What a list writes; null: something twice. Of a transaction in it, only one list counts. */
function touched(list: readonly Operation[]): Touched | null {
  const puts = new Set<Key>();
  const deletes: KeyRange[] = [];
  for (const operation of list) {
    const more = touchedBy(operation);
    if (more === null) return null;
    for (const key of more.puts) {
      if (puts.has(key) || deletes.some((range) => isIn(key, range))) return null;
    }
    for (const range of more.deletes) {
      if ([...puts].some((key) => isIn(key, range))) return null;
    }
    for (const key of more.puts) puts.add(key);
    deletes.push(...more.deletes);
  }
  return { puts, deletes };
}

function touchedBy(operation: Operation): Touched | null {
  switch (operation.type) {
    case "put":
    case "increment":
      return { puts: new Set([operation.key]), deletes: [] };
    case "delete":
      return { puts: new Set(), deletes: [operation] };
    case "get":
      return { puts: new Set(), deletes: [] };
    case "txn": {
      const [success, failure] = [touched(operation.success), touched(operation.failure)];
      if (success === null || failure === null) return null;
      const puts = new Set([...success.puts, ...failure.puts]);
      return { puts, deletes: [...success.deletes, ...failure.deletes] };
    }
    default:
      return unreachable(operation);
  }
}

/** Whether nothing of it would be written, whichever list is carried out. */
export function isReadOnly({ success, failure }: Txn): boolean {
  return [...success, ...failure].every(
    (operation) => operation.type === "get" || (operation.type === "txn" && isReadOnly(operation)),
  );
}
