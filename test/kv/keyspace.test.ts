/** Transactions: several changes at one revision, each of which sees the ones before it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import { Digest } from "../../src/kv/digest.ts";
import { Keyspace } from "../../src/kv/keyspace.ts";
import { Leases } from "../../src/kv/leases.ts";
import { Remembered } from "../../src/kv/remembered.ts";
import { encodeSnapshot } from "../../src/kv/snapshot.ts";
import { SnapshotReader } from "../../src/kv/snapshot-reader.ts";
import { keyValueOf, type Version } from "../../src/kv/version.ts";
import { drain, key, shown, sums } from "./fixtures.ts";
import { Model } from "./model.ts";

type Op = readonly [name: string, value: string | null];

/** Makes the changes that change something, all at the next revision. */
function transact(keyspace: Keyspace, model: Model, ops: readonly Op[]): void {
  const revision = keyspace.revision + 1;
  const made: { key: string; value: string | null }[] = [];
  for (const [name, value] of ops) {
    const live = keyspace.get(key(name));
    if (value !== null) keyspace.put(key(name), value, { revision, lease: undefined });
    else if (live !== null) keyspace.delete(live, { revision, expired: false });
    else continue;
    made.push({ key: name, value });
  }
  if (made.length > 0) model.change(...made);
}

function allAt(keyspace: Keyspace, revision: number): unknown[] {
  const { versions } = keyspace.range({ start: key(""), end: null, revision, limit: 1e9 });
  return versions.map((version) => shown(keyValueOf(version)));
}

function changesOf(keyspace: Keyspace): unknown[] {
  const view = keyspace.freeze();
  const changes = [...view.changes()].map(({ key: name, stored, modRevision }: Version) => {
    return { revision: modRevision, key: name, value: stored };
  });
  keyspace.release(view);
  return changes;
}

function encode(keyspace: Keyspace): Uint8Array[] {
  const view = keyspace.freeze();
  const [leases, replies] = [new Leases().freeze(), new Remembered().freeze()];
  const state = { time: 0, commands: 0, chain: new Digest(), nextLease: 1 };
  const fields = { ...state, leases, replies };
  const chunks = drain(encodeSnapshot(view, fields));
  keyspace.release(view);
  return chunks;
}

function decode(chunks: readonly Uint8Array[]): Keyspace {
  let found = new Keyspace();
  const reader = new SnapshotReader(({ keyspace }) => {
    found = keyspace;
  });
  for (const chunk of chunks) reader.feed(chunk);
  reader.commit();
  return found;
}

function expectEqual(keyspace: Keyspace, model: Model): void {
  expect(keyspace.revision).toBe(model.revision);
  for (let at = Math.max(model.compactRevision, 1); at <= model.revision; at++) {
    expect(allAt(keyspace, at)).toEqual(model.allAt(at));
  }
  // Those at the compaction revision are kept, for who watches from there.
  expect(changesOf(keyspace)).toEqual(model.changesFrom(model.compactRevision));
}

const op: fc.Arbitrary<Op> = fc.tuple(
  fc.constantFrom("a", "b", "c"),
  fc.constantFrom("1", "2", null),
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.array(op, { minLength: 1, maxLength: 5 }) },
  { weight: 1, arbitrary: fc.nat({ max: 3 }) },
);

test("transactions keep the order of their changes, through purges and snapshots", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), fc.nat({ max: 9 }), (steps, n) => {
      const model = new Model();
      const keyspace = new Keyspace();
      for (const each of steps) {
        if (typeof each !== "number") transact(keyspace, model, each);
        else if (keyspace.revision - each > keyspace.compactRevision) {
          model.compactRevision = keyspace.revision - each;
          keyspace.compact(model.compactRevision);
        }
        keyspace.purge(n);
      }
      expectEqual(keyspace, model);
      expect(keyspace.historyBytes).toBe(model.historyBytes(model.compactRevision));
      const chunks = encode(keyspace);
      const again = decode(chunks);
      expectEqual(again, model);
      expect(sums(encode(again))).toEqual(sums(chunks));
      while (keyspace.purge(10) > 0);
      expect(sums(encode(keyspace))).toEqual(sums(chunks));
    }),
    { numRuns: 200 },
  );
});

describe("purging", () => {
  const full = () => {
    const keyspace = new Keyspace();
    const model = new Model();
    for (const value of ["1", "2", null, "3", null]) transact(keyspace, model, [["a", value]]);
    transact(keyspace, model, [["b", "1"]]);
    return keyspace;
  };

  test("frees as much as it is told, up to the compaction revision", () => {
    const keyspace = full();
    expect(keyspace.purge(100)).toBe(0);
    keyspace.compact(6);
    expect([keyspace.purge(3), keyspace.purge(3), keyspace.purge(3)]).toEqual([3, 1, 0]);
    expect(keyspace.historyLength).toBe(2);
  });

  test("waits for the views that need the past", () => {
    const keyspace = full();
    const [early, later] = [keyspace.freeze(), keyspace.freeze()];
    keyspace.compact(7);
    expect(keyspace.purge(100)).toBe(0);
    keyspace.release(early);
    expect(keyspace.purge(100)).toBe(0);
    keyspace.release(later);
    expect(keyspace.purge(100)).toBe(5);
  });

  test("a view can be read again, but not after its release", () => {
    const keyspace = full();
    const view = keyspace.freeze();
    expect([...view.changes()]).toEqual([...view.changes()]);
    const [bases, changes] = [view.bases(), view.changes()];
    changes.next();
    keyspace.release(view);
    expect(() => bases.next()).toThrow(AssertionError);
    expect(() => changes.next()).toThrow(AssertionError);
    expect(() => keyspace.release(view)).toThrow(AssertionError);
  });
});
