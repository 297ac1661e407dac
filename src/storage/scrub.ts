/**
 * Reads what is on disk again and again, slowly: damage should be found while it can be healed, and
 * not at the next start (W13).
 *
 * What a node has in memory is whole, so its disk can be healed from that as long as it runs. A
 * slice is read at a time, so that an append to the same file never waits for long.
 */
import { assert } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { Disk } from "./disk.ts";
import { type Segment, segmentName } from "./segment.ts";
import { SegmentScanner } from "./segment-scanner.ts";
import { SnapshotScanner } from "./snapshot-format.ts";
import type { SnapshotStore } from "./snapshots.ts";
import type { Wal } from "./wal.ts";

/** A file that is not any more as it was written. */
export interface Damage {
  readonly of: "log" | "snapshot";
  readonly name: string;
  /** What is wrong with it, in a few words. */
  readonly what: string;
}

export interface ScrubDeps {
  readonly disk: Disk;
  readonly wal: Pick<Wal, "durable">;
  readonly snapshots: Pick<SnapshotStore, "names" | "pin">;
  /** Heals the damage, and calls `done` when that is durable. Nothing is read meanwhile. */
  readonly heal: (damage: Damage, done: () => void) => void;
}

/** What has been read so far. */
export interface ScrubCounters {
  /** How often everything was read. */
  readonly rounds: number;
  readonly damages: number;
}

/** How often `step` should be called. With the slice that makes 2.5 MiB a second. */
export const SCRUB_STEP_MS = 100;
/** Read in a fraction of a millisecond where it is cached, and in a few where it is not. */
const SLICE_BYTES = 256 * 1024;
/** Between two rounds: a minute. */
const PAUSE_STEPS = 600;

/** A file that is to be read in this round. */
interface Task {
  readonly name: string;
  /** Null: a snapshot. */
  readonly segment: Segment | null;
}

/** A file that is being read. */
interface Reading {
  readonly task: Task;
  /** How much of it counts; null: all that there is. */
  readonly bytes: number | null;
  offset: number;
  /** Both throw MalformedError. */
  readonly push: (bytes: Uint8Array) => void;
  readonly finish: () => void;
  /** The file need not stay for this any more. */
  readonly release: () => void;
}

/** See above. It does nothing but in `step`. */
export class Scrub {
  private readonly deps: ScrubDeps;
  /** Null: between two rounds. */
  private tasks: Task[] | null = null;
  private reading: Reading | null = null;
  /** A slice is being read, or damage healed. */
  private isBusy = false;
  private pause = 0;
  /** The segment read last in this round, and the checksum that the next one goes on from. */
  private last: { readonly sequence: number; readonly chain: number } | null = null;
  private rounds = 0;
  private damages = 0;

  constructor(deps: ScrubDeps) {
    this.deps = deps;
  }

  counters(): ScrubCounters {
    const { rounds, damages } = this;
    return { rounds, damages };
  }

  /** Reads the next slice, unless one is under way or it is time to pause. */
  step(): void {
    if (this.isBusy) return;
    if (this.pause > 0) {
      this.pause -= 1;
      return;
    }
    this.tasks ??= this.everything();
    this.reading ??= this.begin(this.tasks);
    if (this.reading !== null) this.readSlice(this.reading);
    else this.endRound();
  }

  /** Reads this snapshot next: somebody has reason to doubt it. */
  suspect(name: string): void {
    this.tasks = [{ name, segment: null }, ...(this.tasks ?? this.everything())];
    this.pause = 0;
  }

  private everything(): Task[] {
    const { wal, snapshots } = this.deps;
    const segments = wal.durable.map((segment) => {
      return { name: segmentName(segment.sequence), segment };
    });
    return [...segments, ...snapshots.names.map((name) => ({ name, segment: null }))];
  }

  private endRound(): void {
    this.rounds += 1;
    this.pause = PAUSE_STEPS;
    this.tasks = null;
    this.last = null;
  }

  /** The next file that is still of use. Null: there is none. */
  private begin(tasks: Task[]): Reading | null {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      if (!this.isOfUse(task)) continue;
      return task.segment === null ? this.snapshot(task) : this.segment(task, task.segment);
    }
    return null;
  }

  private isOfUse({ name, segment }: Task): boolean {
    const { wal, snapshots } = this.deps;
    if (segment === null) return snapshots.names.includes(name);
    return wal.durable.some(({ sequence }) => sequence === segment.sequence);
  }

  private snapshot(task: Task): Reading {
    const scanner = new SnapshotScanner();
    return {
      task,
      bytes: null,
      offset: 0,
      push: (bytes) => scanner.push(bytes),
      finish: () => scanner.finish(),
      release: this.deps.snapshots.pin(task.name),
    };
  }

  private segment(task: Task, { sequence, bytes }: Segment): Reading {
    const { last } = this;
    const follows = last !== null && last.sequence === sequence - 1;
    const first = sequence === 1 ? 0 : null;
    const scanner = new SegmentScanner({ sequence, chain: follows ? last.chain : first });
    return {
      task,
      bytes,
      offset: 0,
      push: (slice) => scanner.push(slice),
      finish: () => {
        this.last = { sequence, chain: scanner.finish() };
      },
      release: () => {},
    };
  }

  private readSlice(reading: Reading): void {
    const { task, bytes, offset } = reading;
    // Both would end the process: it may have been removed, by this program or by another.
    if (!this.isOfUse(task)) return this.close(reading);
    if (!this.deps.disk.list().includes(task.name)) return this.found(reading, "the file is gone");
    const length = Math.min(SLICE_BYTES, bytes === null ? SLICE_BYTES : bytes - offset);
    this.isBusy = true;
    this.deps.disk.readAt(task.name, { offset, length }, (slice) => {
      this.isBusy = false;
      reading.offset += slice.length;
      const isLast = slice.length < length || reading.offset === bytes;
      const problem = malformation(() => {
        reading.push(slice);
        if (isLast) reading.finish();
      });
      if (problem !== null) this.found(reading, problem);
      else if (isLast) this.close(reading);
    });
  }

  private found(reading: Reading, what: string): void {
    const { name, segment } = reading.task;
    this.close(reading);
    this.damages += 1;
    this.isBusy = true;
    this.deps.heal({ of: segment === null ? "snapshot" : "log", name, what }, () => {
      this.isBusy = false;
      // All is looked at once more, beginning with what has taken its place.
      this.tasks = null;
      this.last = null;
    });
  }

  private close(reading: Reading): void {
    assert(this.reading === reading, "another file is being read");
    this.reading = null;
    reading.release();
  }
}

function malformation(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof MalformedError) return error.message;
    throw error;
  }
}
