/** What is remembered of commands that carry an idempotency key, and for how long (X1, X2). */
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../src/lib/bytes.ts";
import { applyCommand } from "../../src/kv/apply.ts";
import { type Command, IDEMPOTENCY_KEY_MAX, type PlainCommand } from "../../src/kv/command.ts";
import { Keyspace } from "../../src/kv/keyspace.ts";
import { Leases } from "../../src/kv/leases.ts";
import { TXN_LENGTH_MAX } from "../../src/kv/operation.ts";
import { OUTCOME_BYTES_MAX, outcomeOf } from "../../src/kv/outcome.ts";
import {
  CERTAIN_BYTES_MAX,
  CERTAIN_MS,
  Remembered,
  REMEMBERED_BYTES_MAX,
  REMEMBERED_MAX,
  REMEMBERED_MS,
} from "../../src/kv/remembered.ts";
import { encodeResult, type KvResult } from "../../src/kv/result.ts";
import { KvStore } from "../../src/kv/store.ts";
import type { Metadata } from "../../src/kv/version.ts";
import { apply, chunksOf, key, put, restored, sums } from "./fixtures.ts";

const NUMBER_MAX = Number.MAX_SAFE_INTEGER;
const LARGE: Metadata = {
  version: NUMBER_MAX,
  createRevision: NUMBER_MAX,
  modRevision: NUMBER_MAX,
  lease: NUMBER_MAX,
};

/** All its numbers are as large as they can be. */
const LARGEST: KvResult = {
  ok: true,
  revision: NUMBER_MAX,
  current: LARGE,
  previous: null,
  deleted: NUMBER_MAX,
  txn: {
    succeeded: true,
    results: Array.from({ length: TXN_LENGTH_MAX }, () => {
      return { type: "increment", value: -NUMBER_MAX, current: LARGE };
    }),
  },
};

function encodedOutcome(result: KvResult): Uint8Array {
  const out = new ByteWriter();
  encodeResult(out, outcomeOf(result));
  return out.finish();
}

function sizeOfOutcome(result: KvResult): number {
  return encodedOutcome(result).length;
}

/** An empty state, and whom to ask for changes of it. */
function stateOf() {
  const state = { keyspace: new Keyspace(), leases: new Leases(), remembered: new Remembered() };
  const ask = (command: Command, time: number) => applyCommand(state, command, time);
  return { ...state, ask };
}

describe("idempotency keys", () => {
  const once = (name: string, command: PlainCommand): Command => {
    return { type: "once", key: name, command };
  };
  const putOnce = (name: string) => once(name, put("k", name) as PlainCommand);

  test("only so many are remembered, also after a restore: the oldest goes first", () => {
    const store = new KvStore();
    for (let i = 0; i < REMEMBERED_MAX; i++) apply(store, once(`i${i}`, { type: "clock" }));
    const other = restored(chunksOf(store));
    for (const each of [store, other]) {
      expect(apply(each, once("i0", { type: "clock" })).replayed).toBe(true);
      apply(each, putOnce("one-more"));
      expect(apply(each, putOnce("i0")).ok).toBe(true); // Forgotten: no conflict.
      expect(apply(each, putOnce("i2"))).toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    }
    expect(sums(chunksOf(other))).toEqual(sums(chunksOf(store)));
  });

  const nameOf = (at: number) => String(at).padStart(IDEMPOTENCY_KEY_MAX, "i");

  /** Fills it with the largest there are, all of one time. Returns how many have room. */
  function fill(remembered: Remembered, { from, time }: { from: number; time: number }): number {
    const result = encodedOutcome(LARGEST);
    const most = Math.ceil(CERTAIN_BYTES_MAX / (IDEMPOTENCY_KEY_MAX + result.length));
    let count = 0;
    for (; count <= most && remembered.makeRoom(time); count++) {
      remembered.load({ key: nameOf(from + count), fingerprint: 1, time, result });
    }
    expect(count).toBeLessThanOrEqual(most);
    return count;
  }

  test("only so many bytes are: none goes before its time, then the oldest, a few at once", () => {
    const remembered = new Remembered();
    const first = fill(remembered, { from: 0, time: 1 });
    expect(first).toBeGreaterThan(39_000); // As is promised, whatever the results are.
    expect(remembered.makeRoom(1 + CERTAIN_MS)).toBe(false);
    expect(remembered.size).toBe(first);
    const time = 2 + CERTAIN_MS;
    expect(fill(remembered, { from: first, time })).toBe(first);
    const has = (at: number) => remembered.has(nameOf(at));
    expect([has(first - 1), has(first), has(2 * first - 1)]).toEqual([false, true, true]);
    // Whose time is not over yet stay where there are not too many.
    for (let calls = 0; calls < first; calls++) remembered.makeRoom(time + CERTAIN_MS + 1);
    const rest = remembered.size;
    expect(rest).toBeLessThan(REMEMBERED_BYTES_MAX / sizeOfOutcome(LARGEST));
    expect(rest).toBeGreaterThan(first / 3);
    expect(remembered.makeRoom(time + REMEMBERED_MS + 1)).toBe(true);
    expect(rest - remembered.size).toBeGreaterThan(1);
    expect(rest - remembered.size).toBeLessThanOrEqual(100);
  });

  test("X1: what was done is not done again, however many others come for a minute", () => {
    const { ask, remembered } = stateOf();
    const increment = { type: "increment", key: key("n"), by: 1, initial: 0 } as const;
    const count = { type: "txn", compares: [], success: [increment], failure: [] } as const;
    const done = { ok: true, txn: { results: [{ value: 1 }] } };
    expect(ask(once("mine", count), 1)).toMatchObject(done);
    const [time, result] = [1 + CERTAIN_MS, encodedOutcome(LARGEST).slice(0, 20)];
    for (let i = 0; i < REMEMBERED_MAX; i++) {
      remembered.load({ key: nameOf(i), fingerprint: 1, time, result });
    }
    for (let i = 0; i < 10; i++) expect(ask(putOnce(`other-${i}`), time).ok).toBe(true);
    expect(ask(once("mine", count), time)).toMatchObject({ ...done, replayed: true });
    // Afterwards the others count for more.
    ask(putOnce("one-more"), time + 1);
    expect(ask(once("mine", count), time + 1)).toMatchObject({ txn: { results: [{ value: 2 }] } });
  });

  test("X1: what there is no room to remember is refused, and may be done later", () => {
    const { ask, keyspace, remembered } = stateOf();
    fill(remembered, { from: 0, time: 1 });
    const refused = { ok: false, code: "TOO_MANY_REPLIES", revision: 1 };
    expect(ask(putOnce("mine"), 1)).toMatchObject(refused);
    expect(ask(putOnce("mine"), 1 + CERTAIN_MS)).toMatchObject(refused);
    expect(keyspace.liveKeys).toBe(0);
    // Others go on: those that are known already, and those who do not ask for it.
    expect(ask(putOnce(nameOf(0)), 1)).toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    expect(ask(put("k", "plain"), 1)).toMatchObject({ ok: true, revision: 2 });
    const done = ask(putOnce("mine"), 2 + CERTAIN_MS);
    expect(done).toMatchObject({ ok: true, revision: 3 });
    expect(done.replayed).toBeUndefined();
    expect(ask(putOnce("mine"), 2 + CERTAIN_MS)).toMatchObject({ revision: 3, replayed: true });
  });

  test("the largest outcome is within its bound", () => {
    expect(sizeOfOutcome(LARGEST)).toBeLessThanOrEqual(OUTCOME_BYTES_MAX);
    expect(sizeOfOutcome(LARGEST)).toBeGreaterThan(OUTCOME_BYTES_MAX / 2);
  });

  test("values that were read are not, so nobody is forgotten for their sake (X1)", () => {
    const store = new KvStore();
    const large = put("large", "v".repeat(1_000_000)) as PlainCommand;
    const all = { type: "get", key: key(""), end: null, limit: 0 } as const;
    const get = { ...all, keysOnly: false, countOnly: false };
    const remove = { type: "delete", key: key("large"), end: "single" } as const;
    const success = [get, { ...remove, returnPrevious: true }];
    const read = { type: "txn", compares: [], success, failure: [] } as const;
    apply(store, large);
    apply(store, once("first", { type: "clock" }));
    for (let at = 0; at < 2 * (REMEMBERED_BYTES_MAX / 1_000_000); at++) {
      expect(apply(store, once(`i${at}`, large))).toMatchObject({ previous: { version: at + 1 } });
    }
    apply(store, once("read", read));
    const chunks = chunksOf(store);
    for (const each of [store, restored(chunks)]) {
      expect(apply(each, once("first", { type: "clock" })).replayed).toBe(true);
      const again = apply(each, once("i0", large));
      expect(again).toMatchObject({ replayed: true, current: { version: 2 }, previous: null });
      const results = [
        { type: "get", items: [], count: 1, more: true },
        { type: "delete", deleted: 1, previous: [] },
      ];
      expect(apply(each, once("read", read))).toMatchObject({ replayed: true, txn: { results } });
    }
    // Far below what a snapshot can hold in one.
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(256 * 1024);
  });
});
