/** The number that nodes are compared by: it says what is there at a revision, and no more. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../../src/lib/bytes.ts";
import { keyOf } from "../../src/kv/key.ts";
import type { Command } from "../../src/kv/command.ts";
import type { Page, Slices } from "../../src/kv/range.ts";
import { KvStore } from "../../src/kv/store.ts";
import { ContentHash } from "../../src/service/node-content-hash.ts";
import { apply, chunksOf, compact, del, put, restored } from "../kv/fixtures.ts";

/** Does all the slices, with `between` after each but the last. */
function run<Result>(slices: Slices<Result>, between = () => {}): Result {
  for (;;) {
    const step = slices.next();
    if (step.done === true) return step.value;
    between();
  }
}

function hashOf(store: KvStore, revision = store.revision, between?: () => void): string {
  const hash = new ContentHash();
  run(
    store.readAll(revision, (page) => hash.add(page)),
    between,
  );
  return hash.finish();
}

function plainPut(name: string, value: string) {
  const key = keyOf(bytesOf(name));
  const bare = { key, value: bytesOf(value), conditions: [], returnPrevious: false };
  return { type: "put", ...bare } as const;
}

const names = ["a", "b", "\u00ff", "a/long/name"];
const anyCommand: fc.Arbitrary<Command> = fc
  .oneof(
    { arbitrary: fc.tuple(fc.constantFrom(...names), fc.string()), weight: 3 },
    { arbitrary: fc.constantFrom(...names), weight: 1 },
  )
  .map((drawn) =>
    typeof drawn === "string"
      ? del(drawn)
      : put(drawn[0], Buffer.from(drawn[1]).toString("latin1")),
  );

describe("the hash of a revision", () => {
  test("is the same later on, after a compaction there, and after a restore", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { minLength: 1 }), fc.array(anyCommand), (first, then) => {
        const store = new KvStore();
        for (const command of first) apply(store, command);
        const { revision } = store;
        const hash = hashOf(store);
        for (const command of then) apply(store, command);
        expect(hashOf(store, revision)).toBe(hash);
        expect(hashOf(restored(chunksOf(store)), revision)).toBe(hash);
        if (revision > 1) apply(store, compact(revision));
        expect(hashOf(store, revision)).toBe(hash);
      }),
    );
  });

  test("is another where anything that is known of a key is", () => {
    const histories: Command[][] = [
      [],
      [put("k", "v")],
      [put("k", "w")],
      [put("l", "v")],
      [put("kv", "")],
      [put("k", "v"), put("k", "v")],
      [put("x", ""), del("x"), put("k", "v")],
      [put("k", "v"), put("l", "")],
      [
        { type: "grant", id: 7, ttlMs: 1_000 },
        { ...plainPut("k", "v"), lease: { kind: "lease", id: 7 } },
      ],
    ];
    const hashes = histories.map((commands) => {
      const store = new KvStore();
      for (const command of commands) apply(store, command);
      return hashOf(store);
    });
    expect(new Set(hashes).size).toBe(histories.length);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("is that of its revision though much is written and compacted while it is read", () => {
    const store = new KvStore();
    for (let at = 0; at < 2_000; at++) apply(store, put(`k${at}`, "x".repeat(600)));
    const { revision } = store;
    const hash = hashOf(store);
    let count = 0;
    // Enough of it for all that is compacted to be freed, but for what the reading needs.
    const meddle = () => {
      for (const end = count + 100; count < end; count++) {
        apply(store, put(`k${count % 2_000}`, "other"), compact(store.revision + 1));
      }
    };
    expect(hashOf(store, revision, meddle)).toBe(hash);
    expect(count).toBeGreaterThan(500);
    expect(store.compactRevision).toBeGreaterThan(revision);
    expect(hashOf(store)).not.toBe(hash);
  });

  test("reads every key once, in bytewise order, a part at a time", () => {
    const store = new KvStore();
    for (let at = 0; at < 700; at++) apply(store, put(`${at}`, "v"));
    apply(store, put("large", "x".repeat(1_000_000)));
    const pages: Page[] = [];
    run(store.readAll(store.revision, (page) => pages.push(page)));
    const keys = pages.flatMap(({ items }) => items.map(({ key }) => key));
    expect(keys).toEqual([...keys].sort());
    expect(new Set(keys).size).toBe(701);
    const sizes = pages.map(({ items }) =>
      items.reduce((sum, one) => sum + (one.value?.length ?? 0), 0),
    );
    expect(Math.max(...pages.map(({ items }) => items.length))).toBeLessThanOrEqual(256);
    expect(sizes.filter((size) => size > 262_144)).toEqual([1_000_000]);
  });
});
