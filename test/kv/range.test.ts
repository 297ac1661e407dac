/** Parts of ranges, as they were at any revision, held against a sorted array. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import { byteString } from "../../src/lib/bytes.ts";
import { type Key, prefixEnd } from "../../src/kv/key.ts";
import { Keyspace } from "../../src/kv/keyspace.ts";
import {
  countRange,
  type Grouping,
  type ListRange,
  type Page,
  type PageLimits,
  type Slices,
} from "../../src/kv/range.ts";
import { KvStore } from "../../src/kv/store.ts";
import { apply, compact, del, key, put } from "./fixtures.ts";

interface Live {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
}

/** Every revision as a sorted array. */
type Past = Map<number, readonly Live[]>;

const ALL: ListRange = {
  start: key(""),
  end: null,
  isReverse: false,
  since: 0,
  grouping: null,
};
const WHOLE: PageLimits = { entries: 1e9, bytes: 1e9, isKeysOnly: false };

/** Does all the slices, with `between` after each but the last. */
function run<Result>(slices: Slices<Result>, between = () => {}): Result {
  for (;;) {
    const step = slices.next();
    if (step.done === true) return step.value;
    between();
  }
}

function write(store: KvStore, past: Past, [name, value]: readonly [string, string | null]): void {
  const before = past.get(store.revision) ?? [];
  apply(store, value === null ? del(name) : put(name, value));
  const others = before.filter((live) => live.key !== name);
  if (value !== null) others.push({ key: name, value, modRevision: store.revision });
  past.set(
    store.revision,
    others.sort((a, b) => (a.key < b.key ? -1 : 1)),
  );
}

/** What a list has to tell: values by their keys, and prefixes with a star. */
function expected(live: readonly Live[], range: ListRange): string[] {
  const { start, end, since, grouping, isReverse } = range;
  const told: string[] = [];
  for (const { key: name, value, modRevision } of live) {
    if (name < start || (end !== null && name >= end) || modRevision <= since) continue;
    const entry = groupOf(name, grouping) ?? `${name}=${value}`;
    if (told.at(-1) !== entry) told.push(entry);
  }
  return isReverse ? told.reverse() : told;
}

function groupOf(name: string, grouping: Grouping | null): string | null {
  if (grouping === null) return null;
  const [head, tail] = [name.slice(0, grouping.prefixBytes), name.slice(grouping.prefixBytes)];
  if (!tail.includes(grouping.delimiter)) return null;
  return `${head}${tail.split(grouping.delimiter)[0]}${grouping.delimiter}*`;
}

/** Items and prefixes of a page, each in their order. */
function told({ items, prefixes }: Page): { items: string[]; prefixes: string[] } {
  return {
    items: items.map(({ key: name, value }) => {
      return `${name}=${value === null ? "" : byteString(value)}`;
    }),
    prefixes: prefixes.map((prefix) => `${prefix}*`),
  };
}

/** All pages, one after another, each of which must be full but for the last. */
function readAll(
  store: KvStore,
  query: { readonly range: ListRange; readonly revision: number },
  limits: PageLimits,
): { items: string[]; prefixes: string[] } {
  const all: { items: string[]; prefixes: string[] } = { items: [], prefixes: [] };
  let { range } = query;
  for (;;) {
    const page = run(store.readPage({ ...query, range, limits }));
    const { items, prefixes } = told(page);
    all.items.push(...items);
    all.prefixes.push(...prefixes);
    if (page.next === null) return all;
    expect(items.length + prefixes.length).toBe(limits.entries);
    range = range.isReverse ? { ...range, end: page.next } : { ...range, start: page.next };
  }
}

const text = fc
  .array(fc.constantFrom("a", "b", "/", "\xff"), { maxLength: 4 })
  .map((letters) => letters.join(""));
const name = text.filter((each) => each !== "");
const writes = fc.array(fc.tuple(name, fc.constantFrom("1", "2", null)), {
  maxLength: 60,
  size: "max",
});
const bounds = fc.oneof(
  fc.record({ start: text, end: fc.option(text) }).map((each) => ({ ...each, prefixBytes: 0 })),
  text.map((prefix) => {
    return { start: prefix, end: prefixEnd(key(prefix)), prefixBytes: prefix.length };
  }),
);
const query = fc
  .record({
    bounds,
    delimiter: fc.option(fc.constantFrom("/", "a", "/a", "\xff")),
    isReverse: fc.boolean(),
    since: fc.nat({ max: 40 }),
    back: fc.nat({ max: 20 }),
    entries: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ bounds: { start, end, prefixBytes }, delimiter, ...more }) => ({
    ...more,
    start: key(start),
    end: end === null ? null : key(end),
    grouping: delimiter === null ? null : { prefixBytes, delimiter: key(delimiter) },
  }));

test("pages tell what a sorted array would, at every revision, in both directions", () => {
  fc.assert(
    fc.property(writes, fc.array(query, { minLength: 5, maxLength: 20 }), (made, queries) => {
      const store = new KvStore();
      const past: Past = new Map([[1, []]]);
      for (const each of made) write(store, past, each);
      for (const { back, entries, ...range } of queries) {
        const revision = Math.max(1, store.revision - back);
        const want = expected(past.get(revision) ?? [], range);
        const found = readAll(store, { range, revision }, { ...WHOLE, entries });
        expect(found.items).toEqual(want.filter((each) => !each.endsWith("*")));
        expect(found.prefixes).toEqual(want.filter((each) => each.endsWith("*")));
        expect(run(store.countRange({ range, revision }))).toBe(want.length);
      }
    }),
    { numRuns: 150 },
  );
});

test("keys are read as they were at every revision, in the order in which they are named", () => {
  fc.assert(
    fc.property(writes, fc.array(name, { maxLength: 9 }), fc.nat({ max: 9 }), (made, names, n) => {
      const store = new KvStore();
      const past: Past = new Map([[1, []]]);
      for (const each of made) write(store, past, each);
      const revision = Math.max(1, store.revision - n);
      const found = run(store.readKeys({ keys: names.map(key), revision, bytesMax: 1e9 }));
      const live = past.get(revision) ?? [];
      expect(found?.map((each) => each && byteString(each.value))).toEqual(
        names.map((each) => live.find((other) => other.key === each)?.value ?? null),
      );
    }),
    { numRuns: 100 },
  );
});

describe("a page", () => {
  const store = new KvStore();
  for (const each of ["a", "b", "c", "d"]) apply(store, put(each, "12345"));
  const { revision } = store;
  const page = (limits: Partial<PageLimits>, range: Partial<ListRange> = {}) => {
    return run(
      store.readPage({ range: { ...ALL, ...range }, revision, limits: { ...WHOLE, ...limits } }),
    );
  };

  test("is cut by the bytes of keys and values, but has one entry at least", () => {
    expect(page({ bytes: 12 }).items.map((item) => item.key)).toEqual(["a", "b"]);
    expect(page({ bytes: 11 }).items.map((item) => item.key)).toEqual(["a"]);
    expect(page({ bytes: 1 })).toMatchObject({ items: [{ key: "a" }], next: "a\0" });
    expect(page({ bytes: 1 }, { isReverse: true })).toMatchObject({
      items: [{ key: "d" }],
      next: "d",
    });
  });

  test("of keys only has no values, and counts none", () => {
    const { items, next } = page({ bytes: 4, isKeysOnly: true });
    expect(next).toBeNull();
    expect(items).toHaveLength(4);
    expect(items[0]).toEqual({
      key: "a",
      value: null,
      version: 1,
      createRevision: 2,
      modRevision: 2,
    });
  });

  test("that ends with the range has no next, even if it is full", () => {
    expect(page({ entries: 4 }).next).toBeNull();
    expect(page({ entries: 3 }).next).toBe("c\0");
    expect(page({ entries: 1 }, { end: key("b") }).next).toBeNull();
  });

  test("of keys named one by one is refused where it is too large", () => {
    const keys = [key("a"), key("x"), key("b")];
    expect(run(store.readKeys({ keys, revision, bytesMax: 11 }))).toBeNull();
    expect(run(store.readKeys({ keys, revision, bytesMax: 12 }))).toHaveLength(3);
  });
});

describe("between slices", () => {
  const COUNT = 10_000;
  const nameOf = (i: number) => `k/${String(i).padStart(5, "0")}`;
  const filled = () => {
    const store = new KvStore();
    for (let i = 0; i < COUNT; i++) apply(store, put(nameOf(i), String(i)));
    return store;
  };
  /** Deletes, replaces and adds keys, and forgets what it can. */
  const disturb = (store: KvStore) => {
    for (let i = 0; i < COUNT; i += 7) apply(store, del(nameOf(i)), put(nameOf(i + 1), "new"));
    apply(store, put("k/00000/0", "added"), compact(store.revision));
    for (let i = 0; i < 1_000; i++) apply(store, del("missing"));
  };
  const names = Array.from({ length: COUNT }, (_, i) => nameOf(i));

  test.each([false, true])("writes and compactions change nothing (reverse: %s)", (isReverse) => {
    const store = filled();
    const { revision } = store;
    let slices = 0;
    const page = run(
      store.readPage({ range: { ...ALL, isReverse }, revision, limits: WHOLE }),
      () => {
        if (++slices === 1) disturb(store);
      },
    );
    expect(slices).toBeGreaterThan(1);
    expect(store.compactRevision).toBeGreaterThan(revision);
    const found = page.items.map((item) => item.key as string);
    expect(isReverse ? found.reverse() : found).toEqual(names);
    expect(page.items.every((item) => item.modRevision <= revision)).toBe(true);
  });

  test("a long past of one key, too, is looked through in slices", () => {
    const store = new KvStore();
    apply(store, put("a", "old"), put("b", "old"));
    const { revision } = store;
    for (let i = 0; i < 10_000; i++) apply(store, put("a", "new"));
    let slices = 0;
    const count = run(store.countRange({ range: ALL, revision }), () => {
      slices++;
      disturb(store);
    });
    expect(count).toBe(2);
    expect(slices).toBeGreaterThan(1);
  });

  test.each(["return", "throw"] as const)("what is read is not purged, until %s", (end) => {
    const keyspace = new Keyspace();
    const next = () => ({ revision: keyspace.revision + 1, lease: undefined });
    for (const name of names) keyspace.put(key(name), "", next());
    const { revision } = keyspace;
    const counting = countRange(keyspace, { range: ALL, revision });
    const reading = keyspace.keeping(revision, counting);
    expect(reading.next().done).toBe(false);
    for (let i = 0; i < 100; i++) keyspace.put(key("k"), "", next());
    keyspace.compact(keyspace.revision);
    const purged = keyspace.purge(1e9);
    expect(keyspace.purge(1e9)).toBe(0);
    if (end === "return") reading.return(0);
    else expect(() => reading.throw(new Error("given up"))).toThrow("given up");
    expect([purged, keyspace.purge(1e9)]).toEqual([COUNT - 1, 100]);
  });

  test("a revision that is forgotten before the first is refused", () => {
    const store = filled();
    const reading = store.countRange({ range: ALL, revision: store.revision - 1 });
    apply(store, compact(store.revision));
    expect(() => reading.next()).toThrow(AssertionError);
  });
});

test("a common prefix is passed over in one step, however many keys it has", () => {
  const store = new KvStore();
  for (let i = 0; i < 10_000; i++) apply(store, put(`dir/${i}`, ""));
  apply(store, put("e/1", ""), put("f", ""));
  for (const isReverse of [false, true]) {
    const grouping = { prefixBytes: 0, delimiter: "/" as Key };
    const reading = store.readPage({
      range: { ...ALL, isReverse, grouping },
      revision: store.revision,
      limits: WHOLE,
    });
    const first = reading.next();
    expect(first.done).toBe(true);
    expect((first.value as Page).prefixes).toHaveLength(2);
  }
});
