/** The log: grouping, order, rotation, release, reset. */
import { expect, test } from "vitest";
import { asIndex } from "../../src/raft/types.ts";
import { segmentName } from "../../src/storage/segment.ts";
import {
  entries,
  entry,
  hardState,
  meta,
  openRig,
  places,
  position,
  type Rig,
  SEGMENT_BYTES_MAX,
  saveNow,
  write,
  writeNow,
} from "./fixtures.ts";

const segmentsOf = (rig: Rig) => rig.disk.list().filter((name) => name.startsWith("wal-"));
const reopened = (rig: Rig) => openRig(rig.disk).storage.saved;

test("a new node finds nothing saved", () => {
  const { saved, snapshotName, notes } = openRig().storage;
  expect(saved).toEqual({
    hardState: hardState(0),
    snapshot: null,
    base: position(0, 0),
    entries: [],
    doubt: null,
  });
  expect(snapshotName).toBeNull();
  expect(notes).toEqual([]);
});

test("what was written is read again", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1"), entries: entries(1, 3, 1) });
  writeNow(rig, { entries: entries(4, 4, 1) });
  writeNow(rig, { hardState: hardState(2) });
  const saved = reopened(rig);
  expect(saved.hardState).toEqual(hardState(2));
  expect(saved.entries).toEqual(entries(1, 4, 1));
});

test("an entry replaces the one at its index and all after it", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1), entries: entries(1, 5, 1) });
  writeNow(rig, { hardState: hardState(2), entries: entries(3, 4, 2) });
  expect(places(reopened(rig).entries)).toBe("1@1 2@1 3@2 4@2");
});

test("one append is under way at a time, and what waits shares the next", () => {
  const { pump, storage } = openRig();
  const { wal } = storage;
  const done: number[] = [];
  for (let index = 1; index <= 4; index++) {
    wal.write(write({ entries: [entry(index, 1)] }), () => done.push(index));
  }
  wal.write(null, () => done.push(5));
  expect(pump.waiting.length).toBe(1);
  pump.step();
  expect(done).toEqual([1]);
  expect(pump.waiting.length).toBe(1);
  pump.step();
  expect(done).toEqual([1, 2, 3, 4, 5]);
  expect(pump.waiting.length).toBe(0);
  expect(wal.counters().batches).toBe(2);
});

test("a barrier waits for what is under way, and is passed at once where nothing is", () => {
  const { pump, storage } = openRig();
  const { wal } = storage;
  const done: string[] = [];
  wal.write(null, () => done.push("idle"));
  expect(done).toEqual(["idle"]);
  wal.write(write({ hardState: hardState(1) }), () => done.push("write"));
  wal.write(null, () => done.push("barrier"));
  expect(done).toEqual(["idle"]);
  pump.settle();
  expect(done).toEqual(["idle", "write", "barrier"]);
  expect(wal.counters().batches).toBe(1);
});

test("what a callback writes comes after all that waited before", () => {
  const { pump, storage } = openRig();
  const done: string[] = [];
  storage.wal.write(write({ entries: [entry(1, 1)] }), () => {
    done.push("first");
    storage.wal.write(null, () => done.push("from the callback"));
  });
  storage.wal.write(null, () => done.push("second"));
  pump.settle();
  expect(done).toEqual(["first", "second", "from the callback"]);
});

test("of one batch, a reset drops the entries before it", () => {
  const rig = openRig();
  saveNow(rig, meta(10, 2), ["state"]);
  const { wal } = rig.storage;
  wal.write(write({ hardState: hardState(1) }), () => {});
  wal.write(write({ entries: entries(1, 3, 1) }), () => {});
  wal.write(write({ hardState: hardState(2), reset: meta(10, 2) }), () => {});
  wal.write(write({ entries: entries(11, 12, 2) }), () => {});
  rig.pump.settle();
  expect(wal.counters().batches).toBe(2);
  const saved = reopened(rig);
  expect(saved.base).toEqual(position(10, 2));
  expect(places(saved.entries)).toBe("11@2 12@2");
});

test("segments end when they are full, and each carries the hard state on", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(3, "n2") });
  for (let index = 1; index <= 20; index++) writeNow(rig, { entries: [entry(index, 3)] });
  const names = segmentsOf(rig);
  expect(names).toEqual([1, 2, 3, 4, 5, 6].map(segmentName));
  expect(rig.disk.read(names[0] ?? "").length).toBe(SEGMENT_BYTES_MAX);
  const saved = reopened(rig);
  expect(saved.hardState).toEqual(hardState(3, "n2"));
  expect(saved.entries).toEqual(entries(1, 20, 3));
  const { segments, bytesOnDisk } = rig.storage.wal.counters();
  const lengths = names.map((name) => rig.disk.read(name).length);
  expect({ segments, bytesOnDisk }).toEqual({
    segments: names.length,
    bytesOnDisk: lengths.reduce((sum, length) => sum + length),
  });
});

test("release removes whole segments that hold nothing newer, and never the last", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1") });
  for (let index = 1; index <= 11; index++) writeNow(rig, { entries: [entry(index, 1)] });
  saveNow(rig, meta(11, 1), ["state"]);
  expect(segmentsOf(rig).length).toBe(3);
  rig.storage.wal.release(asIndex(6)); // The second segment ends with 7.
  expect(segmentsOf(rig)).toEqual([2, 3].map(segmentName));
  rig.storage.wal.release(asIndex(11));
  expect(segmentsOf(rig)).toEqual([segmentName(3)]);
  const saved = reopened(rig);
  expect(saved.hardState).toEqual(hardState(1, "n1"));
  expect(saved.base).toEqual(position(7, 1));
  expect(places(saved.entries)).toBe("8@1 9@1 10@1 11@1");
});

test("what was released before a segment ended is removed when the next is durable", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1), entries: entries(1, 4, 1) });
  saveNow(rig, meta(4, 1), ["state"]);
  rig.storage.wal.release(asIndex(4));
  const next = openRig(rig.disk);
  next.pump.settle();
  next.storage.wal.release(asIndex(4));
  next.storage.wal.write(write({ entries: [entry(5, 1)] }), () => {});
  expect(segmentsOf(next)).toEqual([1, 2].map(segmentName));
  next.pump.settle();
  expect(segmentsOf(next)).toEqual([segmentName(2)]);
  expect(places(reopened(next).entries)).toBe("5@1");
});

test("entries that replace others from before the oldest segment kept move the base", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1), entries: entries(1, 8, 1) });
  const next = openRig(rig.disk); // Opens a second segment, which begins after entry 8.
  next.pump.settle();
  writeNow(next, { hardState: hardState(2), entries: entries(6, 9, 2) });
  saveNow(next, meta(9, 2), ["state"]);
  next.storage.wal.release(asIndex(9));
  expect(segmentsOf(next)).toEqual([segmentName(2)]);
  const saved = reopened(next);
  expect(saved.base).toEqual(position(6, 2));
  expect(places(saved.entries)).toBe("7@2 8@2 9@2");
});

test("a reset begins a segment and removes all before it", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1), entries: entries(1, 4, 1) });
  saveNow(rig, meta(20, 3), ["state"]);
  writeNow(rig, { hardState: hardState(3), reset: meta(20, 3) });
  expect(segmentsOf(rig)).toEqual([segmentName(2)]);
  writeNow(rig, { entries: entries(21, 21, 3) });
  const saved = reopened(rig);
  expect(saved.base).toEqual(position(20, 3));
  expect(places(saved.entries)).toBe("21@3");
});

test("a write that says nothing still makes the log be there", () => {
  const rig = openRig();
  expect(rig.storage.wal.counters().segments).toBe(0);
  writeNow(rig, {});
  expect(segmentsOf(rig)).toEqual([segmentName(1)]);
});

test("a gap in what is written is a bug", () => {
  const { storage } = openRig();
  expect(() => storage.wal.write(write({ entries: [entry(2, 1)] }), () => {})).toThrow(/a gap/);
});

test("values of zeros come back as they were", () => {
  const rig = openRig();
  const zeros = entry(1, 1, new Uint8Array(5000));
  writeNow(rig, { hardState: hardState(1), entries: [zeros] });
  expect(reopened(rig).entries).toEqual([zeros]);
});
