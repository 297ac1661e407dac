/** Lies about several keys at once: ranges that miss something, transactions done by halves. */
import type { AnyOperation, RangeOperation, StepOut, TxnOperation } from "./history.ts";
import { change, type Lie, pick } from "./mutate.ts";

const NEGATED = { "=": "!=", "!=": "=" } as const;

export const JOINED_LIES: Readonly<Record<string, Lie>> = {
  "a range is answered from the past": (operations, random) => {
    const later = pick(operations, random, isRange);
    const older = operations.filter(isRange).find((range) => {
      const isSame = JSON.stringify(range.in) === JSON.stringify(later?.in);
      const isOther = JSON.stringify(range.out?.items) !== JSON.stringify(later?.out?.items);
      return isSame && isOther && (range.return ?? 0) < (later?.call ?? 0);
    });
    return older === undefined || !later ? null : change(operations, later, { out: older.out });
  },
  "a range misses a key": (operations, random) => {
    const range = pick(operations, random, isRangeOfSome);
    if (!range?.out) return null;
    const missing = random.pick(range.out.items);
    const items = range.out.items.filter((item) => item !== missing);
    return change(operations, range, { out: { ...range.out, items } });
  },
  "a range counts a key too many": (operations, random) => {
    const range = pick(operations, random, isRange);
    if (!range?.out) return null;
    return change(operations, range, { out: { ...range.out, count: (range.out.count ?? 0) + 1 } });
  },
  "a transaction is half done": (operations, random) => {
    const halves = operations.filter(isTxnDone).flatMap((txn) => {
      const puts = txn.in.success.flatMap((step) => (step.op === "put" ? [step] : []));
      const last = puts.length > 1 ? puts.at(-1) : undefined;
      return operations.filter(isRangeOfSome).flatMap((range) => {
        const item = range.out?.items.find(({ value }) => value === last?.value);
        return item === undefined ? [] : [{ range, item }];
      });
    });
    if (halves.length === 0) return null;
    const { range, item } = random.pick(halves);
    if (range.out === undefined) return null;
    const items = range.out.items.filter((each) => each !== item);
    const count = (range.out.count ?? 0) - 1;
    return change(operations, range, { out: { ...range.out, items, count } });
  },
  "a transaction is done twice": (operations, random) =>
    withIncrements(operations, random, (told, by) => {
      const value = String(Number(told.value) + by);
      return { ...told, value, version: (told.version ?? 0) + 1 };
    }),
  "a compare is decided wrongly": (operations, random) => {
    const isSingle = (each: AnyOperation): each is TxnOperation => {
      const [compare, ...others] = each.op === "txn" && each.out ? each.in.compare : [];
      return compare?.target === "version" && others.length === 0 && compare.relation in NEGATED;
    };
    const txn = pick(operations, random, isSingle);
    const [compare] = txn?.in.compare ?? [];
    if (!txn || compare === undefined) return null;
    const relation = NEGATED[compare.relation as keyof typeof NEGATED];
    return change(operations, txn, { in: { ...txn.in, compare: [{ ...compare, relation }] } });
  },
  "an increment in a transaction is lost": (operations, random) =>
    withIncrements(operations, random, (told, by) => {
      return { ...told, value: String(Number(told.value) - by) };
    }),
  "a prefix is not deleted whole": (operations, random) => {
    const deletes = (each: AnyOperation): each is TxnOperation =>
      isTxnDone(each) && (each.out?.results[0]?.deleted ?? 0) > 0;
    const txn = pick(operations, random, deletes);
    return (
      txn &&
      withResults(operations, txn, (told) => {
        return told.deleted === undefined ? told : { deleted: told.deleted - 1 };
      })
    );
  },
};

function isRange(each: AnyOperation): each is RangeOperation {
  return each.op === "range" && each.outcome === "ok";
}

function isRangeOfSome(each: AnyOperation): each is RangeOperation {
  return isRange(each) && (each.out?.items.length ?? 0) > 0;
}

function isTxnDone(each: AnyOperation): each is TxnOperation {
  return each.op === "txn" && each.out?.succeeded === true;
}

/** One transaction that increments has told something else of its increments. */
function withIncrements(
  operations: Parameters<Lie>[0],
  random: Parameters<Lie>[1],
  told: (told: StepOut, by: number) => StepOut,
): ReturnType<Lie> {
  const counts = (each: AnyOperation): each is TxnOperation =>
    isTxnDone(each) && each.in.success.some(({ op }) => op === "increment");
  const txn = pick(operations, random, counts);
  return (
    txn &&
    withResults(operations, txn, (result, i) => {
      const step = txn.in.success[i];
      return step?.op === "increment" ? told(result, step.by) : result;
    })
  );
}

function withResults(
  operations: readonly AnyOperation[],
  txn: TxnOperation,
  lie: (told: StepOut, at: number) => StepOut,
): readonly AnyOperation[] | null {
  if (txn.out === undefined) return null;
  return change(operations, txn, { out: { ...txn.out, results: txn.out.results.map(lie) } });
}
