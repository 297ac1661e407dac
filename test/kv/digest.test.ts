/** Digests of states: the chain over all commands, and the walk over what they left (D4, D5). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, bytesOf } from "../../src/lib/bytes.ts";
import { comparable, PLACES_APART, PLACES_RECENT } from "../../src/kv/checkpoints.ts";
import { decodeDigest, Digest, encodeDigest } from "../../src/kv/digest.ts";
import { digestOfPage } from "../../src/kv/digest-page.ts";
import { KvStore } from "../../src/kv/store.ts";
import type { Version } from "../../src/kv/version.ts";
import { apply, chunksOf, compact, del, key, put, restored } from "./fixtures.ts";
import { patch } from "./patch.ts";

function digestOf(...parts: readonly Uint8Array[]): string {
  const digest = new Digest();
  for (const part of parts) digest.bytes(part);
  return digest.text;
}

/** Two stores with the same keys, a compaction, and a deleted key. */
function twins(): readonly [KvStore, KvStore] {
  const make = () => {
    const store = new KvStore();
    for (let i = 0; i < 40; i++) apply(store, put(`key/${i % 20}`, `value ${i}`));
    // Between two pages of the walk there is a key that only some nodes have purged.
    apply(store, del("key/16"), put("large", "L".repeat(5_000)), compact(20));
    return store;
  };
  return [make(), make()];
}

describe("a digest", () => {
  test("a flipped bit anywhere makes another one, whatever the length", () => {
    for (const length of [1, 2, 3, 4, 5, 31, 32, 255, 256, 257, 1_000]) {
      const bytes = new Uint8Array(length).map((_, at) => at * 7);
      const found = new Set([digestOf(bytes)]);
      for (let bit = 0; bit < 8 * length; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit % 8));
        found.add(digestOf(flipped));
      }
      expect(found.size).toBe(8 * length + 1);
    }
  });

  test("the same bytes cut otherwise, or in another order, make another one", () => {
    const [a, b] = [bytesOf("abc"), bytesOf("def")];
    const all = [digestOf(a, b), digestOf(b, a), digestOf(bytesOf("abcdef")), digestOf(a)];
    all.push(digestOf(a, b, new Uint8Array()), digestOf(a, bytesOf("de"), bytesOf("f")));
    expect(new Set(all).size).toBe(all.length);
  });

  test("two that differ stay different, whatever both of them add", () => {
    const number = fc.maxSafeNat();
    fc.assert(
      fc.property(number, number, fc.array(number, { maxLength: 20 }), (one, other, more) => {
        const digests = [one, other].map((first) => {
          const digest = new Digest();
          for (const each of [first, ...more]) digest.number(each);
          return digest.text;
        });
        expect(digests[0] === digests[1]).toBe(one === other);
      }),
    );
  });

  test("is the same after it was written and read", () => {
    const digest = new Digest();
    digest.bytes(bytesOf("anything"));
    const out = new ByteWriter();
    encodeDigest(out, digest);
    expect(decodeDigest(new ByteReader(out.finish())).text).toBe(digest.text);
  });

  test("is the same on every machine and in every version that is to work with this one", () => {
    const digest = new Digest();
    digest.number(2 ** 53 - 1);
    digest.bytes(bytesOf("Quorate"));
    digest.bytes(new Uint8Array(1_000).fill(0xff));
    expect(digest.text).toBe("d7d9051d7d2ff193");
  });
});

describe("the chain of a state", () => {
  test("is equal after equal commands, and told at every place that is not long ago (D4)", () => {
    const [one, other] = twins();
    expect(one.commands).toBe(43);
    expect(other.digest).toBe(one.digest);
    const places = Array.from({ length: one.commands + 1 }, (_, place) => place);
    const chains = places.map((place) => one.digestAt(place));
    expect(new Set(chains).size).toBe(places.length);
    expect(places.map((place) => other.digestAt(place))).toEqual(chains);
    expect(one.digestAt(one.commands + 1)).toBeNull();
  });

  test.each<[string, Partial<Version>]>([
    ["a version", { version: 9 }],
    ["the revision of the create", { createRevision: 3 }],
    ["a value that is longer", { stored: "value 13 and more" }],
  ])("differs from the next write on where memory was changed: %s (D4)", (_what, change) => {
    const [one, other] = twins();
    patch(other, "key/13", change);
    expect(other.digest).toBe(one.digest);
    for (const store of [one, other]) apply(store, put("key/13", "next"));
    expect(other.digest).not.toBe(one.digest);
    for (const store of [one, other]) apply(store, put("elsewhere", "more"), del("key/13"));
    expect(other.digest).not.toBe(one.digest);
  });

  test("differs at the next command, whichever it is, where a key is gone (D4)", () => {
    const [one, other] = twins();
    const { keyspace } = (other as unknown as { state: { keyspace: { liveKeys: number } } }).state;
    keyspace.liveKeys -= 1;
    for (const store of [one, other]) apply(store, put("elsewhere", "more"));
    expect(other.digest).not.toBe(one.digest);
  });

  test("goes on after a snapshot and a restore as if there had been none (D5)", () => {
    const [one, other] = twins();
    const again = restored(chunksOf(other));
    expect([again.commands, again.digest]).toEqual([one.commands, one.digest]);
    expect(again.digestAt(one.commands)).toBe(one.digest);
    expect(again.digestAt(one.commands - 1)).toBeNull();
    for (const store of [one, again]) apply(store, put("key/1", "next"), del("key/2"));
    expect(again.digest).toBe(one.digest);
  });

  test("a snapshot is of the moment it was frozen at, whatever is written meanwhile (D5)", () => {
    const [one, other] = twins();
    const frozen = other.freeze();
    apply(other, put("key/1", "later"));
    const chunks = [...{ [Symbol.iterator]: () => frozen.chunks() }].filter((c) => c.length > 0);
    frozen.release();
    expect(restored(chunks).digest).toBe(one.digest);
  });

  test("places are forgotten one by one, and those far apart much later", () => {
    const store = new KvStore();
    const count = 3 * PLACES_RECENT + 7;
    for (let i = 0; i < count; i++) apply(store, put("k", "v"));
    const known = (place: number) => store.digestAt(place) !== null;
    expect(known(count - PLACES_RECENT + 1)).toBe(true);
    expect(known(count - PLACES_RECENT)).toBe(false);
    for (let place = 0; place < count; place += PLACES_APART) expect(known(place)).toBe(true);
  });

  test("the place to compare at is known to whoever is a little behind or ahead", () => {
    const store = new KvStore();
    for (let now = 1; now <= 4 * PLACES_RECENT; now++) {
      apply(store, put("k", "v"));
      for (const behind of [0, 1, 100, 127, 128, 300, now]) {
        const place = comparable(Math.max(0, now - behind), now);
        expect(place).toBeLessThanOrEqual(Math.max(0, now - behind));
        expect(store.digestAt(place)).not.toBeNull();
      }
    }
  });
});

describe("the digest of a page", () => {
  const limits = { entries: 8, bytes: 6_000, isKeysOnly: false };
  const pageAt = (store: KvStore, start: string, revision: number) => {
    const range = { start: key(start), end: null, isReverse: false, since: 0, grouping: null };
    const slices = store.readPage({ range, revision, limits });
    let step = slices.next();
    while (step.done !== true) step = slices.next();
    return step.value;
  };
  /** Of all pages, one after another. */
  const walk = (store: KvStore, revision: number): readonly string[] => {
    const digests: string[] = [];
    for (let start: string | null = ""; start !== null; ) {
      const page = pageAt(store, start, revision);
      digests.push(digestOfPage(page));
      start = page.next;
    }
    return digests;
  };

  test("is equal on all nodes, and of the revision alone, whatever comes after it (D4)", () => {
    const [one, other] = twins();
    const { revision } = one;
    const before = walk(one, revision);
    expect(before.length).toBeGreaterThan(2);
    apply(other, put("key/3", "later"), put("key/new", "later"), del("key/4"), compact(revision));
    for (let i = 0; i < 50; i++) apply(other, put("key/5", String(i)));
    expect(walk(other, revision)).toEqual(before);
    expect(walk(restored(chunksOf(one)), revision)).toEqual(before);
  });

  test.each<[string, Partial<Version>]>([
    ["one bit of a value", { stored: "value 32" }],
    ["the version", { version: 9 }],
    ["the revision of the create", { createRevision: 3 }],
    ["the lease", { lease: 12 }],
  ])("differs where memory was changed, though nobody wrote: %s (D4)", (_what, change) => {
    const [one, other] = twins();
    patch(other, "key/13", change);
    expect(walk(other, other.revision)).not.toEqual(walk(one, one.revision));
  });
});
