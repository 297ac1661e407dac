/** Keys are bytes: any bytes, in bytewise order, on every machine. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../../src/lib/bytes.ts";
import { FIRST_KEY, isKeySize, KEY_BYTES_MAX, keyAfter, prefixEnd } from "../../src/kv/key.ts";
import { KvStore } from "../../src/kv/store.ts";
import { allAt, apply, chunksOf, key, put, restored } from "./fixtures.ts";

/** In bytewise order: neither numbers, nor names of properties, nor UTF-16 come first. */
const ORDERED = [
  "\0",
  "\0\0",
  "\0a",
  "\x01",
  "1",
  "10",
  "2",
  "B",
  "__proto__",
  "a",
  "a\0",
  "a\0\0",
  "a\x01",
  "ab",
  "a\xff",
  "constructor",
  "toString",
  "\x7f",
  "\x80",
  "\xc3\xa9", // é in UTF-8.
  "\xef\xbc\xa1", // Ａ, a single UTF-16 unit, …
  "\xf0\x9f\x98\x80", // … before 😀, which is two smaller ones.
  "\xff",
  "\xff\xff",
];

describe("weird keys", () => {
  const store = new KvStore();
  // Some order other than their own, and not its reverse.
  const shuffled = ORDERED.map((_, at) => ORDERED[(at * 7) % ORDERED.length] ?? "");
  for (const name of shuffled) apply(store, put(name, `=${name}`));

  test("are all there, in bytewise order", () => {
    const keysOf = (from: KvStore) =>
      allAt(from, from.revision).map((item) => (item as { readonly key: string }).key);
    expect(keysOf(store)).toEqual(ORDERED);
    expect(keysOf(restored(chunksOf(store)))).toEqual(ORDERED);
  });

  test("are keys like any other", () => {
    for (const name of ORDERED) expect(store.get(key(name))?.value).toEqual(bytesOf(`=${name}`));
  });
});

test.each<[string, string | null]>([
  ["a", "b"],
  ["ab", "ac"],
  ["a\xff", "b"],
  ["a\xff\xff", "b"],
  ["\0", "\x01"],
  ["\xfe", "\xff"],
  ["\xff", null],
  ["\xff\xff", null],
  ["", null],
])("after all keys that begin with %j comes %j", (prefix, end) => {
  expect(prefixEnd(key(prefix))).toBe(end);
});

const anyKey = fc.uint8Array({ maxLength: 4 }).map((bytes) => {
  return key(String.fromCharCode(...bytes.map((byte) => (byte % 5 === 0 ? 0xff : byte))));
});

test("a prefix's range holds those that begin with it, and no others", () => {
  fc.assert(
    fc.property(anyKey, anyKey, (prefix, other) => {
      const end = prefixEnd(prefix);
      const isInside = other >= prefix && (end === null || other < end);
      expect(isInside).toBe(other.startsWith(prefix));
    }),
    { numRuns: 1000 },
  );
});

test("nothing lies between a key and the one after it", () => {
  fc.assert(
    fc.property(anyKey, anyKey, (one, other) => {
      expect(keyAfter(one) > one).toBe(true);
      expect(other > one && other < keyAfter(one)).toBe(false);
    }),
  );
  expect(keyAfter(key("a"))).toBe("a\0");
  expect(FIRST_KEY < key("\0")).toBe(true);
});

test.each([
  [0, false],
  [1, true],
  [KEY_BYTES_MAX, true],
  [KEY_BYTES_MAX + 1, false],
])("a key of %i bytes can be stored: %s", (count, expected) => {
  expect(isKeySize(count)).toBe(expected);
});
