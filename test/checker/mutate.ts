/** Lies about single keys: what a broken store might have answered instead. */
import type { Prng } from "../../src/lib/random.ts";
import type { AnyOperation, Operation, Out } from "./history.ts";

/** Null where the history has no place for such a lie. */
export type Lie = (
  operations: readonly AnyOperation[],
  random: Prng,
) => readonly AnyOperation[] | null;

export const LIES: Readonly<Record<string, Lie>> = {
  "two reads are exchanged": (operations, random) => {
    const a = pick(operations, random, isGet);
    const b = a && pick(operations, random, isGetOf(a.key));
    if (!b || a.out?.value === b.out?.value) return null;
    return change(change(operations, a, { out: b.out }), b, { out: a.out });
  },
  "a read is answered from the past": (operations, random) => {
    const later = pick(operations, random, isGet);
    const older = operations.filter(isGet).find((read) => {
      const isOther = read.out?.version !== later?.out?.version;
      return read.key === later?.key && isOther && (read.return ?? 0) < later.call;
    });
    return older === undefined || !later ? null : change(operations, later, { out: older.out });
  },
  "a value from nowhere is read": (operations, random) => {
    const read = pick(operations, random, isGetOfSome);
    return (
      read && change(operations, read, { out: { ...outOf(read), value: "nobody wrote this" } })
    );
  },
  "an acknowledged put is lost": (operations, random) => {
    const read = pick(operations, random, isGetOfSome);
    if (!read) return null;
    const absent: Out = { version: 0, value: null, storeRevision: outOf(read).storeRevision };
    return change(operations, read, { out: absent });
  },
  "a refusal is a success": (operations, random) => {
    const put = pick(operations, random, isPutRefused);
    if (!put) return null;
    const { version, storeRevision = 0 } = outOf(put);
    const out = { version: version + 1, revision: storeRevision + 1 };
    return change(operations, put, { outcome: "ok", out });
  },
  "a success is a refusal": (operations, random) => {
    const put = pick(operations, random, isPutOnCondition);
    if (!put) return null;
    const { version, revision = 1 } = outOf(put);
    const out = { version: version - 1, storeRevision: revision - 1 };
    return change(operations, put, { outcome: "refused", out });
  },
  "a version is told twice": (operations, random) => {
    const a = pick(operations, random, isPutDone);
    const b = a && pick(operations, random, isPutOf(a.key));
    if (!b || outOf(a).version === outOf(b).version) return null;
    return change(operations, b, { out: { ...outOf(b), version: outOf(a).version } });
  },
  "a delete found nothing": (operations, random) => {
    const found = pick(operations, random, (each): each is Operation => {
      return each.op === "delete" && each.out?.deleted === 1;
    });
    if (!found) return null;
    const storeRevision = (outOf(found).revision ?? 1) - 1;
    return change(operations, found, { out: { version: 0, deleted: 0, storeRevision } });
  },
  "an answer came before": (operations, random) => {
    const operation = pick(operations, random, isKeyedDone);
    if (!operation) return null;
    const shift = 60;
    const end = (operation.return ?? 0) - shift;
    return change(operations, operation, { call: operation.call - shift, return: end });
  },
  "an increment is lost": (operations, random) => {
    const counted = pick(operations, random, (each): each is Operation => {
      return each.op === "increment" && (each.out?.version ?? 0) > 1;
    });
    if (!counted) return null;
    const out = outOf(counted);
    const value = String(Number(out.value) - (counted.in.by ?? 0));
    return change(operations, counted, { out: { ...out, value } });
  },
  "a lease ends early": (operations, random) => {
    const reads = operations.filter(isGetOfSome).filter((read) => {
      const put = operations.find((each) => isPutDone(each) && isReadBy(each, read));
      const expire = operations.find((each) => {
        return each.op === "expire" && put?.op === "put" && each.in.lease === put.in.lease;
      });
      return expire !== undefined && (read.return ?? 0) < expire.call;
    });
    const [read] = reads.length === 0 ? [] : [random.pick(reads)];
    if (read === undefined) return null;
    const { storeRevision = 0 } = outOf(read);
    return change(operations, read, { out: { version: 0, value: null, storeRevision } });
  },
};

/** One of those, if there are any. */
export function pick<Kind extends AnyOperation>(
  operations: readonly AnyOperation[],
  random: Prng,
  isWanted: (operation: AnyOperation) => operation is Kind,
): Kind | null {
  const found = operations.filter(isWanted);
  return found.length === 0 ? null : random.pick(found);
}

export function change<Kind extends AnyOperation>(
  operations: readonly AnyOperation[],
  which: Kind,
  fields: Partial<Kind>,
): readonly AnyOperation[] {
  return operations.map((each) => (each === which ? { ...each, ...fields } : each));
}

function outOf(operation: Operation): Out {
  return operation.out ?? { version: 0 };
}

function isGet(each: AnyOperation): each is Operation {
  return each.op === "get";
}

function isGetOfSome(each: AnyOperation): each is Operation {
  return each.op === "get" && outOf(each).version > 0;
}

function isGetOf(key: string) {
  return (each: AnyOperation): each is Operation => isGet(each) && each.key === key;
}

function isPutDone(each: AnyOperation): each is Operation {
  return each.op === "put" && each.outcome === "ok";
}

function isPutOf(key: string) {
  return (each: AnyOperation): each is Operation => isPutDone(each) && each.key === key;
}

function isPutRefused(each: AnyOperation): each is Operation {
  return each.op === "put" && each.outcome === "refused";
}

function isPutOnCondition(each: AnyOperation): each is Operation {
  return isPutDone(each) && each.in.ifVersion !== undefined;
}

function isKeyedDone(each: AnyOperation): each is Operation {
  return "key" in each && each.outcome === "ok";
}

function isReadBy(put: Operation, read: Operation): boolean {
  return put.key === read.key && put.out?.revision === read.out?.revision;
}
