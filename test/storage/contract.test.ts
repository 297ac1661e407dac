/**
 * What Raft relies on in its storage, as openraft's conformance suite for storages lists it, on the
 * simulated disk and on a real one. Before every look the machine is started anew.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import { RaftLog } from "../../src/raft/log.ts";
import { encodeConfiguration, configurationOf } from "../../src/raft/membership.ts";
import type { Write } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Configuration, Index, Millis, NodeId, SnapshotMeta } from "../../src/raft/types.ts";
import type { Disk } from "../../src/storage/disk.ts";
import { type NodeDisk, openNodeDisk } from "../../src/storage/node-disk.ts";
import { type OpenStorage, openStorage } from "../../src/storage/open.ts";
import { readSnapshotChunks, snapshotName } from "../../src/storage/snapshot-files.ts";
import { SimDisk } from "../sim/disk.ts";
import { entries, entry, hardState, meta, places, position, text, write } from "./fixtures.ts";

const SEGMENT_BYTES_MAX = 512;
const UNLIMITED = { entries: 1_000, bytes: 1_000_000 };

/** A machine's disk, over its restarts. */
interface Machine {
  readonly disk: Disk;
  restart(): Promise<void>;
  end(): Promise<void>;
}

function simMachine(): Promise<Machine> {
  const disk = new SimDisk((_operation, complete) => setImmediate(complete));
  const random = new Prng("contract");
  return Promise.resolve({
    disk,
    // What was not durable is gone, or a part of it.
    restart: () => Promise.resolve(disk.powerCut(random)),
    end: () => Promise.resolve(),
  });
}

async function nodeMachine(): Promise<Machine> {
  const path = await mkdtemp(join(tmpdir(), "quorate-contract-"));
  const open = (): Promise<NodeDisk> =>
    openNodeDisk({
      path,
      fail: (error) => {
        throw error;
      },
    });
  let disk = await open();
  return {
    get disk() {
      return disk;
    },
    restart: async () => {
      await disk.close();
      disk = await open();
    },
    end: async () => {
      await disk.close();
      await rm(path, { recursive: true });
    },
  };
}

describe.each([
  { name: "a simulated disk", make: simMachine },
  { name: "a real disk", make: nodeMachine },
])("on $name", ({ make }) => {
  let machine: Machine;
  let storage: OpenStorage;

  beforeEach(async () => {
    machine = await make();
    storage = openStorage(machine.disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
  });

  afterEach(() => machine.end());

  const put = (fields: Partial<Omit<Write, "number">>): Promise<void> =>
    new Promise((resolve) => {
      storage.wal.write(write(fields), resolve);
    });

  const save = (at: SnapshotMeta, ...chunks: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const source = { meta: at, chunks: chunks.map(text).values() };
      storage.snapshots.save(source, () => resolve());
    });

  const reopen = async (): Promise<OpenStorage["saved"]> => {
    await machine.restart();
    storage = openStorage(machine.disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
    return storage.saved;
  };

  /** One write each, so that there are many batches and several segments. */
  const putAll = async (list: readonly Entry[]): Promise<void> => {
    for (const each of list) await put({ entries: [each] });
  };

  const readSnapshot = (name: string): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const chunks: string[] = [];
      readSnapshotChunks(machine.disk, name, {
        onChunk: (chunk) => chunks.push(new TextDecoder().decode(chunk)),
        onEnd: (problem) => (problem === null ? resolve(chunks) : reject(problem)),
      });
    });

  describe("initial state", () => {
    test("get_initial_state_without_init", async () => {
      expect(await reopen()).toEqual(nothingSaved);
      expect(storage.snapshotName).toBe(null);
    });

    test("get_initial_state_with_state: hard state, log and snapshot together", async () => {
      await put({ hardState: hardState(3, "n2"), entries: entries(1, 4, 2) });
      await put({ entries: entries(5, 6, 3) });
      await save(meta(4, 2), "state");
      const saved = await reopen();
      expect(saved.hardState).toEqual(hardState(3, "n2"));
      expect(places(saved.entries)).toBe("1@2 2@2 3@2 4@2 5@3 6@3");
      expect(saved.snapshot).toEqual(meta(4, 2));
      expect(await readSnapshot(must(storage.snapshotName, "one"))).toEqual(["state"]);
    });

    test("get_initial_state_last_log_gt_sm: the log ends behind the snapshot", async () => {
      await put({ hardState: hardState(2), entries: entries(1, 5, 2) });
      await save(meta(3, 2), "state");
      expect(new RaftLog(await reopen()).lastIndex).toBe(5);
    });

    test("get_initial_state_last_log_lt_sm: the log ends before the snapshot", async () => {
      await put({ hardState: hardState(2), entries: entries(1, 3, 2) });
      await save(meta(5, 2), "state");
      const saved = await reopen();
      expect(saved.base).toEqual(position(5, 2));
      expect(saved.entries).toEqual([]);
      const log = new RaftLog(saved);
      expect([log.lastIndex, log.lastTerm]).toEqual([5, 2]);
      // It goes on there, and so it does after another start.
      await put({ entries: [entry(6, 2)] });
      expect(places((await reopen()).entries)).toBe("6@2");
    });

    test("get_initial_state_log_conflicts_with_sm: the snapshot counts", async () => {
      await put({ hardState: hardState(3), entries: entries(1, 5, 1) });
      await save(meta(3, 3), "state");
      const saved = await reopen();
      expect(saved.base).toEqual(position(3, 3));
      expect(saved.entries).toEqual([]);
    });
  });

  describe("membership", () => {
    const other = configurationOf({ voters: ["n1", "n2", "n5"] as NodeId[] });
    const bootstrap = configurationOf({ voters: ["n1"] as NodeId[] });

    const newest = async (): Promise<Configuration> => {
      const options = {
        id: "n1" as NodeId,
        bootstrap,
        heartbeatMs: 10,
        electionMs: 100,
        leaseMs: 0,
        tickMs: 10,
        appendEntriesMax: 10,
        appendBytesMax: 1_000,
        applyEntriesMax: 10,
        window: { bytes: 1_000, messages: 10 },
        logBytesMax: 10_000,
        unappliedEntriesMax: 10,
        unappliedBytesMax: 10_000,
        random: new Prng("contract"),
      };
      return new Raft(options, await reopen(), 0 as Millis).core.configuration;
    };

    const change = (index: number): Entry =>
      makeEntry({ ...entry(index, 1), kind: "config", data: encodeConfiguration(other) });

    test("get_membership_initial: as it was given at the start", async () => {
      expect(await newest()).toEqual(bootstrap);
    });

    test("get_membership_from_log_and_empty_sm", async () => {
      await put({ hardState: hardState(1), entries: [entry(1, 1), change(2), entry(3, 1)] });
      expect(await newest()).toEqual(other);
    });

    test("get_membership_from_empty_log_and_sm", async () => {
      await put({ hardState: hardState(1) });
      await save(meta(3, 1), "state");
      expect(await newest()).toEqual(meta(3, 1).configuration);
    });

    test("get_membership_from_log_gt_sm_last_applied: the log's is newer", async () => {
      await put({ hardState: hardState(1), entries: [...entries(1, 3, 1), change(4)] });
      await save(meta(3, 1), "state");
      expect(await newest()).toEqual(other);
    });

    test("get_membership_from_log_le_sm_last_applied: the snapshot's is newer", async () => {
      await put({ hardState: hardState(1), entries: [change(1), ...entries(2, 4, 1)] });
      await save(meta(3, 1), "state");
      expect(await newest()).toEqual(meta(3, 1).configuration);
    });
  });

  describe("log", () => {
    test("append_to_log: what was told durable is there, in order, unchanged", async () => {
      const list = entries(1, 20, 1);
      await put({ hardState: hardState(1) });
      await putAll(list);
      expect((await reopen()).entries.map(({ bytes }) => bytes)).toEqual(
        list.map(({ bytes }) => bytes),
      );
    });

    test("get_log_state: before the first entry, and at the last", async () => {
      await put({ hardState: hardState(1) });
      expect(new RaftLog(await reopen()).lastIndex).toBe(0);
      await putAll(entries(1, 10, 1));
      const log = new RaftLog(await reopen());
      expect([log.lastIndex, log.durable]).toEqual([10, 10]);
    });

    test("limited_get_log_entries: at most so many, at most so long, at least one", async () => {
      await put({ hardState: hardState(1), entries: entries(1, 10, 1) });
      const log = new RaftLog(await reopen());
      const batch = (from: number, limits: object) =>
        places(log.batchFrom(from as Index, { ...UNLIMITED, ...limits }));
      expect(batch(5, {})).toBe("5@1 6@1 7@1 8@1 9@1 10@1");
      expect(batch(5, { entries: 2 })).toBe("5@1 6@1");
      expect(batch(5, { bytes: 1 })).toBe("5@1");
      expect(batch(11, {})).toBe("");
    });

    test("try_get_log_entry: each by its index", async () => {
      await put({ hardState: hardState(2), entries: [...entries(1, 3, 1), ...entries(4, 5, 2)] });
      const log = new RaftLog(await reopen());
      expect([0, 1, 3, 4, 5, 6].map((index) => log.termAt(index))).toEqual([0, 1, 1, 2, 2, null]);
      expect(log.entryAt(4 as Index).data).toEqual(text("4@2"));
    });

    test.each([
      { name: "delete_logs_since_11: nothing", from: 11 },
      { name: "delete_logs_since_5", from: 5 },
      { name: "delete_logs_since_1: everything", from: 1 },
    ])("$name", async ({ from }) => {
      await put({ hardState: hardState(2) });
      await putAll(entries(1, 10, 1));
      await put({ entries: [entry(from, 2)] });
      const kept = entries(1, from - 1, 1);
      expect(places((await reopen()).entries)).toBe(places([...kept, entry(from, 2)]));
    });

    test.each([0, 5, 20])("purge_logs_upto_%i: nothing newer goes", async (upTo) => {
      await put({ hardState: hardState(1) });
      await putAll(entries(1, 30, 1));
      await save(meta(Math.max(upTo, 1), 1), "state");
      storage.wal.release(upTo as Index);
      const saved = await reopen();
      expect(saved.base.index).toBeLessThanOrEqual(upTo);
      expect(saved.entries[0]?.index).toBe(saved.base.index + 1);
      expect(saved.entries.at(-1)?.index).toBe(30);
      const log = new RaftLog(saved);
      expect(log.termAt(saved.base.index)).not.toBe(null);
      expect(log.termAt(saved.base.index - 1)).toBe(null);
    });

    test("purge frees what it may, file by file", async () => {
      await put({ hardState: hardState(1, "n3") });
      await putAll(entries(1, 30, 1));
      const before = storage.wal.counters().segments;
      await save(meta(29, 1), "state");
      storage.wal.release(29 as Index);
      expect(storage.wal.counters().segments).toBeLessThan(before);
      const saved = await reopen();
      expect(saved.hardState).toEqual(hardState(1, "n3"));
      expect(saved.entries.at(-1)?.index).toBe(30);
    });
  });

  describe("vote", () => {
    test("save_vote: the last one that was told durable", async () => {
      await put({ hardState: hardState(1, "n1") });
      expect((await reopen()).hardState).toEqual(hardState(1, "n1"));
      await put({ hardState: hardState(2) });
      await put({ hardState: hardState(2, "n3") });
      expect((await reopen()).hardState).toEqual(hardState(2, "n3"));
      await putAll(entries(1, 30, 2));
      expect((await reopen()).hardState).toEqual(hardState(2, "n3"));
    });
  });

  describe("snapshots", () => {
    test("snapshot_meta: index, term, time and configuration of what was saved", async () => {
      await put({ hardState: hardState(2), entries: entries(1, 4, 2) });
      expect((await reopen()).snapshot).toBe(null);
      await save(meta(4, 2), "a", "b");
      expect((await reopen()).snapshot).toEqual(meta(4, 2));
      expect(storage.snapshots.newest?.meta).toEqual(meta(4, 2));
    });

    test("the newest of several counts", async () => {
      await put({ hardState: hardState(2), entries: entries(1, 9, 2) });
      for (const index of [3, 6, 9]) await save(meta(index, 2), `state at ${index}`);
      expect((await reopen()).snapshot).toEqual(meta(9, 2));
      expect(await readSnapshot(must(storage.snapshotName, "one"))).toEqual(["state at 9"]);
    });

    test("transfer_snapshot: its file tells another node the same", async () => {
      await put({ hardState: hardState(2), entries: entries(1, 4, 2) });
      await save(meta(4, 2), "one", "two");
      const file = machine.disk.read(snapshotName(meta(4, 2)));
      await machine.end();
      machine = await make();
      storage = openStorage(machine.disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
      await new Promise<void>((resolve) => {
        machine.disk.append("incoming-1", [file], resolve);
      });
      const name = snapshotName(meta(4, 2));
      await new Promise<void>((resolve) => {
        machine.disk.rename("incoming-1", name, resolve);
      });
      await put({ hardState: hardState(2), reset: meta(4, 2) });
      const saved = await reopen();
      expect(saved.snapshot).toEqual(meta(4, 2));
      expect(saved.base).toEqual(position(4, 2));
      expect(await readSnapshot(name)).toEqual(["one", "two"]);
    });
  });
});
