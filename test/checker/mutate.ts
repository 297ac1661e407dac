/** Lies: what a broken store might have answered instead. */
import type { Prng } from "../../src/lib/random.ts";
import type { Operation, Out } from "./history.ts";

type Lie = (operations: readonly Operation[], random: Prng) => readonly Operation[] | null;

/** Each returns null where the history has no place for such a lie. */
export const LIES: Readonly<Record<string, Lie>> = {
  "two reads are exchanged": (operations, random) => {
    const reads = operations.filter(({ op, key }) => op === "get" && key === "k0");
    if (reads.length < 2) return null;
    const [a, b] = [random.pick(reads), random.pick(reads)];
    if (a.out?.value === b.out?.value) return null;
    return change(change(operations, a, { out: b.out }), b, { out: a.out });
  },
  "a read is answered from the past": (operations, random) => {
    const reads = operations.filter(({ op }) => op === "get");
    if (reads.length === 0) return null;
    const later = random.pick(reads);
    const older = reads.find(
      (read) =>
        read.key === later.key &&
        read.out?.version !== later.out?.version &&
        (read.return ?? 0) < later.call,
    );
    return older === undefined ? null : change(operations, later, { out: older.out });
  },
  "a value from nowhere is read": (operations, random) => {
    const reads = operations.filter(({ op, out }) => op === "get" && (out?.version ?? 0) > 0);
    if (reads.length === 0) return null;
    const read = random.pick(reads);
    return change(operations, read, { out: { ...outOf(read), value: "nobody wrote this" } });
  },
  "an acknowledged put is lost": (operations, random) => {
    const reads = operations.filter(({ op, out }) => op === "get" && (out?.version ?? 0) > 0);
    if (reads.length === 0) return null;
    const read = random.pick(reads);
    const absent: Out = { version: 0, value: null, storeRevision: outOf(read).storeRevision };
    return change(operations, read, { out: absent });
  },
  "a refusal is a success": (operations, random) => {
    const refused = operations.filter(({ op, outcome }) => op === "put" && outcome === "refused");
    if (refused.length === 0) return null;
    const put = random.pick(refused);
    const { version, storeRevision = 0 } = outOf(put);
    const out = { version: version + 1, revision: storeRevision + 1 };
    return change(operations, put, { outcome: "ok", out });
  },
  "a success is a refusal": (operations, random) => {
    const done = operations.filter(
      ({ op, outcome, in: { ifVersion } }) =>
        op === "put" && outcome === "ok" && ifVersion !== undefined,
    );
    if (done.length === 0) return null;
    const put = random.pick(done);
    const { version, revision = 1 } = outOf(put);
    const out = { version: version - 1, storeRevision: revision - 1 };
    return change(operations, put, { outcome: "refused", out });
  },
  "a version is told twice": (operations, random) => {
    const puts = operations.filter(({ op, outcome, key }) => {
      return op === "put" && outcome === "ok" && key === "k0";
    });
    if (puts.length < 2) return null;
    const [a, b] = [random.pick(puts), random.pick(puts)];
    if (outOf(a).version === outOf(b).version) return null;
    return change(operations, b, { out: { ...outOf(b), version: outOf(a).version } });
  },
  "a delete found nothing": (operations, random) => {
    const done = operations.filter(({ op, out }) => op === "delete" && out?.deleted === 1);
    if (done.length === 0) return null;
    const found = random.pick(done);
    const storeRevision = (outOf(found).revision ?? 1) - 1;
    return change(operations, found, { out: { version: 0, deleted: 0, storeRevision } });
  },
  "an answer came before": (operations, random) => {
    const known = operations.filter(({ outcome }) => outcome === "ok");
    if (known.length === 0) return null;
    const operation = random.pick(known);
    const shift = 60;
    const end = (operation.return ?? 0) - shift;
    return change(operations, operation, { call: operation.call - shift, return: end });
  },
};

function outOf(operation: Operation): Out {
  return operation.out ?? { version: 0 };
}

function change(
  operations: readonly Operation[],
  which: Operation,
  fields: Partial<Operation>,
): readonly Operation[] {
  return operations.map((each) => (each === which ? { ...each, ...fields } : each));
}
