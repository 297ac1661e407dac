/**
 * Transactions, leases and idempotency keys against the simple model, with a store beside it that
 * is restored from its own snapshot at any time: nobody may notice (D1, X2).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { byteString } from "../../src/lib/bytes.ts";
import { type Command, encodeCommand, type PlainCommand } from "../../src/kv/command.ts";
import type { Key } from "../../src/kv/key.ts";
import { REMEMBERED_MS } from "../../src/kv/remembered.ts";
import { KvStore } from "../../src/kv/store.ts";
import { commandOf, someLeases, someName } from "./commands.ts";
import { allAt, apply, chunksOf, compact, key, put, restored, sums } from "./fixtures.ts";
import { WholeModel } from "./whole-model.ts";

interface Step {
  readonly command: Command;
  /** Cluster time that goes by before it. */
  readonly waitMs: number;
  readonly restarts: boolean;
  readonly purges: boolean;
}

const change = {
  key: someName.map(key),
  conditions: fc.constant([]),
  returnPrevious: fc.boolean(),
};
const others: fc.Arbitrary<PlainCommand> = fc.oneof(
  fc.record({
    type: fc.constant("put" as const),
    value: fc.uint8Array({ maxLength: 2 }),
    lease: fc.oneof(...someLeases),
    ...change,
  }),
  fc.record({ type: fc.constant("delete" as const), ...change }),
);
const step: fc.Arbitrary<Step> = fc.record({
  command: commandOf(others),
  waitMs: fc.oneof(
    { weight: 20, arbitrary: fc.nat({ max: 12 }) },
    { weight: 1, arbitrary: fc.constantFrom(REMEMBERED_MS, REMEMBERED_MS + 1) },
  ),
  restarts: fc.integer({ min: 0, max: 9 }).map((roll) => roll === 0),
  purges: fc.boolean(),
});

/** Values as text, everywhere in a result. */
function plainly(value: unknown): unknown {
  if (value instanceof Uint8Array) return byteString(value);
  if (Array.isArray(value)) return value.map(plainly);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plainly(each)]));
}

function eventsOf(store: KvStore): unknown[] {
  return [...store.changesFrom(2)].map(({ modRevision: revision, key: name, stored, expired }) => {
    const type = stored !== null ? "put" : expired === true ? "expire" : "delete";
    return { revision, key: name, type };
  });
}

/** Page by page, of two keys at most. */
function keysOn(store: KvStore, lease: number): readonly Key[] {
  const found: Key[] = [];
  for (let pages = 0; pages < 1_000; pages++) {
    const limits = { after: found.at(-1) ?? null, entries: 2, bytes: 4 };
    const { keys, more } = store.keysOfLease(lease, limits);
    found.push(...keys);
    if (!more) return found;
    expect(keys).not.toEqual([]);
  }
  throw new Error("the keys of a lease have no end");
}

function expectEqual(store: KvStore, model: WholeModel, time: number): void {
  const keys = [...model.keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  expect(allAt(store, store.revision)).toEqual(keys);
  expect(eventsOf(store)).toEqual(model.events);
  expect(store.leases).toBe(model.leases.size);
  for (const lease of model.leases.values()) {
    const on = keys.filter((entry) => entry.lease === lease.id).map((entry) => entry.key);
    expect(store.lease(lease.id)).toEqual(lease.isOwn ? null : lease);
    expect(keysOn(store, lease.id)).toEqual(on);
  }
  for (const entry of keys) {
    const lease = entry.lease ?? 0;
    expect(store.anyLease(lease)).toEqual(model.leases.get(lease) ?? null);
  }
  const due = [...model.leases.values()]
    .filter(({ deadline }) => deadline <= time)
    .sort((a, b) => a.deadline - b.deadline || a.id - b.id);
  expect(store.leasesDue(time, 3)).toEqual(due.slice(0, 3).map(({ id }) => id));
}

test("every command is answered as the model does, restored at any time or never", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const [model, plain] = [new WholeModel(), new KvStore()];
      let store = new KvStore();
      let time = 0;
      for (const { command, waitMs, restarts, purges } of steps) {
        time += waitMs;
        const bytes = encodeCommand(command);
        const expected = model.apply(command, time);
        expect(plainly(plain.apply(bytes, time))).toEqual(expected);
        expect(plainly(store.apply(bytes, time))).toEqual(expected);
        expect(store.digest).toBe(plain.digest);
        // What is freed when differs from node to node, and nobody may notice.
        if (purges) store.purge(1e9);
        if (restarts) store = restored(chunksOf(store));
      }
      for (const each of [plain, store]) expectEqual(each, model, time);
      expect(sums(chunksOf(store))).toEqual(sums(chunksOf(plain)));
    }),
    { numRuns: 400 },
  );
});

test("a command applies whatever its numbers are, and a snapshot can be made", () => {
  const max = Number.MAX_SAFE_INTEGER;
  const store = new KvStore();
  const lease = { kind: "ttl", ttlMs: max } as const;
  const forEver = { ...put("k", "v"), lease } as Command;
  apply(store, { type: "clock" }, { type: "grant", id: max, ttlMs: max }, forEver, compact(max));
  apply(store, { type: "renew", ids: [max] }, { type: "grant", id: 0, ttlMs: 0 });
  expect(store.anyLease(store.get(key("k"))?.lease ?? 0)?.deadline).toBe(max);
  expect(store.lease(max)?.deadline).toBe(max);
  const nothing = { type: "delete", key: key("z"), end: key("a"), returnPrevious: true } as const;
  const all = { ...nothing, key: key(""), end: null };
  const result = apply(store, { type: "txn", compares: [], success: [nothing, all], failure: [] });
  expect(result).toMatchObject({ ok: true, txn: { results: [{ deleted: 0 }, { deleted: 1 }] } });
  expect(restored(chunksOf(store)).digest).toBe(store.digest);
});
