/** Random commands against the naive model: every answer, every revision that can be read. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesOf } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import { type Compact, type Delete, encodeCommand, type Put } from "../../src/kv/command.ts";
import { type KvResult, KvStore } from "../../src/kv/store.ts";
import { allAt, chunksOf, del, drain, key, put, restored, shown, sums } from "./fixtures.ts";
import { Model } from "./model.ts";

type Command = Compact | Delete | Put;

/** Freezing, reading a frozen state, and going on from it: none of that may ever be noticed. */
type Action =
  | { readonly type: "command"; readonly make: (model: Model) => Command }
  | { readonly type: "freeze" }
  | { readonly type: "thaw" }
  | { readonly type: "restart" };

const name = fc.constantFrom("a", "b", "ab", "\0", "\xff", "__proto__");
const number = fc.nat({ max: 4 });
const condition = fc.oneof(
  fc.record({ type: fc.constant("version" as const), version: number }),
  fc.record({ type: fc.constant("modRevision" as const), modRevision: number }),
  fc.record({ type: fc.constant("otherModRevision" as const), modRevision: number }),
  fc.record({ type: fc.constantFrom("exists" as const, "absent" as const) }),
);
const change = {
  key: name.map(key),
  conditions: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(condition, { maxLength: 2 }) },
  ),
  returnPrevious: fc.boolean(),
};
const anyValue = fc.string({ unit: "binary-ascii", maxLength: 4 }).map(bytesOf);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .record({ type: fc.constant("put" as const), value: anyValue, ...change })
      .map((made) => ({ type: "command" as const, make: () => made })),
  },
  {
    weight: 6,
    arbitrary: fc
      .record({ type: fc.constant("delete" as const), ...change })
      .map((made) => ({ type: "command" as const, make: () => made })),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: -1, max: 8 }).map((back) => ({
      type: "command" as const,
      make: ({ revision }: Model): Command => {
        return { type: "compact", revision: Math.max(0, revision - back) };
      },
    })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom("freeze", "thaw", "thaw", "restart") }),
  },
);

function expectEqual(store: KvStore, model: Model): void {
  const { revision, compactRevision } = model;
  expect({ revision: store.revision, compactRevision: store.compactRevision }).toEqual({
    revision,
    compactRevision,
  });
  for (let at = Math.max(compactRevision, 1); at <= revision; at++) {
    expect(allAt(store, at)).toEqual(model.allAt(at));
  }
  const now = model.allAt(revision);
  for (const live of now) expect(shown(store.get(key(live.key)))).toEqual(live);
  expect(store.liveKeys).toBe(now.length);
  expect(store.liveBytes).toBe(model.liveBytes());
  expect(store.historyBytes).toBe(model.historyBytes(compactRevision));
  expect(store.revisionLeaving(50)).toBe(revisionLeaving(model, 50));
}

/** The oldest revision after which there is little enough, found by trying each. */
function revisionLeaving(model: Model, bytesMax: number): number | null {
  if (model.historyBytes(model.compactRevision) <= bytesMax) return null;
  let revision = model.compactRevision;
  while (model.historyBytes(revision) > bytesMax) revision++;
  return revision;
}

function shownResult(result: KvResult): unknown {
  return result.ok ? { ...result, previous: shown(result.previous) } : result;
}

/** A store that is frozen and restored all the time, and one that only applies commands. */
class Pair {
  readonly model = new Model();
  readonly plain = new KvStore();
  store = new KvStore();
  private readonly frozen: { readonly model: Model; readonly thaw: () => Uint8Array[] }[] = [];

  run(action: Action): void {
    if (action.type === "command") this.apply(action.make(this.model));
    else if (action.type === "freeze") this.freeze();
    else if (action.type === "thaw") this.thaw();
    else this.store = restored(chunksOf(this.store));
  }

  /** Everything is as in the model and in the plain store, to the byte. */
  finish(): void {
    while (this.frozen.length > 0) this.thaw();
    expectEqual(this.store, this.model);
    expect(sums(chunksOf(this.store))).toEqual(sums(chunksOf(this.plain)));
  }

  private apply(command: Command): void {
    const bytes = encodeCommand(command);
    const time = this.plain.clusterTime + 1;
    const expected = shownResult(this.plain.apply(bytes, time));
    expect(expected).toEqual(this.model.apply(command));
    expect(shownResult(this.store.apply(bytes, time))).toEqual(expected);
    expect(this.store.digest).toBe(this.plain.digest);
  }

  private freeze(): void {
    const { digest } = this.store;
    const state = this.store.freeze();
    const chunks = state.chunks();
    const thaw = () => {
      const drained = drain(chunks);
      state.release();
      expect(restored(drained).digest).toBe(digest);
      return drained;
    };
    this.frozen.push({ model: this.model.copy(), thaw });
  }

  private thaw(): void {
    const first = this.frozen.shift();
    if (first !== undefined) expectEqual(restored(first.thaw()), first.model);
  }
}

test("a store answers as the model does, also frozen, restored and compacted at any time", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: "max" }), (actions) => {
      const pair = new Pair();
      for (const each of actions) pair.run(each);
      pair.finish();
    }),
    { numRuns: 120 },
  );
});

test("the same over thousands of changes, across the blocks of the history", () => {
  const random = new Prng("history");
  const model = new Model();
  let store = new KvStore();
  for (let i = 1; i <= 6000; i++) {
    const text = String(random.below(40));
    const value = random.chance(30) ? null : String(i);
    const command = value === null ? del(text) : put(text, value);
    const result = store.apply(encodeCommand(command), i);
    if (result.revision > model.revision) model.change({ key: text, value });
    expect(store.revision).toBe(model.revision);
    if (i % 1500 !== 0) continue;
    for (const at of [model.revision, model.revision - 1100, store.compactRevision]) {
      expect(allAt(store, Math.max(at, 1))).toEqual(model.allAt(at));
    }
    const next = model.revision - 700;
    store.apply(encodeCommand({ type: "compact", revision: next }), i);
    if (i % 3000 === 0) store = restored(chunksOf(store));
  }
});
