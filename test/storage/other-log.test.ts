/** A piece of another node's log, which is whole in itself and even fits, is not taken (W8). */
import { expect, test } from "vitest";
import { segmentName } from "../../src/storage/segment.ts";
import { entry, hardState, openRig, type Rig, writeNow } from "./fixtures.ts";

/** Segments of two batches each, of the same sizes and in the same places for every `fill`. */
function logOf(fill: number): Rig {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1") });
  for (let index = 1; index <= 12; index++) {
    writeNow(rig, { entries: [entry(index, 1, new Uint8Array(700).fill(fill))] });
  }
  return rig;
}

test("a segment of another log in the same place is found", () => {
  const other = logOf(2).disk;
  for (const name of [1, 2, 3].map(segmentName)) {
    const { disk } = logOf(1);
    expect(disk.read(name).length).toBe(other.read(name).length);
    disk.corrupt(name, other.read(name));
    expect(() => openRig(disk)).toThrow("the log is damaged");
  }
});

test("a batch of another log in the same place is found", () => {
  const name = segmentName(2);
  const other = logOf(2).disk.read(name);
  const { disk } = logOf(1);
  const mine = disk.read(name);
  // Its two batches are equally long.
  const half = mine.length / 2;
  for (const [from, to] of [
    [0, half],
    [half, mine.length],
  ] as const) {
    const mixed = mine.slice();
    mixed.set(other.subarray(from, to), from);
    disk.corrupt(name, mixed);
    expect(() => openRig(disk)).toThrow("the log is damaged");
  }
  disk.corrupt(name, mine);
  openRig(disk);
});
