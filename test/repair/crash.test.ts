/**
 * A crash at every step of setting damage aside, in every state of the disk that it may leave: the
 * next start must find either the damage or the doubt, and never a node that is certain of a log
 * that is too short.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng, type Random } from "../../src/lib/random.ts";
import { KvStore, type KvResult } from "../../src/kv/store.ts";
import { type NodeIdentity, readIdentity } from "../../src/node/identity.ts";
import { openOrRepair, recoverIdentity, type Repaired } from "../../src/node/repair.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { SimDisk } from "../sim/disk.ts";
import { everyPath } from "../sim/exhaustive.ts";
import { Pump } from "../storage/fixtures.ts";
import { type Files, usualCluster } from "./world.ts";

const VOTERS = ["n1", "n2", "n3"] as NodeId[];
const loseAll: Random = { below: (bound) => bound - 1 };

const whole: Files = must(usualCluster().disks[0] ?? null, "three");
const original = must(readIdentity(diskOf(whole)), "it has run");
const segments = [...whole.keys()].filter((name) => name.startsWith("wal-"));
const middle = new RegExp(must(segments[segments.length >> 1] ?? null, "some"));
let names = 0;

function diskOf(files: Files): SimDisk {
  const disk = new SimDisk(() => {});
  for (const [name, bytes] of files) disk.corrupt(name, bytes.slice());
  return disk;
}

/** One start of a program, on a copy of the disk, operation by operation. */
class Start {
  readonly pump = new Pump();
  readonly disk: SimDisk;
  result: Repaired<KvResult> | StorageError | null = null;

  constructor(disk: SimDisk, voters: readonly NodeId[] = VOTERS) {
    this.disk = disk.fork(this.pump.schedule);
    const newIncarnation = () => `new-${++names}`;
    const fresh = { ...original, incarnation: newIncarnation(), joined: false };
    recoverIdentity(this.disk, fresh, (found) => {
      const options = { ...optionsOf(this.disk, voters), newIncarnation };
      const identity = { ...must(found, "it has run"), voters: voters.length };
      openOrRepair({ ...options, identity }, (result) => {
        this.result = result;
      });
    });
  }

  /** Runs to its end, and says who the node is then. */
  finish(): NodeIdentity {
    this.pump.settle();
    const { result } = this;
    if (result === null || result instanceof StorageError) throw new Error(String(result));
    return result.identity;
  }
}

function optionsOf(disk: SimDisk, voters: readonly NodeId[]) {
  return {
    raft: {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters }),
      heartbeatMs: 50,
      electionMs: 300,
      leaseMs: 0,
      tickMs: 10,
      appendEntriesMax: 100,
      appendBytesMax: 1e6,
      window: { bytes: 1e6, messages: 10 },
      applyEntriesMax: 100,
      logBytesMax: 1e6,
      unappliedEntriesMax: 100,
      unappliedBytesMax: 1e6,
    },
    random: new Prng("crash"),
    snapshots: { entries: 100, logBytes: 1e6, trailingEntries: 0 },
    segmentBytesMax: 1_500,
    disk,
    runtime: {
      now: () => 0 as Millis,
      awakeAndAsleep: () => 0,
      defer: () => {},
      every: () => () => {},
    },
    transport: { send: () => {}, sendSnapshot: () => {} },
    machine: new KvStore(),
    onChange: () => {},
    onConfiguration: () => {},
    onSnapshot: () => {},
  };
}

/** Damages a file in the middle, or loses it. */
function damaged(pattern: RegExp, how: "flip" | "lose"): Files {
  const files = new Map(whole);
  for (const [name, bytes] of whole) {
    if (!pattern.test(name)) continue;
    const changed = bytes.slice();
    const at = changed.length >> 1;
    changed[at] = (changed[at] ?? 0) ^ 8;
    if (how === "lose") files.delete(name);
    else files.set(name, changed);
  }
  return files;
}

describe.each([
  ["a damaged segment", middle, "flip"],
  ["damage in all segments", /^wal-/, "flip"],
  ["a lost log", /^wal-/, "lose"],
  ["lost snapshots", /^snapshot-/, "lose"],
  ["a damaged identity", /^identity/, "flip"],
] as const)("%s", (_what, pattern, how) => {
  test("ends in doubt, wherever a crash interrupts that", () => {
    const start = new Start(diskOf(damaged(pattern, how)));
    let states = 0;
    const here = () => {
      for (const crash of ["powerCut", "kill"] as const) {
        states += everyPath((random) => {
          const disk = start.disk.fork(() => {});
          disk[crash](random);
          afterCrash(disk);
        });
      }
    };
    here();
    while (start.pump.waiting.length > 0) {
      start.pump.step();
      here();
    }
    expect(start.finish().since).toBe(null);
    expect(states).toBeGreaterThan(10);
  });
});

function afterCrash(disk: SimDisk): void {
  const start = new Start(disk);
  const identity = start.finish();
  expect(identity.since).toBe(null);
  expect(identity.incarnation).not.toBe(original.incarnation);
  const { opened } = start.result as Repaired<KvResult>;
  expect(opened.raft.core.doubt?.self.incarnation).toBe(identity.incarnation);
  // What it says from now on rests on what is on its disk.
  let isReady = false;
  opened.wal.write({ number: 1, hardState: null, reset: null, entries: [] }, () => {
    isReady = true;
  });
  start.pump.settle();
  expect(isReady).toBe(true);
  start.disk.powerCut(loseAll);
  const again = new Start(start.disk).finish();
  expect(again).toMatchObject({ since: null, incarnation: identity.incarnation });
}

test("nothing damaged: nothing is changed", () => {
  const start = new Start(diskOf(whole));
  expect(start.finish()).toEqual(original);
  expect(start.disk.list()).toEqual([...whole.keys()]);
});

test("what was set aside goes when more is: one generation is kept", () => {
  const first = new Start(diskOf(damaged(/^wal-/, "flip")));
  first.finish();
  const setAside = () => first.disk.list().filter((name) => name.endsWith(".damaged"));
  const before = setAside();
  expect(before).toEqual(segments.map((name) => `${name}.damaged`));
  const { opened } = first.result as Repaired<KvResult>;
  opened.wal.write({ number: 1, hardState: null, reset: null, entries: [] }, () => {});
  first.pump.settle();
  const [log] = first.disk.list().filter((name) => /^wal-\d+\.log$/.test(name));
  const name = must(log ?? null, "a new log");
  first.disk.corrupt(name, new Uint8Array(700).fill(1));
  const second = new Start(first.disk);
  second.finish();
  expect(second.disk.list().filter((each) => each.endsWith(".damaged"))).toEqual([
    `${name}.damaged`,
  ]);
});

test("a doubt that was over, but not yet on disk, begins anew where the log is lost", () => {
  const first = new Start(diskOf(damaged(/^wal-/, "flip")));
  const inDoubt = first.finish();
  // It has run since, and has written; whether it was certain for a moment, nobody knows.
  for (const name of first.disk.list()) {
    if (name.startsWith("wal-")) first.disk.corrupt(name, null);
  }
  const again = new Start(first.disk).finish();
  expect(again.since).toBe(null);
  expect(again.incarnation).not.toBe(inDoubt.incarnation);
});

test.each([1, 2])("of %i nodes nobody could help: it is refused, and nothing changed", (count) => {
  const disk = diskOf(damaged(middle, "flip"));
  const before = disk.list().map((name) => [name, disk.read(name)]);
  const start = new Start(disk, VOTERS.slice(0, count));
  start.pump.settle();
  const { result } = start;
  const message = result instanceof StorageError ? result.message : "it starts";
  expect(message).toMatch(/with \d members no others can make it good/);
  expect(start.disk.list().map((name) => [name, start.disk.read(name)])).toEqual(before);
});
