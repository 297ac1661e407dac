/**
 * Operations in one form: compares, a list of steps where they hold, and one where they do not, on
 * keys by their numbers. A get is a list of one step, and a put on condition compares a version.
 */
import type { AnyOperation, Operation, StepOut, TxnOperation, TxnStep } from "./history.ts";
import { Keys } from "./keys.ts";
import type { Comparison } from "./model.ts";

/** A step, with what was told of it; null: nothing. */
export type Step =
  | { readonly kind: "get"; readonly at: number; readonly told: StepOut | null }
  | {
      readonly kind: "put";
      readonly at: number;
      readonly value: string;
      readonly lease: string | null;
      readonly told: StepOut | null;
    }
  | {
      readonly kind: "increment";
      readonly at: number;
      readonly by: number;
      readonly told: StepOut | null;
    }
  | { readonly kind: "delete"; readonly keys: readonly number[]; readonly told: StepOut | null }
  | {
      readonly kind: "range";
      readonly keys: readonly number[];
      readonly limit: number;
      readonly items: ReadonlyMap<number, StepOut>;
      readonly count: number | null;
    }
  | { readonly kind: "expire"; readonly keys: readonly number[]; readonly lease: string };

export type ComparisonAt = Comparison & { readonly at: number };

export interface Task {
  readonly operation: AnyOperation;
  readonly compares: readonly ComparisonAt[];
  readonly success: readonly Step[];
  readonly failure: readonly Step[];
  /** Which list was done; null: nobody was told. The other one is empty then. */
  readonly succeeded: boolean | null;
  /** It was told that it has changed something. */
  readonly writes: boolean;
  /** Of the change; null: it made none, or it was not told. */
  readonly revision: number | null;
  /** The revision whose state it tells of; null: it wrote, or that is not known. */
  readonly readAt: number | null;
  /** Of the store when that was read, if it was told. */
  readonly storeRevision: number | null;
}

/**
 * The tasks of a history, without those that tell nothing: what surely was not done, and reads
 * without an answer. `ignoreRevisions` leaves out all that was told of them.
 */
export function tasksOf(
  operations: readonly AnyOperation[],
  keys: Keys,
  { ignoreRevisions = false }: { readonly ignoreRevisions?: boolean } = {},
): Task[] {
  return operations.flatMap((operation) => {
    const { op, outcome } = operation;
    if (outcome === "failed") return [];
    if (outcome === "unknown" && (op === "get" || op === "range")) return [];
    const task = taskOf(operation, keys);
    return [ignoreRevisions ? withoutRevisions(task) : task];
  });
}

/** The keys that a task reads or changes, in no order, perhaps several times. */
export function keysOf({ compares, success, failure }: Task): number[] {
  const steps = [...success, ...failure].flatMap((step) =>
    "keys" in step ? [...step.keys] : [step.at],
  );
  return [...compares.map(({ at }) => at), ...steps];
}

function taskOf(operation: AnyOperation, keys: Keys): Task {
  switch (operation.op) {
    case "txn":
      return txnTask(operation, keys);
    case "expire": {
      const { lease } = operation.in;
      return { ...untold(operation), success: [{ kind: "expire", keys: keys.of(lease), lease }] };
    }
    case "range": {
      const { in: input, out } = operation;
      const items = new Map(out?.items.map((item) => [keys.numberOf(item.key), toldBy(item)]));
      const { prefix, limit = Number.POSITIVE_INFINITY } = input;
      const named = prefix === undefined ? keys.numbersOf(input.keys ?? []) : keys.under(prefix);
      const count = out?.count ?? null;
      const storeRevision = out?.storeRevision ?? null;
      const success: Step[] = [{ kind: "range", keys: named, limit, items, count }];
      const readAt = input.at ?? storeRevision;
      return { ...untold(operation), success, succeeded: true, readAt, storeRevision };
    }
    case "get":
    case "put":
    case "delete":
    case "increment":
      return keyTask(operation, keys);
  }
}

/** What is known of an operation that nobody was told of. */
function untold(operation: AnyOperation): Task {
  return {
    operation,
    compares: [],
    success: [],
    failure: [],
    succeeded: null,
    writes: false,
    revision: null,
    readAt: null,
    storeRevision: null,
  };
}

function keyTask(operation: Operation, keys: Keys): Task {
  const { key, op, in: input, out, outcome } = operation;
  const at = keys.numberOf(key);
  const told = out === undefined ? null : toldBy(out);
  const wanted = stepOf(stepBy(operation), keys, outcome === "ok" ? told : null);
  const compares: ComparisonAt[] =
    input.ifVersion === undefined
      ? []
      : [{ at, target: "version", relation: "=", to: input.ifVersion }];
  const task = { ...untold(operation), compares };
  if (out === undefined) return { ...task, success: [wanted] };
  const storeRevision = out.storeRevision ?? null;
  const readAt = storeRevision ?? out.revision ?? null;
  if (outcome === "refused") {
    const failure: Step[] = [{ kind: "get", at, told }];
    return { ...task, failure, succeeded: false, readAt, storeRevision };
  }
  const success = [wanted];
  if (op === "get" || (op === "delete" && out.deleted === 0)) {
    return { ...task, success, succeeded: true, readAt, storeRevision };
  }
  const revision = out.revision ?? null;
  return { ...task, success, succeeded: true, writes: true, revision };
}

function stepBy({ op, key, in: { value = "", lease, by = 0 } }: Operation): TxnStep {
  if (op === "put") return { op, key, value, lease };
  return op === "increment" ? { op, key, by } : { op, key };
}

function txnTask(operation: TxnOperation, keys: Keys): Task {
  const { in: input, out } = operation;
  const list = (steps: readonly TxnStep[], results: readonly StepOut[] | null) =>
    steps.map((step, i) => stepOf(step, keys, results?.[i] ?? null));
  const compares = input.compare.map(({ key, ...compare }) => {
    return { ...compare, at: keys.numberOf(key) };
  });
  const task = { ...untold(operation), compares };
  if (out === undefined) {
    return { ...task, success: list(input.success, null), failure: list(input.failure, null) };
  }
  const { succeeded, results } = out;
  const done = list(succeeded ? input.success : input.failure, results);
  const writes = done.some((step) => isChange(step));
  const revision = out.revision ?? null;
  return {
    ...task,
    ...(succeeded ? { success: done } : { failure: done }),
    succeeded,
    writes,
    revision: writes ? revision : null,
    readAt: writes ? null : revision,
    storeRevision: writes ? null : revision,
  };
}

function isChange(step: Step): boolean {
  if (step.kind === "delete") return step.told?.deleted !== 0;
  return step.kind === "put" || step.kind === "increment";
}

function stepOf(step: TxnStep, keys: Keys, told: StepOut | null): Step {
  switch (step.op) {
    case "get":
      return { kind: "get", at: keys.numberOf(step.key), told: tellsOf(told) ? told : null };
    case "put": {
      const { value, lease = null } = step;
      return { kind: "put", at: keys.numberOf(step.key), value, lease, told };
    }
    case "increment":
      return { kind: "increment", at: keys.numberOf(step.key), by: step.by, told };
    case "delete":
      return { kind: "delete", keys: [keys.numberOf(step.key)], told };
    case "deletePrefix":
      return { kind: "delete", keys: keys.under(step.prefix), told };
  }
}

/** An answer that is given again does not repeat what was read. */
function tellsOf(told: StepOut | null): boolean {
  return told?.version !== undefined || told?.value !== undefined;
}

function toldBy({ version, revision, value, deleted }: StepOut): StepOut {
  return { version, revision, value, deleted };
}

function withoutRevisions(task: Task): Task {
  const hidden = (told: StepOut | null) =>
    told === null ? null : { ...told, revision: undefined };
  const hide = (step: Step): Step => {
    if (step.kind === "expire") return step;
    if (step.kind !== "range") return { ...step, told: hidden(step.told) };
    const items = [...step.items].map(([at, told]) => {
      return [at, { ...told, revision: undefined }] as const;
    });
    return { ...step, items: new Map(items) };
  };
  const success = task.success.map(hide);
  const failure = task.failure.map(hide);
  return { ...task, success, failure, revision: null, readAt: null, storeRevision: null };
}
