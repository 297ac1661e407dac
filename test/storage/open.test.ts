/** Opening: the log and the snapshots together, what is put right, what is refused. */
import { describe, expect, test } from "vitest";
import { segmentName } from "../../src/storage/segment.ts";
import { snapshotName } from "../../src/storage/snapshot-files.ts";
import {
  entries,
  hardState,
  meta,
  openRig,
  places,
  position,
  type Rig,
  saveNow,
  text,
  writeNow,
} from "./fixtures.ts";

/** Eight entries in two segments, and snapshots at 3 and 6. */
function usual(): Rig {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1") });
  for (const [from, to] of [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 7],
    [8, 8],
  ] as const) {
    writeNow(rig, { entries: entries(from, to, 1) });
  }
  saveNow(rig, meta(3, 1), ["state at 3"]);
  saveNow(rig, meta(6, 1), ["state at 6"]);
  return rig;
}

function damage({ disk }: Rig, name: string): void {
  const bytes = disk.read(name);
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 0x40;
  disk.corrupt(name, bytes);
}

test("the log is kept behind the snapshot, as far as it reaches", () => {
  const { storage } = openRig(usual().disk);
  expect(storage.snapshotName).toBe(snapshotName(meta(6, 1)));
  expect(storage.saved.snapshot).toEqual(meta(6, 1));
  expect(storage.saved.base).toEqual(position(0, 0));
  expect(places(storage.saved.entries)).toBe("1@1 2@1 3@1 4@1 5@1 6@1 7@1 8@1");
  expect(storage.notes).toEqual([]);
});

describe("a damaged newest snapshot", () => {
  test("is set aside where an older one and the log replace it", () => {
    const rig = usual();
    rig.storage.wal.release(rig.storage.snapshots.releasable);
    damage(rig, snapshotName(meta(6, 1)));
    const next = openRig(rig.disk);
    next.pump.settle();
    expect(next.storage.saved.snapshot).toEqual(meta(3, 1));
    expect(next.storage.notes).toEqual([
      "snapshot-0000000000000006-1.snap is damaged (the checksum of chunk 1 is wrong) and set " +
        "aside; an older one and the log replace it",
    ]);
    expect(next.disk.list()).toContain("snapshot-0000000000000006-1.snap.damaged");
    // The next snapshot makes two good ones, and the older stays usable.
    saveNow(next, meta(8, 1), ["state at 8"]);
    expect(next.storage.snapshots.releasable).toBe(3);
    expect(openRig(next.disk).storage.saved.snapshot).toEqual(meta(8, 1));
  });

  test("is set aside where the log goes back to the beginning", () => {
    const rig = openRig();
    writeNow(rig, { hardState: hardState(1), entries: entries(1, 4, 1) });
    saveNow(rig, meta(3, 1), ["state"]);
    damage(rig, snapshotName(meta(3, 1)));
    const { saved } = openRig(rig.disk).storage;
    expect(saved.snapshot).toBeNull();
    expect(places(saved.entries)).toBe("1@1 2@1 3@1 4@1");
  });

  test("is refused where the log does not reach back", () => {
    const rig = openRig();
    writeNow(rig, { hardState: hardState(2), entries: entries(1, 2, 1) });
    saveNow(rig, meta(2, 1), ["old"]);
    saveNow(rig, meta(9, 2), ["from another node"]);
    writeNow(rig, { reset: meta(9, 2) });
    damage(rig, snapshotName(meta(9, 2)));
    expect(() => openRig(rig.disk)).toThrow(
      "the log begins after entry 9, but the snapshots reach only to entry 2: " +
        "snapshot-0000000000000009-2.snap is damaged: the checksum of chunk 1 is wrong",
    );
  });
});

test("a gap between snapshot and log is refused", () => {
  const rig = usual();
  saveNow(rig, meta(8, 1), ["state at 8"]);
  rig.storage.wal.release(rig.storage.snapshots.releasable);
  expect(openRig(rig.disk).storage.saved.base.index).toBeGreaterThan(0);
  for (const index of [6, 8]) rig.disk.corrupt(snapshotName(meta(index, 1)), null);
  expect(() => openRig(rig.disk)).toThrow(
    "the log begins after entry 6, but the snapshots reach only to entry 0: " +
      "a snapshot is missing",
  );
});

test("a snapshot without a log is refused: term and vote are lost", () => {
  for (const isDamaged of [false, true]) {
    const rig = usual();
    for (const name of rig.disk.list()) {
      if (name.startsWith("wal-")) rig.disk.corrupt(name, null);
      else if (isDamaged) damage(rig, name);
    }
    expect(() => openRig(rig.disk)).toThrow(
      "snapshot-0000000000000006-1.snap is there, but the log is missing, and with it the term " +
        "and the vote",
    );
  }
});

describe("a snapshot newer than the log", () => {
  test("replaces it, durably before anything else is appended", () => {
    const rig = usual();
    saveNow(rig, meta(20, 2), ["from another node"]);
    const next = openRig(rig.disk);
    const { saved, notes } = next.storage;
    expect(saved.base).toEqual(position(20, 2));
    expect(saved.entries).toEqual([]);
    expect(notes).toEqual([
      "the log is older than snapshot-0000000000000020-2.snap, which replaces it",
    ]);
    writeNow(next, { entries: entries(21, 21, 2) });
    writeNow(next, { entries: entries(22, 22, 2) });
    const again = openRig(next.disk).storage;
    expect(again.saved.base).toEqual(position(20, 2));
    expect(places(again.saved.entries)).toBe("21@2 22@2");
    expect(again.notes).toEqual([]);
  });

  test("replaces entries that were never committed and conflict with it", () => {
    const rig = usual();
    saveNow(rig, meta(8, 2), ["from another node"]);
    const { saved } = openRig(rig.disk).storage;
    expect(saved.base).toEqual(position(8, 2));
    expect(saved.entries).toEqual([]);
  });

  test("brings its term along, in which nothing was promised", () => {
    const rig = usual();
    saveNow(rig, meta(20, 7), ["from another node"]);
    const next = openRig(rig.disk);
    expect(next.storage.saved.hardState).toEqual(hardState(7));
    writeNow(next, { entries: entries(21, 21, 7) });
    expect(openRig(next.disk).storage.saved.hardState).toEqual(hardState(7));
  });
});

test("a snapshot under another one's name does not count", () => {
  const rig = usual();
  rig.disk.corrupt(snapshotName(meta(7, 1)), rig.disk.read(snapshotName(meta(6, 1))));
  const { saved, notes } = openRig(rig.disk).storage;
  expect(saved.snapshot).toEqual(meta(6, 1));
  expect(notes[0]).toContain("0007-1.snap is damaged (this is another snapshot)");
});

test("snapshots whose removal a crash has undone are removed again", () => {
  const rig = usual();
  const oldest = rig.disk.read(snapshotName(meta(3, 1)));
  saveNow(rig, meta(8, 1), ["state at 8"]);
  rig.disk.corrupt(snapshotName(meta(3, 1)), oldest);
  const next = openRig(rig.disk);
  next.pump.settle();
  const snapshots = next.disk.list().filter((name) => name.endsWith(".snap"));
  expect(snapshots).toEqual([6, 8].map((index) => snapshotName(meta(index, 1))));
});

test("temporary files are removed, others are left alone", () => {
  const rig = usual();
  for (const name of ["snapshot-0000000000000009-1.snap.tmp", "incoming-n2", "notes.txt"]) {
    rig.disk.corrupt(name, text("x"));
  }
  const next = openRig(rig.disk);
  next.pump.settle();
  expect(next.disk.list()).toEqual([
    "notes.txt",
    ...[3, 6].map((index) => snapshotName(meta(index, 1))),
    ...[1, 2].map(segmentName),
  ]);
});

test("segments whose removal a crash has undone are removed again", () => {
  const rig = usual();
  const first = rig.disk.read(segmentName(1));
  for (let index = 9; index <= 20; index++) writeNow(rig, { entries: entries(index, index, 1) });
  saveNow(rig, meta(18, 1), ["state at 18"]);
  saveNow(rig, meta(20, 1), ["state at 20"]);
  rig.storage.wal.release(rig.storage.snapshots.releasable);
  const { saved } = openRig(rig.disk).storage;
  expect(rig.disk.list()).not.toContain(segmentName(2));
  rig.disk.corrupt(segmentName(1), first);
  const next = openRig(rig.disk);
  expect(next.storage.saved).toEqual(saved);
  next.pump.settle();
  expect(next.disk.list()).toEqual(rig.disk.list().filter((name) => name !== segmentName(1)));
});

describe("an append that never finished", () => {
  test("is cut off and kept for inspection, and the log goes on in a new segment", () => {
    const rig = usual();
    const whole = rig.disk.read(segmentName(2));
    const torn = new Uint8Array(whole.length + 1024);
    torn.set(whole);
    rig.disk.corrupt(segmentName(2), torn);
    const next = openRig(rig.disk);
    const copy = `${segmentName(2)}.torn-${whole.length}`;
    expect(next.storage.notes).toEqual([
      `${segmentName(2)} ended in an append that never finished, so never acknowledged: ` +
        `1024 bytes moved to ${copy}`,
    ]);
    writeNow(next, { entries: entries(9, 9, 1) });
    expect(next.disk.read(segmentName(2))).toEqual(whole);
    expect(next.disk.read(copy)).toEqual(new Uint8Array(1024));
    expect(next.disk.list()).toContain(segmentName(3));
    const again = openRig(next.disk).storage;
    expect(again.notes).toEqual([]);
    expect(again.saved.entries.length).toBe(9);
  });

  test("is kept once, though a crash interrupts the cutting", () => {
    const rig = usual();
    const whole = rig.disk.read(segmentName(2));
    const copy = `${segmentName(2)}.torn-${whole.length}`;
    rig.disk.corrupt(segmentName(2), new Uint8Array([...whole, ...new Uint8Array(512)]));
    rig.disk.corrupt(copy, new Uint8Array(512));
    const next = openRig(rig.disk);
    next.pump.settle();
    expect(next.disk.read(copy)).toEqual(new Uint8Array(512));
  });

  test.each([0, 512, 1536])("of a new segment (%i bytes of it) begins that again", (length) => {
    const rig = usual();
    rig.disk.corrupt(segmentName(3), new Uint8Array(length));
    const next = openRig(rig.disk);
    writeNow(next, { entries: entries(9, 9, 1) });
    expect(next.disk.list()).not.toContain(segmentName(4));
    expect(openRig(next.disk).storage.saved.entries.length).toBe(9);
  });

  test("is not assumed where the first segment kept is blank", () => {
    const rig = openRig();
    rig.disk.corrupt(segmentName(5), new Uint8Array(512));
    expect(() => openRig(rig.disk)).toThrow(
      `the log is damaged: ${segmentName(5)}, byte 0: the segment's first batch is missing`,
    );
    rig.disk.corrupt(segmentName(5), new Uint8Array());
    expect(() => openRig(rig.disk)).toThrow(`${segmentName(5)}, byte 0: the file is empty`);
  });
});
