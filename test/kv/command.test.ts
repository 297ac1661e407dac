/** Commands survive their bytes, and nothing else passes as one. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import {
  type Command,
  type Condition,
  CONDITIONS_MAX,
  decodeCommand,
  encodeCommand,
} from "../../src/kv/command.ts";
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../../src/kv/key.ts";
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
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ type: fc.constant("put" as const), value: fc.uint8Array(), ...change }),
  fc.record({ type: fc.constant("delete" as const), ...change }),
  fc.record({ type: fc.constant("compact" as const), revision }),
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
  ])("%s is a bug of the caller", (_, make) => {
    expect(() => encodeCommand(make())).toThrow(AssertionError);
  });

  const k = [1, 0x6b];
  test.each<[string, number[]]>([
    ["nothing", []],
    ["another format", [2, 3, 1]],
    ["op 0", [1, 0, 1]],
    ["an op of the future", [1, 4, 1]],
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
});
