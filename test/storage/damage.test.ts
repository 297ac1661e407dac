/**
 * Damage that no crash can explain: every flipped bit, every exchanged, blanked or lost sector,
 * every cut. Either the node refuses to start, or exactly what can be documented as ambiguous (an
 * unfinished append and a last append that was lost look the same) is left out.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { Saved } from "../../src/raft/saved.ts";
import { openStorage } from "../../src/storage/open.ts";
import { recoverLog } from "../../src/storage/recovery.ts";
import { SECTOR_BYTES } from "../../src/storage/sector.ts";
import { segmentName } from "../../src/storage/segment.ts";
import type { SimDisk } from "../sim/disk.ts";
import {
  entries,
  entry,
  hardState,
  meta,
  openRig,
  SEGMENT_BYTES_MAX,
  saveNow,
  writeNow,
} from "./fixtures.ts";
import { summary } from "./machine.ts";

/** The log's files, by name. */
type Files = ReadonlyMap<string, Uint8Array>;

let files: Files;
/** Where the last append begins in the last segment. */
let lastAppend: number;
/** What can be found when the last writes are missing, the newest first. */
const prefixes: string[] = [];

beforeAll(() => {
  const rig = openRig();
  const remember = () => prefixes.unshift(summary(openRig(rig.disk).storage.saved));
  remember();
  writeNow(rig, { hardState: hardState(1, "n1"), entries: entries(1, 3, 1) });
  remember();
  for (const index of [4, 5, 6]) {
    writeNow(rig, { entries: [entry(index, 1, new Uint8Array(200 * index).fill(index))] });
    remember();
  }
  writeNow(rig, { hardState: hardState(2), entries: [entry(6, 2, new Uint8Array(700))] });
  remember();
  writeNow(rig, { hardState: hardState(2, "n3") });
  remember();
  writeNow(rig, { entries: [entry(7, 2, new Uint8Array(600).fill(7))] });
  remember();
  lastAppend = rig.disk.read(lastName).length;
  writeNow(rig, { entries: [entry(8, 2, new Uint8Array(1200)), ...entries(9, 10, 2)] });
  remember();
  files = new Map(rig.disk.list().map((name) => [name, rig.disk.read(name)]));
  expect(files.size).toBe(3);
});

/** What is found, in one line; or what is wrong, beginning with a file name. */
function found(changed: Files): string {
  const segments = [...changed.values()].map((bytes, at) => ({
    sequence: at + 1,
    read: () => bytes,
  }));
  const log = recoverLog(segments);
  if (log.kind === "problem") return log.line;
  const saved: Saved = { ...log, snapshot: null, doubt: null };
  return summary(saved);
}

const with_ = (name: string, bytes: Uint8Array): Files => new Map([...files, [name, bytes]]);
/** That it was refused, and why. */
const refusal = /^wal-\d{16}\.log, byte \d+: \w+/;
/** Whether the line blames the file that is to blame. */
const refuses = (line: string, name: string) => refusal.test(line) && line.startsWith(name);
const lastName = segmentName(3);
const contentOf = (name: string) => must(files.get(name), "a segment");

test("undamaged, all is found", () => {
  expect(found(files)).toBe(prefixes[0]);
});

test("one flipped bit anywhere is found, and nothing passes for an unfinished append", () => {
  let flips = 0;
  for (const [name, bytes] of files) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const line = found(with_(name, damaged));
      if (!refuses(line, name)) expect.fail(`${name}, bit ${bit}: ${line}`);
      flips++;
    }
  }
  expect(flips).toBeGreaterThan(50_000);
});

test("one lost byte anywhere is found", () => {
  for (const [name, bytes] of files) {
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === 0) continue;
      const damaged = bytes.slice();
      damaged[at] = 0;
      const line = found(with_(name, damaged));
      if (!refuses(line, name)) expect.fail(`${name}, byte ${at}: ${line}`);
    }
  }
});

test("exchanged, repeated and misplaced sectors are found", () => {
  const sectors = [...files].flatMap(([name, bytes]) =>
    Array.from({ length: bytes.length / SECTOR_BYTES }, (_, at) => {
      return { name, offset: at * SECTOR_BYTES };
    }),
  );
  for (const from of sectors) {
    const sector = contentOf(from.name).subarray(from.offset, from.offset + SECTOR_BYTES);
    for (const to of sectors) {
      if (from === to) continue;
      const damaged = contentOf(to.name).slice();
      damaged.set(sector, to.offset);
      expect(found(with_(to.name, damaged))).toMatch(refusal);
    }
  }
});

test("a sector that reads as zeros is found, unless it is the last append's", () => {
  for (const [name, bytes] of files) {
    for (let offset = 0; offset < bytes.length; offset += SECTOR_BYTES) {
      const damaged = bytes.slice();
      damaged.fill(0, offset, offset + SECTOR_BYTES);
      const line = found(with_(name, damaged));
      // Documented: zeros in the last append look as if it had never finished.
      const isInLastAppend = name === lastName && offset >= lastAppend;
      if (isInLastAppend) expect(line).toBe(prefixes[1]);
      else expect(refuses(line, name), line).toBe(true);
    }
  }
});

describe("a file that is cut short", () => {
  test("anywhere but in the last segment, is found", () => {
    for (const [name, bytes] of files) {
      if (name === lastName) continue;
      for (let length = 0; length < bytes.length; length++) {
        // Cut between two batches, it is the next segment that shows it.
        expect(found(with_(name, bytes.slice(0, length)))).toMatch(refusal);
      }
    }
  });

  test("in the last segment, is found or leaves whole writes, oldest first", () => {
    const bytes = contentOf(lastName);
    for (let length = 0; length <= bytes.length; length++) {
      const line = found(with_(lastName, bytes.slice(0, length)));
      // No append ends within a sector, so no unfinished one explains that.
      if (length % SECTOR_BYTES !== 0) expect(line).toMatch(refusal);
      else expect(prefixes).toContain(line);
    }
  });
});

test("a missing segment is found", () => {
  const rig = openRig();
  for (const [name, bytes] of files) rig.disk.corrupt(name, bytes);
  rig.disk.corrupt(segmentName(2), null);
  expect(() => openRig(rig.disk)).toThrow(/the log begins after entry .* a snapshot is missing/);
});

test("a segment in place of another is found", () => {
  const [first, second, third] = [1, 2, 3].map((sequence) => contentOf(segmentName(sequence)));
  for (const [one, two, three] of [
    [first, second, second],
    [first, third, second],
    [second, second, third],
  ]) {
    const exchanged = new Map(
      [one, two, three].map((bytes, at) => [segmentName(at + 1), must(bytes, "a segment")]),
    );
    expect(found(exchanged)).toMatch(refusal);
  }
});

test("damage changes nothing on disk", () => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1), entries: entries(1, 3, 1) });
  saveNow(rig, meta(3, 1), ["state"]);
  const before = fingerprint(rig.disk);
  const damaged = rig.disk.read(segmentName(1));
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  rig.disk.corrupt(segmentName(1), damaged);
  rig.disk.corrupt("left.tmp", new Uint8Array(3));
  const after = fingerprint(rig.disk);
  expect(after).not.toBe(before);
  const began = rig.pump.began.length;
  expect(() => openStorage(rig.disk, { segmentBytesMax: SEGMENT_BYTES_MAX })).toThrow(
    "the log is damaged: wal-0000000000000001.log, byte 0: the batch's checksum is wrong",
  );
  expect(fingerprint(rig.disk)).toBe(after);
  expect(rig.pump.began.length).toBe(began);
});

function fingerprint(disk: SimDisk): string {
  return disk
    .list()
    .map((name) => `${name} ${Buffer.from(disk.read(name)).toString("hex")}`)
    .join();
}
