/** Commands survive their bytes, and nothing else passes as one. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import {
  type Command,
  type Compact,
  type Condition,
  CONDITIONS_MAX,
  decodeCommand,
  encodeCommand,
  LEASES_MAX,
} from "../../src/kv/command.ts";
import { type Key, KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../../src/kv/key.ts";
import type { Operation, Txn } from "../../src/kv/operation.ts";
import { malformation } from "../../src/kv/txn.ts";
import { commandOf, someLeases } from "./commands.ts";
import { compact, del, isMalformed, key, put } from "./fixtures.ts";

const revision = fc.maxSafeNat();
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ type: fc.constant("version" as const), version: revision }),
  fc.record({ type: fc.constant("modRevision" as const), modRevision: revision }),
  fc.record({ type: fc.constant("otherModRevision" as const), modRevision: revision }),
  fc.record({ type: fc.constantFrom("exists" as const, "absent" as const) }),
);
const change = {
  key: fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 40 }).map(key),
  conditions: fc.array(condition, { maxLength: CONDITIONS_MAX }),
  returnPrevious: fc.boolean(),
};

/** A command of any kind; with what operation.ts tells of transactions. */
const command = commandOf(
  fc.oneof(
    fc.record(
      {
        type: fc.constant("put" as const),
        value: fc.uint8Array(),
        lease: fc.oneof(...someLeases),
        ...change,
      },
      { requiredKeys: ["type", "value", "key", "conditions", "returnPrevious"] },
    ),
    fc.record({ type: fc.constant("delete" as const), ...change }),
    fc.record({ type: fc.constant("compact" as const), revision }),
  ),
);

test("what is encoded is what is decoded", () => {
  fc.assert(
    fc.property(command, (given) => {
      expect(decodeCommand(encodeCommand(given))).toEqual(given);
    }),
    { numRuns: 500 },
  );
});

test("no bytes do worse than to be refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      isMalformed(() => decodeCommand(bytes));
    }),
    { numRuns: 2000 },
  );
});

test("damaged commands are refused, or are other commands within all limits", () => {
  const damage = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(command, fc.array(damage, { minLength: 1, maxLength: 3 }), (given, damages) => {
      const bytes = encodeCommand(given);
      for (const { at, byte } of damages) bytes[at % bytes.length] = byte;
      isMalformed(() => encodeCommand(decodeCommand(bytes)));
    }),
    { numRuns: 2000 },
  );
});

test("a part of a command, or more than one, is none", () => {
  fc.assert(
    fc.property(command, fc.nat(), (given, cut) => {
      const bytes = encodeCommand(given);
      const length = cut % bytes.length;
      expect(isMalformed(() => decodeCommand(bytes.subarray(0, length)))).toBe(true);
      expect(isMalformed(() => decodeCommand(new Uint8Array([...bytes, 0])))).toBe(true);
    }),
  );
});

const GET = {
  type: "get",
  key: key(""),
  end: null,
  limit: 0,
  keysOnly: false,
  countOnly: false,
} as const;
const putOf = (name: string): Operation => {
  const lease = { kind: "none" } as const;
  return { type: "put", key: key(name), value: new Uint8Array(), lease, returnPrevious: false };
};
const delOf = (name: string, end: Key | null | "single"): Operation => {
  return { type: "delete", key: key(name), end, returnPrevious: false };
};
const incrementOf = (name: string): Operation => {
  return { type: "increment", key: key(name), by: 1, initial: 0 };
};
const txn = (success: readonly Operation[], failure: readonly Operation[] = []) => {
  return { type: "txn", compares: [], success, failure } as const;
};
/** So many transactions in one. */
const nested = (depth: number): ReturnType<typeof txn> => {
  return depth === 0 ? txn([GET]) : txn([nested(depth - 1)]);
};
const once = (name: string): Command => ({
  type: "once",
  key: name,
  command: compact(1) as Compact,
});

test.each<[string, boolean, Txn]>([
  ["one key put twice", false, txn([putOf("k"), putOf("k")])],
  ["put and incremented", false, txn([putOf("k"), incrementOf("k")])],
  ["put and deleted", false, txn([putOf("k"), delOf("k", "single")])],
  ["deleted with all, then put", false, txn([delOf("", null), putOf("k")])],
  ["put, and deleted with its range", false, txn([putOf("k"), delOf("a", key("l"))])],
  ["put in a transaction in it too", false, txn([putOf("k"), txn([], [putOf("k")])])],
  ["in the failure list", false, txn([], [putOf("k"), putOf("k")])],
  ["deleted in one, put in a later one", false, txn([txn([delOf("k", null)]), txn([putOf("k")])])],
  ["129 with those within", false, txn([txn(Array.from({ length: 128 }, () => GET))])],
  ["128 with those within", true, txn([txn(Array.from({ length: 127 }, () => GET))])],
  ["129 empty ones", false, txn([txn(Array.from({ length: 128 }, () => txn([])))])],
  ["nine in each other", false, nested(9)],
  ["eight in each other", true, nested(8)],
  ["deleted twice", true, txn([delOf("k", null), delOf("k", "single")])],
  ["put in one list and in the other", true, txn([putOf("k")], [putOf("k")])],
  ["put, and deleted in the other list within", true, txn([txn([putOf("k")], [delOf("k", null)])])],
  ["put at the end of a deleted range", true, txn([delOf("a", key("k")), putOf("k")])],
])("a transaction: %s; well-formed: %s", (_, isFine, given) => {
  expect(malformation(given) === null).toBe(isFine);
});

describe("limits", () => {
  const fits = put("k".repeat(KEY_BYTES_MAX), "v".repeat(VALUE_BYTES_MAX));

  test("the largest command passes", () => {
    expect(decodeCommand(encodeCommand(fits))).toEqual(fits);
  });

  const exists: Condition = { type: "exists" };
  test.each<[string, () => Command]>([
    ["an empty key", () => del("")],
    ["a long key", () => del("k".repeat(KEY_BYTES_MAX + 1))],
    ["a large value", () => put("k", "v".repeat(VALUE_BYTES_MAX + 1))],
    [
      "many conditions",
      () => del("k", ...Array.from({ length: CONDITIONS_MAX + 1 }, () => exists)),
    ],
    ["a broken number", () => compact(1.5)],
    [
      "too many leases",
      () => ({ type: "renew", ids: Array.from({ length: LEASES_MAX + 1 }, () => 1) }),
    ],
    ["an idempotency key with a space", () => once("a b")],
    ["a long idempotency key", () => once("k".repeat(129))],
    ["a transaction that is too long", () => txn(Array.from({ length: 129 }, () => GET))],
    ["a transaction that is too deep", () => nested(9)],
    ["a put without a key in a transaction", () => txn([putOf("")])],
    ["a key that is put twice", () => txn([putOf("k"), putOf("k")])],
  ])("%s is a bug of the caller", (_, make) => {
    expect(() => encodeCommand(make())).toThrow(AssertionError);
  });

  const k = [1, 0x6b];
  test.each<[string, number[]]>([
    ["nothing", []],
    ["another format", [2, 3, 1]],
    ["op 0", [1, 0, 1]],
    ["an op of the future", [1, 11, 1]],
    ["once of once", [1, 10, 1, 0x6b, 1, 10, 1, 0x6b, 1, 9]],
    ["once of a renewal", [1, 10, 1, 0x6b, 1, 6, 0]],
    ["once of an expiry", [1, 10, 1, 0x6b, 1, 8, 0]],
    ["once of once without end", Array.from({ length: 100_000 }, () => [1, 10, 1, 0x6b]).flat()],
    ["a lease of no kind", [1, 1, 2, 4, 0, ...k, 0]],
    ["a lease that is none", [1, 1, 2, 0, 0, ...k, 0]],
    ["a delete with a lease", [1, 2, 2, 1, 0, ...k]],
    ["a target of the future", [1, 4, 1, 5, 0, ...k, 0, 0, 0, 0]],
    ["a relation of the future", [1, 4, 1, 0, 4, ...k, 0, 0, 0, 0]],
    ["a range of the future", [1, 4, 1, 0, 0, ...k, 3, 0, 0, 0]],
    ["an operation of the future", [1, 4, 0, 1, 6, 0]],
    ["an increment by minus zero", [1, 4, 0, 1, 4, ...k, 1, 0, 0, 0, 0]],
    [
      "nine transactions in each other",
      [1, 4, ...Array.from({ length: 9 }, () => [0, 1, 5]).flat()],
    ],
    ["a key put twice", [1, 4, 0, 2, 1, 0, 0, ...k, 0, 1, 0, 0, ...k, 0, 0]],
    ["too many leases", [1, 6, 0x91, 0x4e]],
    ["flags of the future", [1, 2, 2, 0, ...k]],
    ["a condition of the future", [1, 2, 0, 1, 6, ...k]],
    ["too many conditions", [1, 2, 0, 17, ...Array.from({ length: 17 }, () => 4), ...k]],
    ["an empty key", [1, 2, 0, 0, 0]],
    ["a key longer than the rest", [1, 2, 0, 0, 5, 0x6b]],
    ["a number beyond 2^53", [1, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ["a number without end", [1, 3, ...Array.from({ length: 200 }, () => 0x80)]],
  ])("refuses %s", (_, bytes) => {
    expect(() => decodeCommand(new Uint8Array(bytes))).toThrow(MalformedError);
  });
});

test("the bytes stay as they are: nodes of other versions read them", () => {
  const version: Condition = { type: "version", version: 300 };
  expect([...encodeCommand(put("k", "v", version))]).toEqual([
    1, 1, 1, 1, 1, 0xac, 2, 1, 0x6b, 1, 0x76,
  ]);
  expect([...encodeCommand(del("k", { type: "absent" }))]).toEqual([1, 2, 1, 1, 5, 1, 0x6b]);
  expect([...encodeCommand(compact(7))]).toEqual([1, 3, 7]);
  expect([...encodeCommand({ type: "grant", id: 1, ttlMs: 300 })]).toEqual([1, 5, 1, 0xac, 2]);
  expect([...encodeCommand({ type: "renew", ids: [1, 2] })]).toEqual([1, 6, 2, 1, 2]);
  expect([...encodeCommand({ type: "revoke", id: 1 })]).toEqual([1, 7, 1]);
  expect([...encodeCommand({ type: "expire", ids: [3] })]).toEqual([1, 8, 1, 3]);
  expect([...encodeCommand({ type: "clock" })]).toEqual([1, 9]);
  expect([...encodeCommand(once("k"))]).toEqual([1, 10, 1, 0x6b, 1, 3, 1]);
  expect([...encodeCommand(txn([incrementOf("k")]))]).toEqual([
    1, 4, 0, 1, 4, 1, 0x6b, 0, 1, 0, 0, 0,
  ]);
});
