/** What a transaction may read: counted alike on every node, and before anything is written. */
import { describe, expect, test } from "vitest";
import { bytesOf } from "../../src/lib/bytes.ts";
import { encodeCommand, type PlainCommand } from "../../src/kv/command.ts";
import type { Compare, Operation } from "../../src/kv/operation.ts";
import { READ_KEY_BYTES, TXN_KEYS_MAX, TXN_READ_BYTES_MAX } from "../../src/kv/read-budget.ts";
import { KvStore } from "../../src/kv/store.ts";
import { apply, chunksOf, compact, key, restored } from "./fixtures.ts";

const ALL = { key: key(""), end: null } as const;
type TxnCommand = Extract<PlainCommand, { readonly type: "txn" }>;

const MIB = 1024 * 1024;
/** Many times what was measured, for a machine that is busy. */
const APPLY_MS_MAX = 500;
/** As many operations as a transaction may have, but for a put. */
const DELETED_COUNTS = 127;

function get(prefix: string, more: Partial<Extract<Operation, { type: "get" }>> = {}): Operation {
  const range = { key: key(prefix), end: key(`${prefix}~`) };
  return { type: "get", ...range, limit: 0, keysOnly: false, countOnly: false, ...more };
}

function putOf(name: string, value: string | Uint8Array = "v", returnPrevious = false): Operation {
  const bytes = typeof value === "string" ? bytesOf(value) : value;
  return { type: "put", key: key(name), value: bytes, lease: { kind: "none" }, returnPrevious };
}

function remove(prefix: string, returnPrevious = false): Operation {
  return { type: "delete", key: key(prefix), end: key(`${prefix}~`), returnPrevious };
}

function txn(...success: readonly Operation[]): TxnCommand {
  return { type: "txn", compares: [], success, failure: [] };
}

function repeated<Item>(count: number, item: Item): Item[] {
  return Array.from({ length: count }, () => item);
}

/** A store with keys of one prefix; made by transactions, as that is faster. */
function filled(count: number, { prefix = "k/", value = "v" } = {}): KvStore {
  const store = new KvStore();
  const bytes = bytesOf(value);
  for (let at = 0; at < count; at += 100) {
    const names = Array.from({ length: Math.min(100, count - at) }, (_, i) => `${prefix}${at + i}`);
    apply(store, txn(...names.map((name) => putOf(name, bytes))));
  }
  return store;
}

/** Refused as a whole: the marker that it would put is not there. */
function expectRefused(store: KvStore, command: TxnCommand): void {
  const { revision } = store;
  const refusal = { ok: false, code: "TXN_TOO_LARGE", revision };
  expect(apply(store, command)).toMatchObject(refusal);
  expect(store.get(key("marker"))).toBeNull();
}

const marker = putOf("marker");

describe("a transaction that would read too much is refused, and writes nothing", () => {
  test("of keys: whether they are told, counted or compared", () => {
    const store = filled(TXN_KEYS_MAX);
    const more: readonly Operation[] = [get("k/", { countOnly: true }), get("k/", { limit: 1 })];
    for (const operation of [...more, get("k/", { keysOnly: true })]) {
      expect(apply(store, txn(operation))).toMatchObject({
        txn: { results: [{ count: TXN_KEYS_MAX }] },
      });
      expect(store.readTxn(txn(operation))).toMatchObject({ ok: true });
      const one = get("k/0");
      expectRefused(store, txn(marker, operation, one));
      expect(store.readTxn(txn(operation, one))).toMatchObject({ code: "TXN_TOO_LARGE" });
      const inner: Operation = { ...txn(one), type: "txn" };
      expectRefused(store, txn(marker, inner, operation));
    }
    const compare: Compare = { ...ALL, target: "version", relation: ">", number: 0 };
    const compares = { ...txn(marker), compares: [compare, compare] };
    expectRefused(store, compares);
    expect(store.readTxn({ ...compares, success: [] })).toMatchObject({ code: "TXN_TOO_LARGE" });
    expect(apply(store, { ...compares, compares: [compare] })).toMatchObject({ ok: true });
  });

  test("of bytes: what is read, what was before, and what is deleted and told", () => {
    const store = new KvStore();
    const large = new Uint8Array(MIB);
    const names = ["k/a", "k/b", "k/c", "k/d", "k/e", "k/f", "k/g"];
    for (const name of names) apply(store, txn(putOf(name, large)));
    expect(apply(store, txn(get("k/")))).toMatchObject({ ok: true });
    expectRefused(store, txn(marker, get("k/"), get("k/a")));
    expect(apply(store, txn(get("k/"), get("k/", { keysOnly: true })))).toMatchObject({ ok: true });
    const puts = names.map((name) => putOf(name, "small", true));
    expectRefused(store, txn(marker, ...puts, get("k/g")));
    expectRefused(store, txn(marker, get("k/g"), remove("k/", true)));
    expect(apply(store, txn(get("k/g"), remove("k/")))).toMatchObject({ ok: true });
  });

  test("an item counts as much as is said", () => {
    const store = new KvStore();
    const size = TXN_READ_BYTES_MAX / 8 - READ_KEY_BYTES - "k/a".length;
    for (const name of "abcdefgh") apply(store, txn(putOf(`k/${name}`, new Uint8Array(size))));
    expect(store.readTxn(txn(get("k/")))).toMatchObject({ ok: true });
    apply(store, txn(putOf("k/h", new Uint8Array(size + 1))));
    expect(store.readTxn(txn(get("k/")))).toMatchObject({ code: "TXN_TOO_LARGE" });
  });

  test("what it has written itself counts, and so does what comes into a page by a delete", () => {
    const store = new KvStore();
    const gets = repeated(30, get("k/"));
    expectRefused(store, txn(marker, putOf("k/a", new Uint8Array(MIB / 2)), ...gets));
    apply(store, txn(putOf("k/a"), putOf("k/b", new Uint8Array(MIB))));
    const first = repeated(30, get("k/", { limit: 1 }));
    expect(apply(store, txn(...first))).toMatchObject({ ok: true });
    expectRefused(store, txn(marker, remove("k/a"), ...first));
  });

  test("of values that are compared", () => {
    const store = new KvStore();
    const large = new Uint8Array(MIB);
    for (const name of ["a", "b"]) apply(store, txn(putOf(name, large)));
    const value = { ...ALL, target: "value", relation: "=" } as const;
    const compares = (count: number, size: number): Compare[] => {
      return repeated(count, { ...value, relation: "<" as const, value: large.slice(0, size) });
    };
    const whole = { ...value, value: large };
    expect(store.readTxn({ ...txn(), compares: repeated(4, whole) })).toMatchObject({
      txn: { succeeded: true },
    });
    expect(store.readTxn({ ...txn(), compares: repeated(5, whole) })).toMatchObject({ ok: false });
    // The first decides, and no more is looked at than it takes.
    const short = { ...txn(), compares: compares(20, 10) };
    expect(store.readTxn(short)).toMatchObject({ txn: { succeeded: false } });
  });
});

test("deleting by prefix is not bounded, but by the same prefix again and again it is", () => {
  const store = filled(TXN_KEYS_MAX + 1);
  expectRefused(store, txn(marker, remove("k/"), remove("k/")));
  const results = [{ deleted: TXN_KEYS_MAX + 1 }, { deleted: 0 }];
  expect(apply(store, txn(remove("k/"), remove("l/")))).toMatchObject({ txn: { results } });
});

test("every node counts alike, whatever it has purged, and so does a restored one", () => {
  const store = filled(TXN_KEYS_MAX + 1_000);
  apply(store, txn(remove("k/")));
  const counts = txn(...repeated(DELETED_COUNTS, get("k/", { countOnly: true })));
  for (const each of [store, restored(chunksOf(store))]) {
    expect(each.readTxn(counts)).toMatchObject({ ok: true });
  }
  apply(store, txn(marker));
  apply(store, compact(store.revision));
  // One has purged next to nothing yet, the other has nothing to purge.
  for (const each of [store, restored(chunksOf(store))]) {
    expect(each.readTxn(counts)).toMatchObject({ ok: true });
  }
  expect(store.purge(1e9)).toBeGreaterThan(TXN_KEYS_MAX);
  expect(store.readTxn(counts)).toMatchObject({ ok: true });
});

test.each([false, true])("deleted keys cost nothing, compacted: %s, while all is kept", (is) => {
  const store = filled(100_000);
  const view = store.freeze(); // As long as it is open, nothing is purged.
  apply(store, txn(remove("k/")));
  apply(store, txn(marker));
  if (is) apply(store, compact(store.revision));
  const counts = txn(marker, ...repeated(DELETED_COUNTS, get("k/", { countOnly: true })));
  const before = process.threadCpuUsage();
  for (let times = 0; times < 3; times++) expect(apply(store, counts).ok).toBe(true);
  const { user, system } = process.threadCpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(APPLY_MS_MAX);
  view.release();
});

test("the largest reads do not hold the event loop for long", () => {
  const size = Math.floor(TXN_READ_BYTES_MAX / TXN_KEYS_MAX) - READ_KEY_BYTES - 10;
  const store = filled(TXN_KEYS_MAX, { value: "v".repeat(size) });
  const much = encodeCommand(txn(putOf("marker"), get("k/")));
  const tooMuch = encodeCommand(txn(putOf("marker"), ...repeated(127, get("k/"))));
  for (const command of [much, tooMuch]) {
    const before = process.threadCpuUsage();
    const { ok } = store.apply(command, store.clusterTime);
    const { user, system } = process.threadCpuUsage(before);
    expect(ok).toBe(command === much);
    expect((user + system) / 1_000).toBeLessThan(APPLY_MS_MAX);
  }
});
