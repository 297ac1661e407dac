/** Snapshots: one state, one sequence of bytes; and from other bytes an error, not a state. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byteString } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import { VALUE_BYTES_MAX } from "../../src/kv/key.ts";
import { KvStore } from "../../src/kv/store.ts";
import {
  allAt,
  apply,
  chunksOf,
  compact,
  del,
  drain,
  isMalformed,
  key,
  put,
  restore,
  restored,
  sums,
} from "./fixtures.ts";

const KIB = 1024;
const BASES = 2;
const CHANGES = 3;
const END = 6;
const LEASES = 4;
const REPLIES = 5;
const PART = 7;
/** The end of a header: how many commands made the state, and their chain. */
const noCommands = [0, 0, 0, 0, 0, 0, 0, 0, 0];

/** How many chunks of a frozen state are only pauses. */
function pausesOf(store: KvStore): number {
  const frozen = store.freeze();
  const all = [...{ [Symbol.iterator]: () => frozen.chunks() }];
  frozen.release();
  return all.filter((chunk) => chunk.length === 0).length;
}

/** Keys of before the compaction, keys of after it, deleted ones, and chunks of every kind. */
function varied(): KvStore {
  const store = new KvStore();
  const random = new Prng("varied");
  const write = (count: number) => {
    for (let i = 0; i < count; i++) {
      const name = `key/${random.below(400)}`;
      if (random.chance(25)) apply(store, del(name));
      else apply(store, put(name, String(i).repeat(1 + random.below(200))));
    }
  };
  write(600);
  apply(store, put("large", "L".repeat(300 * KIB)), put("largest", "M".repeat(VALUE_BYTES_MAX)));
  apply(store, compact(store.revision));
  apply(store, put("large", "N".repeat(33 * KIB)));
  write(600);
  return store;
}

const source = varied();
const chunks = chunksOf(source);
const kindOf = (chunk: Uint8Array | undefined) => chunk?.[0];

test("the sample has chunks of every kind, and several", () => {
  const kinds = chunks.map(kindOf);
  expect([kinds.at(0), kinds.at(-1)]).toEqual([1, END]);
  for (const kind of [BASES, CHANGES, PART]) {
    expect(kinds.filter((each) => each === kind).length).toBeGreaterThan(1);
  }
});

describe("the same state has the same bytes", () => {
  test("after a restore, and after a restore of that", () => {
    const again = restored(chunks);
    expect(again.digest).toBe(source.digest);
    expect(sums(chunksOf(again))).toEqual(sums(chunks));
    expect(sums(chunksOf(restored(chunksOf(again))))).toEqual(sums(chunks));
  });

  test("whether the store has purged or not", () => {
    const [purged, kept] = [new KvStore(), new KvStore()];
    const view = kept.freeze(); // As long as it is open, nothing is purged.
    for (let i = 0; i < 9000; i++) {
      for (const store of [purged, kept]) apply(store, put(`k${i}`, "v"), del(`k${i}`));
    }
    for (const store of [purged, kept]) {
      apply(store, compact(15_000), put("a", "1"), put("a", "2"));
      for (let i = 0; i < 500; i++) apply(store, del("missing"));
    }
    expect(sums(chunksOf(kept))).toEqual(sums(chunksOf(purged)));
    // What is deleted and not purged takes time, and a purge leaves nothing of it.
    expect(pausesOf(kept)).toBe(Math.floor(7499 / 4096));
    expect(pausesOf(purged)).toBe(0);
    view.release();
  });

  test("frozen before many keys were added, changed and deleted", () => {
    const store = new KvStore();
    const random = new Prng("many");
    const names = Array.from({ length: 3000 }, (_, i) => `key/${(i * 7919) % 3000}`);
    for (const name of names) apply(store, put(name, "v".repeat(100)));
    apply(store, compact(store.revision));
    const expected = chunksOf(store);
    const frozen = store.freeze();
    const drained = [];
    const chunksNow = frozen.chunks();
    for (let next = chunksNow.next(); next.done !== true; next = chunksNow.next()) {
      drained.push(next.value);
      for (let i = 0; i < 2000; i++) {
        const name = `key/${random.below(9000)}`;
        apply(store, random.chance(50) ? put(name, "new") : del(name));
      }
    }
    frozen.release();
    expect(expected.length).toBeGreaterThan(6);
    expect(sums(drained)).toEqual(sums(expected));
  });

  test("read twice from one frozen state, written to meanwhile", () => {
    const store = restored(chunks);
    const frozen = store.freeze();
    const [one, other] = [frozen.chunks(), frozen.chunks()];
    const drained = [];
    for (let next = one.next(); next.done !== true; next = one.next()) {
      drained.push(next.value);
      apply(store, put("key/1", "new"), del("key/2"), put(`new/${drained.length}`, "new"));
      apply(store, compact(store.revision), put("key/3", "new"));
    }
    expect(sums(drained)).toEqual(sums(chunks));
    expect(sums(drain(other))).toEqual(sums(chunks));
    frozen.release();
  });
});

test("to restore and go on is the same as to go on", () => {
  const [one, other] = [varied(), restored(chunks)];
  const random = new Prng("on");
  for (let i = 0; i < 300; i++) {
    const name = `key/${random.below(400)}`;
    const command = random.chance(40)
      ? del(name)
      : random.chance(5)
        ? compact(one.revision - random.below(50))
        : put(name, String(i));
    expect(apply(other, command)).toEqual(apply(one, command));
  }
  expect(other.digest).toBe(one.digest);
  for (let at = one.compactRevision; at <= one.revision; at += 7) {
    expect(allAt(other, at)).toEqual(allAt(one, at));
  }
  for (const count of ["liveKeys", "liveBytes", "historyBytes", "clusterTime"] as const) {
    expect(other[count]).toBe(one[count]);
  }
  expect(sums(chunksOf(other))).toEqual(sums(chunksOf(one)));
});

describe("values of every size", () => {
  const edges = [
    0,
    1,
    4 * KIB,
    4 * KIB + 1,
    32 * KIB,
    32 * KIB + 1,
    128 * KIB,
    128 * KIB + 1,
    VALUE_BYTES_MAX,
  ];

  test("come back as they were, however many large ones follow each other", () => {
    const store = new KvStore();
    const sizes = [...edges, ...edges];
    for (const [at, size] of sizes.entries()) {
      apply(store, put(`k${at}`, String.fromCharCode(at).repeat(size)));
    }
    const sameValues = (other: KvStore) => {
      for (const [at, size] of sizes.entries()) {
        const value = byteString(other.get(key(`k${at}`))?.value ?? new Uint8Array());
        expect(value === String.fromCharCode(at).repeat(size)).toBe(true);
      }
    };
    sameValues(restored(chunksOf(store))); // As changes, …
    apply(store, compact(store.revision), put("last", ""), compact(store.revision + 1));
    expect(chunksOf(store).map(kindOf).lastIndexOf(BASES)).toBeGreaterThan(sizes.length / 3);
    sameValues(restored(chunksOf(store))); // … and as bases.
  });

  test("no chunk is much larger than it should be", () => {
    const store = new KvStore();
    for (const [at, size] of edges.entries()) apply(store, put(`k${at}`, "v".repeat(size)));
    for (let i = 0; i < 100; i++) apply(store, put(`m${i}`, "v".repeat(20 * KIB)));
    const lengths = chunksOf(store).map((chunk) => chunk.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(128 * KIB + 1);
    expect(lengths.length).toBeLessThan(100);
  });

  test("a value does not keep the buffer alive in which it came", () => {
    const value = "v".repeat(600);
    const bytes = encodeCommand(put("k", value));
    const buffer = new Uint8Array(64 * KIB);
    buffer.set(bytes);
    const store = new KvStore();
    store.apply(buffer.subarray(0, bytes.length), 1);
    buffer.fill(0);
    expect(byteString(store.get(key("k"))?.value ?? new Uint8Array())).toBe(value);
  });
});

describe("what is not a snapshot", () => {
  const feedAll = (pieces: readonly Uint8Array[]) => isMalformed(() => restored(pieces));
  const some = fc.nat({ max: chunks.length - 1 });
  const without = (at: number) => chunks.toSpliced(at, 1);

  test("a chunk that is missing, or there twice, is noticed", () => {
    for (const [at, chunk] of chunks.entries()) {
      if (chunk.length === 1) continue; // The end of its kind; it says nothing.
      expect(feedAll(without(at)), `without chunk ${at}`).toBe(true);
      expect(feedAll(chunks.toSpliced(at, 0, chunk)), `chunk ${at} twice`).toBe(true);
    }
  });

  test("so is one of keys that nobody has touched since", () => {
    const store = new KvStore();
    for (let i = 0; i < 2000; i++) apply(store, put(`k${i}`, "v".repeat(100)));
    apply(store, compact(store.revision));
    const still = chunksOf(store);
    expect(still.length).toBeGreaterThan(5);
    for (const at of still.keys()) expect(feedAll(still.toSpliced(at, 1))).toBe(true);
  });

  test("a snapshot that is cut off is noticed", () => {
    for (const at of chunks.keys()) expect(feedAll(chunks.slice(0, at))).toBe(true);
    const last = chunks.length - 1;
    expect(feedAll([...chunks.slice(0, last), new Uint8Array([END])])).toBe(true);
  });

  test("something more is noticed", () => {
    for (const kind of [0, 1, 2, 3, 4, 5, 6, 7, 8, 255]) {
      const more = new Uint8Array([kind]);
      expect(feedAll([...chunks, more]), `kind ${kind} at the end`).toBe(true);
      expect(feedAll([more, ...chunks]), `kind ${kind} at the start`).toBe(true);
    }
    expect(feedAll([...chunks, new Uint8Array()])).toBe(true);
  });

  test("chunks in another order are refused, or tell as many changes", () => {
    fc.assert(
      fc.property(some, some, (one, other) => {
        const swapped = [...chunks];
        [swapped[one], swapped[other]] = [swapped[other] as Uint8Array, swapped[one] as Uint8Array];
        const kinds = [kindOf(chunks[one]), kindOf(chunks[other])];
        const isRefused = feedAll(swapped);
        if (one !== other && (kinds[0] !== kinds[1] || kinds[0] === BASES)) {
          expect(isRefused).toBe(true);
        }
      }),
    );
  });

  const damage = fc.record({ chunk: some, at: fc.nat(), byte: fc.nat({ max: 255 }) });

  test("damaged bytes never do worse than to be refused", () => {
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 3 }), fc.boolean(), (all, isNear) => {
        const damaged = [...chunks];
        for (const { chunk, at, byte } of all) {
          const copy = new Uint8Array(damaged[chunk] ?? []);
          copy[at % (isNear ? Math.min(copy.length, 40) : copy.length)] = byte;
          damaged[chunk] = copy;
        }
        feedAll(damaged);
      }),
      { numRuns: 60 },
    );
  });

  const [header = new Uint8Array(), end = new Uint8Array()] = chunksOf(new KvStore()).filter(
    (chunk) => kindOf(chunk) === 1 || kindOf(chunk) === END,
  );
  const chunkOf = (kind: number) =>
    fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 24 }).map((rest) => {
      return new Uint8Array([kind, ...rest]);
    });

  test("made-up chunks never do worse than to be refused", () => {
    const any = fc.constantFrom(0, BASES, CHANGES, LEASES, REPLIES, PART, 8).chain(chunkOf);
    fc.assert(
      fc.property(fc.array(any, { maxLength: 4 }), (made) => {
        feedAll([header, ...made, end]);
      }),
      { numRuns: 3000 },
    );
  });

  test("the smallest one with a key, byte for byte: nodes of other versions read it", () => {
    const store = new KvStore();
    store.apply(encodeCommand(put("k", "v")), 300);
    const chain = [...Buffer.from(store.digest, "hex")];
    const bytes = [[1, 3, 2, 0, 0xac, 2, 1, 1, ...chain], [BASES], [CHANGES, 2, 1, 0x6b, 1, 0x76]];
    expect(chunksOf(store).map((chunk) => [...chunk])).toEqual([...bytes, [END, 0, 1, 0, 0]]);
  });

  test.each<[string, number[][]]>([
    ["an empty chunk", [[]]],
    ["the format before", [[1, 2, 1, 0, 0, 1, ...noCommands]]],
    ["a format of the future", [[1, 4, 1, 0, 0, 1, ...noCommands]]],
    ["revision 0", [[1, 3, 0, 0, 0, 1, ...noCommands]]],
    ["a compaction in the future", [[1, 3, 1, 2, 0, 1, ...noCommands]]],
    ["a lease 0 to come", [[1, 3, 1, 0, 0, 0, ...noCommands]]],
    ["a header that is too long", [[1, 3, 1, 0, 0, 1, ...noCommands, 0]]],
    ["a base where there was no past", [[...header], [BASES, 1, 0x6b, 1, 2, 2, 0, 0]]],
    ["a delete of a missing key", [[...header], [CHANGES, 3, 1, 0x6b]]],
    ["an unknown change", [[...header], [CHANGES, 8, 1, 0x6b, 0]]],
    ["a change at no revision", [[...header], [CHANGES, 0, 1, 0x6b, 0]]],
    ["a change with lease 0", [[...header], [CHANGES, 6, 1, 0x6b, 0, 0]]],
    ["a lease 0", [[...header], [LEASES, 0, 1, 1, 0]]],
    ["leases out of order", [[...header], [LEASES, 2, 1, 1, 0, 1, 1, 1, 0]]],
    ["a lease that is neither own nor not", [[...header], [LEASES, 1, 1, 1, 2]]],
    ["a reply under no key", [[...header], [REPLIES, 0, 0, 0, 0, 0, 0, 6, 0, 1, 0, 0, 0, 0]]],
    ["a reply that is no result", [[...header], [REPLIES, 1, 0x6b, 0, 0, 0, 0, 0, 1, 99]]],
    ["an empty key", [[...header], [CHANGES, 2, 0, 0]]],
    ["a large value without parts", [[...header], [CHANGES, 2, 1, 0x6b, 0x81, 0x80, 2]]],
    ["parts of no value", [[...header], [PART, 1], [CHANGES, 2, 1, 0x6b, 1, 1]]],
    ["endless parts", [[...header], ...Array.from({ length: 9 }, () => [PART])]],
  ])("refuses %s", (_, pieces) => {
    const reader = new KvStore().restorer();
    const bytes = pieces.map((piece) => new Uint8Array(piece));
    expect(isMalformed(() => bytes.forEach((chunk) => reader.feed(chunk)))).toBe(true);
  });

  const key1 = [CHANGES, 6, 1, 0x6b, 1, 0]; // The key k on lease 1.
  const ofResult = [6, 0, 1, 0, 0, 0, 0]; // Done, at revision 1.
  const reply = [1, 0x6b, 0, 0, 0, 0, 0, ...ofResult];
  const header2 = [1, 3, 2, 0, 0, 2, ...noCommands];
  const deep = Array.from({ length: 300_000 }, () => [4, 1, 1]).flat();
  const deepResult = [0, 1, 0, 0, 0, 1, 1, 1, ...deep];

  test.each<[string, boolean, number[][]]>([
    ["a key and its lease", true, [header2, key1, [LEASES, 1, 1, 1, 1], [END, 0, 1, 1, 0]]],
    ["a key without its lease", false, [header2, key1, [END, 0, 1, 0, 0]]],
    ["a key's own lease without it", false, [[...header], [LEASES, 1, 1, 1, 1], [END, 0, 0, 1, 0]]],
    ["a reply", true, [[...header], [REPLIES, ...reply], [END, 0, 0, 0, 1]]],
    ["a reply twice", false, [[...header], [REPLIES, ...reply, ...reply], [END, 0, 0, 0, 2]]],
    [
      "a result that is too deep",
      false,
      [[...header], [REPLIES, 1, 0x6b, 0, 0, 0, 0, 0, 0xe8, 0xf7, 0x36, ...deepResult]],
    ],
  ])("%s: %s", (_, isFine, pieces) => {
    expect(isMalformed(() => restored(pieces.map((piece) => new Uint8Array(piece))))).toBe(!isFine);
  });

  test("the present state stays until a whole one is handed over", () => {
    const store = new KvStore();
    apply(store, put("present", "1"));
    const before = chunksOf(store);
    const reader = store.restorer();
    for (const chunk of chunks.slice(0, -1)) reader.feed(chunk);
    expect(isMalformed(() => reader.commit())).toBe(true);
    expect(sums(chunksOf(store))).toEqual(sums(before));
    expect(isMalformed(() => restore(store, without(3)))).toBe(true);
    expect(sums(chunksOf(store))).toEqual(sums(before));
    restore(store, chunks);
    expect(sums(chunksOf(store))).toEqual(sums(chunks));
  });

  test("a view that is open when the state is replaced still tells the old one", () => {
    const store = new KvStore();
    apply(store, put("old", "1"));
    const before = chunksOf(store);
    const frozen = store.freeze();
    restore(store, chunks);
    expect(sums(drain(frozen.chunks()))).toEqual(sums(before));
    frozen.release();
  });
});
