/** What is on disk is read again and again, and damage of any kind is found and told (W13). */
import { beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { type Damage, Scrub } from "../../src/storage/scrub.ts";
import { segmentName } from "../../src/storage/segment.ts";
import { snapshotName } from "../../src/storage/snapshot-files.ts";
import {
  entries,
  entry,
  hardState,
  meta,
  openRig,
  type Rig,
  saveNow,
  writeNow,
} from "./fixtures.ts";

let rig: Rig;
let scrub: Scrub;
let found: Damage[];
/** Ends the healing of the damage found last. */
let healed: () => void;

beforeEach(() => {
  rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1"), entries: entries(1, 3, 1) });
  for (const index of [4, 5, 6, 7]) {
    writeNow(rig, { entries: [entry(index, 1, new Uint8Array(300_000 * (index % 2)).fill(7))] });
  }
  saveNow(rig, meta(3, 1), ["state at 3", "x".repeat(600_000)]);
  saveNow(rig, meta(6, 1), ["state at 6"]);
  begin();
});

function begin(): void {
  found = [];
  scrub = new Scrub({
    disk: rig.disk,
    wal: rig.storage.wal,
    snapshots: rig.storage.snapshots,
    heal: (damage, done) => {
      found.push(damage);
      healed = done;
    },
  });
}

/** Steps until so many rounds are complete, or damage is found. Returns the number of steps. */
function round(rounds = 1): number {
  let steps = 0;
  for (; scrub.counters().rounds < rounds && found.length === 0; steps++) {
    if (steps > 10_000) throw new Error("a round never ends");
    scrub.step();
    rig.pump.settle();
  }
  return steps;
}

function corrupt(name: string, at: number): void {
  const bytes = rig.disk.read(name);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 0x10;
  rig.disk.corrupt(name, bytes);
}

test("a disk that is as it was written is found so, slice by slice, with a pause between", () => {
  const reads = () => rig.pump.began.filter((what) => what.startsWith("read "));
  const before = reads().length;
  round();
  expect(found).toEqual([]);
  const files = rig.disk.list().filter((name) => /^(wal|snapshot)-/.test(name));
  expect(new Set(reads().slice(before))).toEqual(new Set(files.map((name) => `read ${name}`)));
  // Some are read in more than one slice.
  expect(reads().length - before).toBeGreaterThan(files.length);
  const steps = round(2);
  expect(steps).toBeGreaterThan(600);
  expect(scrub.counters()).toEqual({ rounds: 2, damages: 0 });
});

test("one slice is read at a time, and an append does not wait for more", () => {
  for (let i = 0; i < 10; i++) scrub.step();
  expect(rig.pump.waiting.map(({ what }) => what)).toEqual([`read ${segmentName(1)}`]);
});

describe("damage is found", () => {
  test.each([
    ["in the oldest segment", () => segmentName(1), 700, "log"],
    ["in the segment that is being written", () => must(logNames().at(-1), "some"), -400, "log"],
    ["in the newest snapshot", () => snapshotName(meta(6, 1)), -15, "snapshot"],
    ["late in the older snapshot", () => snapshotName(meta(3, 1)), -20, "snapshot"],
  ])("%s", (_where, nameOf, at, of) => {
    const name = nameOf();
    corrupt(name, at);
    round();
    expect(found).toEqual([{ of, name, what: expect.stringMatching(/checksum|header/) }]);
    expect(scrub.counters().damages).toBe(1);
  });

  test.each([
    ["a segment", () => segmentName(2), "log"],
    ["a snapshot", () => snapshotName(meta(3, 1)), "snapshot"],
  ])("where %s is gone", (_what, nameOf, of) => {
    const name = nameOf();
    rig.disk.corrupt(name, null);
    round();
    expect(found).toEqual([{ of, name, what: "the file is gone" }]);
  });

  test("where a segment is shorter than it was, by a whole batch", () => {
    const name = must(logNames().at(-1), "some");
    writeNow(rig, { entries: entries(8, 8, 1) });
    const bytes = rig.disk.read(name);
    rig.disk.corrupt(name, bytes.slice(0, -512));
    begin();
    round();
    expect(found).toEqual([{ of: "log", name, what: expect.stringContaining("ends") }]);
  });
});

test("nothing is read while damage is healed, and everything at once afterwards", () => {
  corrupt(segmentName(1), 600);
  round();
  for (let i = 0; i < 700; i++) scrub.step();
  expect(rig.pump.waiting).toEqual([]);
  corrupt(segmentName(1), 600);
  found = [];
  healed();
  expect(round()).toBeLessThan(100);
  expect(found).toEqual([]);
  expect(scrub.counters()).toEqual({ rounds: 1, damages: 1 });
});

test("what goes while it is read, or waits to be read, is no damage", () => {
  scrub.step();
  // All but the newest segment and the two newest snapshots.
  rig.storage.wal.release(meta(7, 1).index);
  saveNow(rig, meta(7, 1), ["state at 7"]);
  expect(rig.disk.list()).not.toContain(segmentName(1));
  round();
  expect(found).toEqual([]);
});

test("a snapshot stays as long as it is read", () => {
  const name = snapshotName(meta(3, 1));
  while (rig.pump.waiting[0]?.what !== `read ${name}`) {
    rig.pump.settle();
    scrub.step();
  }
  rig.storage.snapshots.save({ meta: meta(7, 1), chunks: [].values() }, () => {});
  rig.pump.settle();
  expect(rig.disk.list()).toContain(name);
  round();
  expect(found).toEqual([]);
  expect(rig.disk.list()).not.toContain(name);
});

test("what somebody suspects is read next, and soon", () => {
  round();
  const name = snapshotName(meta(6, 1));
  corrupt(name, -15);
  scrub.suspect(name);
  scrub.suspect("snapshot-that-is-gone");
  scrub.step();
  rig.pump.settle();
  scrub.step();
  rig.pump.settle();
  expect(found).toEqual([{ of: "snapshot", name, what: expect.any(String) }]);
});

function logNames(): string[] {
  return rig.disk.list().filter((name) => name.startsWith("wal-"));
}
