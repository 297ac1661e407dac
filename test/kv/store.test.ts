/** The rules of revisions, one by one: what changes them, what they mean, what cannot be read. */
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import type { Command, Condition } from "../../src/kv/command.ts";
import { type KvRefusal, KvStore } from "../../src/kv/store.ts";
import { allAt, apply, chunksOf, compact, del, key, put, shown } from "./fixtures.ts";
import { patch } from "./patch.ts";

const missing = null;

describe("what a command does to the revision and to the key", () => {
  const once = { version: 1, createRevision: 2, modRevision: 2 };
  test.each<[string, Command[], { revision: number; key: typeof once | null }]>([
    ["nothing was written", [compact(1)], { revision: 1, key: missing }],
    ["a put is the next revision", [put("k", "a")], { revision: 2, key: once }],
    [
      "a put of the same value too",
      [put("k", "a"), put("k", "a")],
      { revision: 3, key: { version: 2, createRevision: 2, modRevision: 3 } },
    ],
    ["an empty value is a value", [put("k", "")], { revision: 2, key: once }],
    ["a put of another key", [put("k", "a"), put("l", "a")], { revision: 3, key: once }],
    ["a delete", [put("k", "a"), del("k")], { revision: 3, key: missing }],
    ["a delete of a missing key: nothing", [del("k")], { revision: 1, key: missing }],
    [
      "a second delete: nothing",
      [put("k", "a"), del("k"), del("k")],
      { revision: 3, key: missing },
    ],
    [
      "after a delete the version begins anew",
      [put("k", "a"), put("k", "b"), del("k"), put("k", "c")],
      { revision: 5, key: { version: 1, createRevision: 5, modRevision: 5 } },
    ],
    ["a refused put: nothing", [put("k", "a", { type: "exists" })], { revision: 1, key: missing }],
    [
      "a compaction: nothing",
      [put("k", "a"), put("l", "b"), compact(3)],
      { revision: 3, key: once },
    ],
  ])("%s", (_, commands, expected) => {
    const store = new KvStore();
    const [first, ...more] = commands as [Command, ...Command[]];
    apply(store, first, ...more);
    expect(store.revision).toBe(expected.revision);
    const found = store.get(key("k"));
    if (expected.key === null) expect(found).toBeNull();
    else expect(found).toMatchObject(expected.key);
  });
});

describe("conditions", () => {
  const exists = [put("k", "a"), put("k", "b")] as const; // Version 2, revision 3.
  const gone = [put("k", "a"), del("k")] as const;
  const version = (n: number): Condition => ({ type: "version", version: n });
  const at = (n: number): Condition => ({ type: "modRevision", modRevision: n });
  const notAt = (n: number): Condition => ({ type: "otherModRevision", modRevision: n });

  test.each<[string, readonly [Command, ...Command[]], Condition[], KvRefusal | "ok"]>([
    ["the version it has", exists, [version(2)], "ok"],
    ["a version it had", exists, [version(1)], "VERSION_MISMATCH"],
    ["create only, and it is there", exists, [version(0)], "VERSION_MISMATCH"],
    ["create only, and it is gone", gone, [version(0)], "ok"],
    ["a version of a key that is gone", gone, [version(1)], "KEY_NOT_FOUND"],
    ["the revision it has", exists, [at(3)], "ok"],
    ["a revision it had", exists, [at(2)], "PRECONDITION_FAILED"],
    ["the revision of its delete", gone, [at(3)], "PRECONDITION_FAILED"],
    ["revision 0 of a key that is gone", gone, [at(0)], "ok"],
    ["not the revision it has", exists, [notAt(3)], "PRECONDITION_FAILED"],
    ["not a revision it had", exists, [notAt(2)], "ok"],
    ["not some revision, and it is gone", gone, [notAt(2)], "ok"],
    ["exists", exists, [{ type: "exists" }], "ok"],
    ["exists, and it is gone", gone, [{ type: "exists" }], "PRECONDITION_FAILED"],
    ["absent", gone, [{ type: "absent" }], "ok"],
    ["absent, and it is there", exists, [{ type: "absent" }], "PRECONDITION_FAILED"],
    ["all of several", exists, [version(2), at(3), { type: "exists" }], "ok"],
    [
      "the first that fails decides",
      exists,
      [version(2), at(1), version(9)],
      "PRECONDITION_FAILED",
    ],
  ])("%s", (_, before, conditions, expected) => {
    for (const command of [put("k", "new", ...conditions), del("k", ...conditions)]) {
      const store = new KvStore();
      apply(store, ...before);
      const { revision } = store;
      const old = store.get(key("k"));
      const result = apply(store, command);
      expect(result.ok ? "ok" : result.code).toBe(expected);
      if (result.ok) continue;
      expect(store.revision).toBe(revision);
      expect(store.get(key("k"))).toEqual(old);
      expect(result.current === null).toBe(old === null);
    }
  });

  test("a refusal says what the key is", () => {
    const store = new KvStore();
    expect(apply(store, put("k", "a"), put("k", "b", version(7)))).toEqual({
      ok: false,
      code: "VERSION_MISMATCH",
      revision: 2,
      current: { version: 1, createRevision: 2, modRevision: 2 },
    });
  });
});

test("the previous version is returned where that was asked for", () => {
  const store = new KvStore();
  const previousOf = (command: Command) => {
    const result = apply(store, command);
    return result.ok ? shown(result.previous) : "refused";
  };
  const first = { key: "k", value: "a", version: 1, createRevision: 2, modRevision: 2 };
  expect(previousOf(put("k", "a"))).toBeNull();
  expect(previousOf({ ...put("k", "b"), returnPrevious: false } as Command)).toBeNull();
  expect(previousOf(put("k", "c"))).toEqual({ ...first, value: "b", version: 2, modRevision: 3 });
  expect(previousOf(del("k"))).toMatchObject({ value: "c", version: 3 });
  expect(previousOf(del("k"))).toBeNull();
});

describe("compaction", () => {
  const written = () => {
    const store = new KvStore();
    apply(store, put("a", "1"), put("b", "1"), put("a", "2"), del("b"), put("a", "3"));
    return store;
  };

  test.each<[number, KvRefusal | "ok"]>([
    [0, "REVISION_COMPACTED"],
    [3, "REVISION_COMPACTED"],
    [4, "REVISION_COMPACTED"],
    [5, "ok"],
    [6, "ok"],
    [7, "REVISION_IN_FUTURE"],
  ])("to %i, after one to 4: %s", (revision, expected) => {
    const store = written();
    apply(store, compact(4));
    const result = apply(store, compact(revision));
    expect(result.ok ? "ok" : result.code).toBe(expected);
    expect(store.compactRevision).toBe(expected === "ok" ? revision : 4);
  });

  test("what is older cannot be read, the revision itself and later can (R13)", () => {
    const store = written();
    const before = [4, 5, 6].map((revision) => allAt(store, revision));
    apply(store, compact(4));
    expect([3, 4, 6, 7].map((at) => store.checkRevision(at))).toEqual([
      "compacted",
      "ok",
      "ok",
      "future",
    ]);
    expect([4, 5, 6].map((revision) => allAt(store, revision))).toEqual(before);
    expect(() => store.getAt(key("a"), 3)).toThrow(AssertionError);
    expect(() => allAt(store, 7)).toThrow(AssertionError);
  });

  test("a key that is written again and again keeps only what is not compacted", () => {
    const store = new KvStore();
    for (let i = 0; i < 500; i++) {
      apply(store, put("k", "x".repeat(100)), del("k"), put("k", "y"));
      apply(store, compact(store.revision - 2));
    }
    expect(store.historyBytes).toBeLessThan(1000);
    // Through the snapshot, for what is in memory: one base and three changes.
    expect(chunksOf(store).reduce((sum, chunk) => sum + chunk.length, 0)).toBeLessThan(200);
  });
});

describe("ranges", () => {
  const store = new KvStore();
  apply(store, put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4"), del("b"), put("e", "5"));

  test.each<[string, { start: string; end: string | null; at: number; limit: number }, string]>([
    ["all", { start: "", end: null, at: 7, limit: 9 }, "a c d e"],
    ["the end is not in it", { start: "a", end: "d", at: 7, limit: 9 }, "a c"],
    ["from a key that is not there", { start: "b", end: null, at: 7, limit: 9 }, "c d e"],
    ["before a delete", { start: "", end: null, at: 5, limit: 9 }, "a b c d"],
    ["before the first write", { start: "", end: null, at: 1, limit: 9 }, ""],
    ["as many as the limit: no more", { start: "", end: null, at: 7, limit: 4 }, "a c d e"],
    ["one more than the limit", { start: "", end: null, at: 7, limit: 3 }, "a c d …"],
    ["more only beyond the end", { start: "", end: "d", at: 7, limit: 2 }, "a c"],
    ["more only in another revision", { start: "", end: null, at: 3, limit: 2 }, "a b"],
    ["an end before the start", { start: "d", end: "b", at: 7, limit: 9 }, ""],
    ["an end that is the start", { start: "c", end: "c", at: 7, limit: 9 }, ""],
  ])("%s", (_, { start, end, at, limit }, expected) => {
    const options = { start: key(start), end: end === null ? null : key(end), limit };
    const { items, more } = store.range({ ...options, revision: at });
    expect([...items.map((item) => item.key), ...(more ? ["…"] : [])].join(" ")).toBe(expected);
  });

  test("pages at one revision make one view, whatever is written meanwhile (R12)", () => {
    const paged = new KvStore();
    for (let i = 0; i < 20; i++) apply(paged, put(`k${String(i).padStart(2, "0")}`, "old"));
    const { revision } = paged;
    const expected = allAt(paged, revision);
    const found: unknown[] = [];
    let start = key("");
    for (let more = true; more; ) {
      const page = paged.range({ start, end: null, revision, limit: 3 });
      found.push(...page.items.map(shown));
      start = key(`${page.items.at(-1)?.key}\0`);
      apply(paged, put("k05", "new"), del("k10"), put("k10a", "new"), compact(revision));
      more = page.more;
    }
    expect(found).toEqual(expected);
  });
});

describe("the digest", () => {
  test.each<[string, (store: KvStore) => void]>([
    ["another command", (store) => apply(store, put("k", "b"))],
    ["another time", (store) => store.apply(new Uint8Array([1, 3, 1]), store.clusterTime + 2)],
    ["a command more", (store) => apply(store, compact(1), compact(1))],
    ["a refusal", (store) => apply(store, compact(9))],
  ])("tells apart: %s", (_, change) => {
    const [one, other] = [new KvStore(), new KvStore()];
    apply(one, compact(1));
    change(other);
    expect(other.digest).not.toBe(one.digest);
  });

  test("tells apart states in which the same command has another result", () => {
    const [one, other] = [new KvStore(), new KvStore()];
    for (const store of [one, other]) apply(store, put("k", "a"));
    patch(other, "k", { version: 2 });
    expect(other.digest).toBe(one.digest);
    for (const store of [one, other]) apply(store, put("k", "b"));
    expect(other.revision).toBe(one.revision);
    expect(other.digest).not.toBe(one.digest);
  });
});

test("a command that cannot be read, or a time that goes back, is a bug: nothing goes on", () => {
  const store = new KvStore();
  expect(() => store.apply(new Uint8Array([9]), 1)).toThrow(AssertionError);
  apply(store, put("k", "a"));
  expect(() => store.apply(new Uint8Array([1, 3, 1]), 0)).toThrow(AssertionError);
});
