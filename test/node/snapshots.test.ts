/** A snapshot from another node counts only when it is whole, checked and durable (S1, S8). */
import { beforeEach, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { type ChunkAnswer, Snapshots } from "../../src/node/snapshots.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Input } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import { asTerm, type Millis, type NodeId } from "../../src/raft/types.ts";
import { snapshotName } from "../../src/storage/snapshot-files.ts";
import {
  hardState,
  meta,
  openRig,
  type Rig,
  saveNow,
  text,
  writeNow,
} from "../storage/fixtures.ts";

const n1 = "n1" as NodeId;
const n2 = "n2" as NodeId;
const LIMITS = { entries: 100, logBytes: 1e6, trailingEntries: 0 };
/** What is sent at once: a few parts make up the whole. */
const PART_BYTES = 64;

const raftOptions = {
  id: n1,
  bootstrap: configurationOf({ voters: [n1, n2] }),
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
  random: new Prng("snapshots"),
};

let rig: Rig;
let raft: Raft;
let snapshots: Snapshots;
let inputs: Input[];
/** The state as chunks, once a snapshot was installed. */
let state: string[];

beforeEach(() => {
  rig = openRig();
  rig.pump.settle();
  raft = new Raft(raftOptions, nothingSaved, 0 as Millis);
  inputs = [];
  state = [];
  snapshots = new Snapshots({
    id: n1,
    disk: rig.disk,
    store: rig.storage.snapshots,
    machine: {
      freeze: () => ({ chunks: () => [text("own")].values(), release: () => {} }),
      restorer: () => {
        const chunks: string[] = [];
        return {
          feed: (chunk) => chunks.push(new TextDecoder().decode(chunk)),
          commit: () => {
            state = chunks;
          },
        };
      },
    },
    transport: { send: () => {}, sendSnapshot: () => {} },
    limits: LIMITS,
    now: () => 0 as Millis,
    wal: rig.storage.wal,
    onEvent: () => {},
    onNotTaken: () => {},
  });
  snapshots.attach((input) => inputs.push(input));
});

/** The file of a snapshot at entry 5, as another node has it. */
function fileOfAnother(): Uint8Array {
  const other = openRig();
  saveNow(other, meta(5, 1), ["the state", "and more of it"]);
  return other.disk.read(snapshotName(meta(5, 1)));
}

/** Sends the part at `offset`, and returns the answer, which is null until it is given. */
function send(file: Uint8Array, offset: number): () => ChunkAnswer | null {
  let answer: ChunkAnswer | null = null;
  const data = file.subarray(offset, offset + PART_BYTES);
  const chunk = { from: n2, term: asTerm(1), name: "s", bytes: file.length, offset, data };
  snapshots.receive(chunk, raft.core, (given) => {
    expect(answer).toBe(null);
    answer = given;
  });
  return () => answer;
}

/** Sends the file but for its last part, and says where that begins. */
function sendAllButLast(file: Uint8Array): number {
  let offset = 0;
  for (; offset + PART_BYTES < file.length; offset += PART_BYTES) {
    const answer = send(file, offset);
    rig.pump.settle();
    expect(answer()).toEqual({ type: "want", offset: offset + PART_BYTES });
  }
  expect(offset).toBeGreaterThan(0);
  expect(inputs).toEqual([]);
  return offset;
}

test("is offered to Raft when its last part and its name are durable, and not earlier", () => {
  const file = fileOfAnother();
  const answer = send(file, sendAllButLast(file));
  while (rig.pump.waiting.length > 0) {
    expect(inputs).toEqual([]);
    expect(answer()).toBe(null);
    rig.pump.step();
  }
  expect(rig.pump.began.at(-1)).toMatch(/^rename incoming-/);
  expect(answer()).toEqual({ type: "want", offset: file.length });
  expect(inputs).toEqual([
    { type: "message", message: expect.objectContaining({ type: "snapshot", from: n2, to: n1 }) },
  ]);
  expect(rig.disk.read(snapshotName(meta(5, 1)))).toEqual(file);
  expect(state).toEqual([]);
  const [input] = inputs;
  const message = input?.type === "message" ? input.message : null;
  snapshots.install(must(message?.type === "snapshot" ? message.meta : null, "a snapshot"));
  expect(state).toEqual(["the state", "and more of it"]);
});

test("is refused where a byte of it is damaged, and leaves no file", () => {
  const file = fileOfAnother();
  for (const at of [0, 20, file.length >> 1, file.length - 1]) {
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    let offset = 0;
    for (; offset < file.length; offset += PART_BYTES) {
      const answered = send(damaged, offset);
      rig.pump.settle();
      const answer = answered();
      if (answer?.type !== "want" || answer.offset !== offset + PART_BYTES) {
        expect(answer).toEqual({ type: "want", offset: 0 });
        break;
      }
    }
    expect(offset).toBeLessThan(file.length);
    rig.pump.settle();
    expect(rig.disk.list().filter((name) => /^(incoming|snapshot)/.test(name))).toEqual([]);
  }
  expect(inputs).toEqual([]);
});

test("a log is not healed by a snapshot that another node's has overtaken", () => {
  const at = meta(3, 1);
  const saved = { ...nothingSaved, snapshot: at, base: { index: at.index, term: at.term } };
  raft = new Raft(raftOptions, saved, 0 as Millis);
  writeNow(rig, { hardState: hardState(1), reset: at });
  let isHealed = false;
  snapshots.healFromMemory({ of: "log", name: "wal", what: "damaged" }, () => {
    isHealed = true;
  });
  snapshots.afterTurn(raft);
  // It is whole, but for its name.
  const { waiting } = rig.pump;
  while (!waiting.some(({ what }) => what.startsWith("rename"))) rig.pump.step();
  const [rename] = waiting.splice(0);

  const file = fileOfAnother();
  send(file, sendAllButLast(file));
  rig.pump.settle();
  const [input] = inputs;
  const message = input?.type === "message" ? input.message : null;
  const theirs = must(message?.type === "snapshot" ? message.meta : null, "a snapshot");
  snapshots.install(theirs);
  writeNow(rig, { reset: theirs });

  must(rename, "the own snapshot").complete();
  rig.pump.settle();
  expect(isHealed).toBe(false);
  const found = openRig(rig.disk).storage.saved;
  expect(found.snapshot).toEqual(theirs);
  expect(found.base).toEqual({ index: theirs.index, term: theirs.term });
});
