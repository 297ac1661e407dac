/** What is forgotten when: by age, by size, and never more than that. */
import { describe, expect, test } from "vitest";
import { encodeCommand } from "../../src/kv/command.ts";
import { compactionDue } from "../../src/kv/retention.ts";
import { KvStore } from "../../src/kv/store.ts";
import { Timeline } from "../../src/kv/timeline.ts";
import { chunksOf, compact, put, restored } from "./fixtures.ts";

const MINUTE = 60_000;
const plenty = { ageMs: 1e12, bytesMax: 1e12 };

/** One put every second, each revision 2, 3, … at its second 1, 2, …. */
function written(seconds: number): KvStore {
  const store = new KvStore();
  const command = encodeCommand(put("k", "v"));
  for (let second = 1; second <= seconds; second++) store.apply(command, second * 1000);
  return store;
}

describe("by age", () => {
  test("what is younger is kept", () => {
    const store = written(10 * 60);
    const due = compactionDue(store, 10 * MINUTE, { ...plenty, ageMs: 5 * MINUTE });
    expect(due).toBe(5 * 60); // Written at 4:59, and what was there at 5:00.
  });

  test("nothing is due when all is young, or the old is compacted already", () => {
    const store = written(10 * 60);
    expect(compactionDue(store, 10 * MINUTE, { ...plenty, ageMs: 10 * MINUTE })).toBeNull();
    store.apply(encodeCommand(compact(300)), 10 * MINUTE);
    expect(compactionDue(store, 10 * MINUTE, { ...plenty, ageMs: 5 * MINUTE })).toBeNull();
    expect(compactionDue(store, 10 * MINUTE, { ...plenty, ageMs: 4 * MINUTE })).toBe(360);
  });

  test("days are kept as well as minutes, only less exactly", () => {
    const hours = 30;
    const store = written(hours * 3600);
    const ageMs = 24 * 60 * MINUTE;
    const due = compactionDue(store, hours * 60 * MINUTE, { ...plenty, ageMs });
    expect(due).toBeGreaterThan(5.8 * 3600);
    expect(due).toBeLessThanOrEqual(6 * 3600);
  });

  test("an empty store, and one that was just restored, forget nothing", () => {
    expect(compactionDue(new KvStore(), MINUTE, { ageMs: 0, bytesMax: 0 })).toBeNull();
    const store = restored(chunksOf(written(60)));
    expect(compactionDue(store, MINUTE, { ...plenty, ageMs: 1 })).toBeNull();
  });

  test("a restored store knows the age of what it was restored to", () => {
    const store = restored(chunksOf(written(60)));
    expect(compactionDue(store, 10 * MINUTE, { ...plenty, ageMs: 5 * MINUTE })).toBe(61);
  });
});

describe("by size", () => {
  test("as much is kept as may be", () => {
    const store = written(100);
    const each = store.historyBytes / 99;
    expect(compactionDue(store, 0, { ...plenty, bytesMax: store.historyBytes })).toBeNull();
    const due = compactionDue(store, 0, { ...plenty, bytesMax: 10 * each });
    expect(due).toBe(101 - 10);
    store.apply(encodeCommand(compact(due ?? 0)), 1e9);
    expect(store.historyBytes).toBe(10 * each);
    expect(compactionDue(store, 0, { ...plenty, bytesMax: 10 * each })).toBeNull();
  });

  test("the stricter of the two counts", () => {
    const store = written(100);
    const each = store.historyBytes / 99;
    const due = (seconds: number, changes: number) =>
      compactionDue(store, 100_000, { ageMs: seconds * 1000, bytesMax: changes * each });
    expect(due(50, 80)).toBe(50);
    expect(due(80, 30)).toBe(71);
  });
});

test("a timeline is bounded, and forgets what is compacted", () => {
  const timeline = new Timeline();
  for (let second = 1; second <= 100_000; second++) timeline.note(second * 1000, second);
  const known = new Set<number | null>();
  for (let second = 1; second <= 100_001; second++) {
    known.add(timeline.revisionBefore(second * 1000));
  }
  expect(known.size).toBeLessThanOrEqual(1025);
  expect(timeline.revisionBefore(50_000_000)).toBeGreaterThan(49_700);
  timeline.forget(60_000);
  expect(timeline.revisionBefore(50_000_000)).toBeNull();
  expect(timeline.revisionBefore(70_000_000)).toBeGreaterThan(69_700);
});
