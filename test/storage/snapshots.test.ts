/** Snapshots: the format, writing in slices, what is kept. */
import { describe, expect, test } from "vitest";
import { asIndex, type SnapshotMeta } from "../../src/raft/types.ts";
import {
  newestSnapshot,
  snapshotName,
  snapshotPosition,
} from "../../src/storage/snapshot-files.ts";
import { SnapshotEncoder, SnapshotScanner } from "../../src/storage/snapshot-format.ts";
import { SnapshotStore, SnapshotWriter } from "../../src/storage/snapshots.ts";
import { SimDisk } from "../sim/disk.ts";
import { chunksOf, meta, openRig, Pump, saveNow, text } from "./fixtures.ts";

const MIB = 1024 * 1024;

function encode(at: SnapshotMeta, chunks: readonly string[]): Uint8Array {
  const encoder = new SnapshotEncoder(at);
  const parts = [encoder.header()];
  for (const chunk of chunks.map(text)) parts.push(encoder.chunkHead(chunk), chunk);
  return joined(...parts, encoder.end());
}

/** In memory of its own: `slice` of a Buffer would be a view. */
function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Pushes in pieces of `size` bytes. Throws MalformedError. */
function scan(bytes: Uint8Array, size: number = bytes.length) {
  const metas: SnapshotMeta[] = [];
  const chunks: string[] = [];
  const scanner = new SnapshotScanner({
    onMeta: (found) => metas.push(found),
    onChunk: (chunk) => chunks.push(new TextDecoder().decode(chunk)),
  });
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
  return { finished: scanner.finish(), metas, chunks };
}

describe("the format", () => {
  const at = meta(7, 3);
  const bytes = encode(at, ["first", "second", "third chunk"]);

  test.each([1, 2, 7, 16, 64, 10_000])("is read in pieces of %i bytes", (size) => {
    expect(scan(bytes, size)).toEqual({
      finished: at,
      metas: [at],
      chunks: ["first", "second", "third chunk"],
    });
  });

  test("may hold no chunk at all", () => {
    expect(scan(encode(at, []))).toEqual({ finished: at, metas: [at], chunks: [] });
  });

  test("shows every flipped bit, and never tells a damaged chunk", () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const told: string[] = [];
      const scanner = new SnapshotScanner({
        onChunk: (chunk) => told.push(new TextDecoder().decode(chunk)),
      });
      expect(() => {
        scanner.push(damaged);
        scanner.finish();
      }).toThrow(expect.objectContaining({ name: "MalformedError" }));
      expect(["first", "second", "third chunk"].slice(0, told.length)).toEqual(told);
    }
  });

  test("shows every cut and every byte too many", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => scan(bytes.subarray(0, length), 8)).toThrow("the snapshot is not complete");
    }
    expect(() => scan(joined(bytes, text("x")))).toThrow("bytes after the end");
  });

  test("shows chunks that were left out, exchanged or taken from elsewhere", () => {
    const head = new SnapshotEncoder(at).header().length;
    const [a, b] = [8 + 5, 8 + 6];
    const [first, second] = [
      bytes.subarray(head, head + a),
      bytes.subarray(head + a, head + a + b),
    ];
    const rest = bytes.subarray(head + a + b);
    const header = bytes.subarray(0, head);
    expect(() => scan(joined(header, first, rest))).toThrow("chunks are missing");
    const wrong = "the chunks are not the right ones";
    expect(() => scan(joined(header, second, first, rest))).toThrow(wrong);
    const otherHeader = new SnapshotEncoder(meta(8, 3)).header();
    expect(() => scan(joined(otherHeader, first, second, rest))).toThrow(wrong);
  });
});

test("names sort and tell the position", () => {
  const name = snapshotName(meta(42, 1234));
  expect(name).toBe("snapshot-0000000000000042-1234.snap");
  expect(snapshotPosition(name)).toEqual({ index: 42, term: 1234 });
  expect(snapshotPosition(`${name}.tmp`)).toBeNull();
  expect(snapshotPosition("snapshot-42-1.snap")).toBeNull();
});

describe("writing", () => {
  test("leaves out empty chunks, which are pauses in long work", () => {
    const rig = openRig();
    rig.pump.settle();
    const pauses = Array.from({ length: 20 }, () => "");
    saveNow(rig, meta(7, 3), [...pauses, "first", "", "second", ...pauses]);
    expect(chunksOf(rig.disk, snapshotName(meta(7, 3)))).toEqual(["first", "second"]);
  });

  /** Chunks of 256 KiB, each counted when it is made. */
  function* chunksMade(count: number, made: { count: number }): Generator<Uint8Array> {
    for (let i = 0; i < count; i++) {
      made.count++;
      yield new Uint8Array(MIB / 4).fill(i + 1);
    }
  }

  test("goes slice by slice: the next is made when the one before is on disk", () => {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const made = { count: 0 };
    const writer = new SnapshotWriter(disk, "x.tmp", {
      meta: meta(1, 1),
      chunks: chunksMade(10, made),
    });
    let bytes: number | null = null;
    writer.start((length) => {
      bytes = length;
    });
    expect(made.count).toBe(4);
    expect(pump.waiting.length).toBe(1);
    pump.step();
    expect(made.count).toBe(8);
    pump.settle();
    expect(made.count).toBe(10);
    expect(bytes).toBe(disk.read("x.tmp").length);
    expect(scan(disk.read("x.tmp")).chunks.length).toBe(10);
  });

  test("takes only a few chunks a slice, however small they are", () => {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const chunks = Array.from({ length: 100 }, () => text("small")).values();
    new SnapshotWriter(disk, "x.tmp", { meta: meta(1, 1), chunks }).start(() => {});
    pump.settle();
    expect(pump.began.length).toBe(13);
  });

  test("can be given up, and leaves nothing", () => {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const store = new SnapshotStore(disk, null, []);
    const source = { meta: meta(1, 1), chunks: chunksMade(10, { count: 0 }) };
    const writer = store.save(source, () => expect.fail("it was given up"));
    pump.step();
    expect(disk.list()).toEqual([`${snapshotName(meta(1, 1))}.1.tmp`]);
    writer.abort();
    pump.settle();
    expect(disk.list()).toEqual([]);
    expect(store.newest).toBeNull();
  });

  test("begins anew where an attempt was given up a moment ago", () => {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const store = new SnapshotStore(disk, null, []);
    const source = () => ({ meta: meta(1, 1), chunks: chunksMade(10, { count: 0 }) });
    const first = store.save(source(), () => expect.fail("it was given up"));
    first.abort();
    store.save(source(), () => {});
    pump.settle();
    expect(newestSnapshot(disk).newest).toEqual(store.newest);
    expect(store.newest?.meta.index).toBe(1);
  });

  test("is seen under its name only when complete", () => {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const store = new SnapshotStore(disk, null, []);
    let saved = 0;
    store.save({ meta: meta(5, 2), chunks: ["a", "b"].map(text).values() }, (file) => {
      saved++;
      expect(file).toEqual(store.newest);
    });
    expect(newestSnapshot(disk).newest).toBeNull();
    pump.settle();
    expect(saved).toBe(1);
    expect(newestSnapshot(disk).newest).toEqual(store.newest);
    expect(chunksOf(disk, snapshotName(meta(5, 2)))).toEqual(["a", "b"]);
  });
});

describe("the store", () => {
  function storeWith(...indexes: number[]) {
    const pump = new Pump();
    const disk = new SimDisk(pump.schedule);
    const store = new SnapshotStore(disk, null, []);
    const save = (index: number) => {
      store.save({ meta: meta(index, 1), chunks: [text("state")].values() }, () => {});
      pump.settle();
    };
    for (const index of indexes) save(index);
    return { disk, store, save };
  }
  const names = (...indexes: number[]) => indexes.map((index) => snapshotName(meta(index, 1)));

  test("keeps the two newest, and lets the log go up to the older", () => {
    const { disk, store, save } = storeWith();
    expect(store.releasable).toBe(asIndex(0));
    save(10);
    expect(store.releasable).toBe(asIndex(0));
    save(20);
    expect(store.releasable).toBe(asIndex(10));
    save(30);
    expect(store.releasable).toBe(asIndex(20));
    expect(disk.list()).toEqual(names(20, 30));
  });

  test("is not put back by an older snapshot that comes late", () => {
    const { disk, store } = storeWith(10, 30, 20);
    expect(store.newest?.meta.index).toBe(30);
    expect(store.releasable).toBe(asIndex(20));
    expect(disk.list()).toEqual(names(20, 30));
  });

  test("keeps what is pinned until it is not", () => {
    const { disk, store, save } = storeWith(10);
    const [name = ""] = names(10);
    const unpins = [store.pin(name), store.pin(name)];
    save(20);
    save(30);
    expect(disk.list()).toEqual(names(10, 20, 30));
    expect(store.releasable).toBe(asIndex(20));
    unpins[0]?.();
    unpins[0]?.();
    expect(disk.list()).toEqual(names(10, 20, 30));
    unpins[1]?.();
    expect(disk.list()).toEqual(names(20, 30));
  });
});

test("reading tells what is wrong with a file", () => {
  const pump = new Pump();
  const disk = new SimDisk(pump.schedule);
  const bytes = encode(meta(1, 1), ["one", "two"]);
  bytes[bytes.length - 14] = 0;
  disk.corrupt("bad.snap", bytes);
  expect(chunksOf(disk, "bad.snap")).toBe("the checksum of chunk 2 is wrong");
});
