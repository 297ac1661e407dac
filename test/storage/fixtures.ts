/** Small entries, writes and disks for the tests of the storage. */
import { must } from "../../src/lib/assert.ts";
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Write } from "../../src/raft/message.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type HardState,
  type NodeId,
  type Position,
  type SnapshotMeta,
} from "../../src/raft/types.ts";
import type { Done } from "../../src/storage/disk.ts";
import { type OpenStorage, openStorage } from "../../src/storage/open.ts";
import { readSnapshotChunks } from "../../src/storage/snapshot-files.ts";
import { type Schedule, SimDisk } from "../sim/disk.ts";

export const text = (words: string): Uint8Array => new TextEncoder().encode(words);

export function entry(
  index: number,
  term: number,
  data: Uint8Array = text(`${index}@${term}`),
): Entry {
  const time = (index * 10) as ClusterTime;
  return makeEntry({ index: asIndex(index), term: asTerm(term), time, kind: "command", data });
}

/** Entries `from` to `to`, all of one term. */
export function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

export function hardState(term: number, vote: string | null = null): HardState {
  return { term: asTerm(term), vote: vote as NodeId | null };
}

export function position(index: number, term: number): Position {
  return { index: asIndex(index), term: asTerm(term) };
}

export function meta(index: number, term: number): SnapshotMeta {
  const voters = ["n1", "n2", "n3"] as NodeId[];
  const configuration = configurationOf({ voters, learners: ["n4" as NodeId] });
  return { ...position(index, term), time: (index * 10) as ClusterTime, configuration };
}

let number = 0;

export function write(fields: Partial<Omit<Write, "number">>): Write {
  return { number: ++number, hardState: null, reset: null, entries: [], ...fields };
}

/** Operations that wait to be told that they have ended. */
export class Pump {
  readonly waiting: { readonly what: string; readonly complete: Done }[] = [];
  /** Every operation that began, as `append wal-….log`. */
  readonly began: string[] = [];

  readonly schedule: Schedule = ({ kind, name }, complete) => {
    this.began.push(`${kind} ${name}`);
    this.waiting.push({ what: `${kind} ${name}`, complete });
  };

  /** Ends the oldest operation. */
  step(): void {
    must(this.waiting.shift(), "nothing is under way").complete();
  }

  /** Ends everything, also what begins meanwhile. */
  settle(): void {
    while (this.waiting.length > 0) this.step();
  }
}

/** A disk, its pump, and the storage opened on it. */
export interface Rig {
  readonly disk: SimDisk;
  readonly pump: Pump;
  readonly storage: OpenStorage;
}

export const SEGMENT_BYTES_MAX = 2048;

/** Opens the storage on a copy of `disk`, or on an empty one. Nothing has ended yet. */
export function openRig(disk: SimDisk = new SimDisk(() => {})): Rig {
  const pump = new Pump();
  const copy = disk.fork(pump.schedule);
  return { disk: copy, pump, storage: openStorage(copy, { segmentBytesMax: SEGMENT_BYTES_MAX }) };
}

/** Writes and waits until it is durable. */
export function writeNow(rig: Rig, fields: Partial<Omit<Write, "number">>): void {
  let isDone = false;
  rig.storage.wal.write(write(fields), () => {
    isDone = true;
  });
  rig.pump.settle();
  must(isDone || null, "the write did not end");
}

/** Saves a snapshot with these chunks and waits until it is durable. */
export function saveNow(rig: Rig, at: SnapshotMeta, chunks: readonly string[]): void {
  rig.storage.snapshots.save({ meta: at, chunks: chunks.map(text).values() }, () => {});
  rig.pump.settle();
}

/** What a snapshot file holds, each chunk as text, or what is wrong with it. */
export function chunksOf(disk: SimDisk, name: string): string[] | string {
  const pump = new Pump();
  const chunks: string[] = [];
  let problem: string | null = null;
  readSnapshotChunks(disk.fork(pump.schedule), name, {
    onChunk: (chunk) => chunks.push(new TextDecoder().decode(chunk)),
    onEnd: (error) => {
      problem = error?.message ?? null;
    },
  });
  pump.settle();
  return problem ?? chunks;
}

/** Index and term of each, as `5@2`. */
export function places(list: readonly Position[]): string {
  return list.map(({ index, term }) => `${index}@${term}`).join(" ");
}
