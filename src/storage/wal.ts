/**
 * The log on disk: takes writes, groups them, and says when they are durable.
 *
 * One append is under way at a time. Whatever arrives meanwhile becomes the next one, so under load
 * many writes share one fsync, and a crash can leave at most one append unfinished.
 */
import { assert } from "../lib/assert.ts";
import type { Entry } from "../raft/entry.ts";
import type { Write } from "../raft/message.ts";
import { asIndex, type HardState, type Index, type Position } from "../raft/types.ts";
import { type Batch, encodeBatch } from "./batch.ts";
import type { Disk, Done } from "./disk.ts";
import { type Segment, segmentName } from "./segment.ts";

/** Where the log stands on disk when it is opened. */
export interface WalStart {
  readonly hardState: HardState;
  /** Where the log on disk ends. */
  readonly end: Position;
  /** A snapshot that must replace the log before anything else is appended. */
  readonly reset: Position | null;
  /** Oldest first. None of them is written to again. */
  readonly segments: readonly Segment[];
  /** The segment to write, and the checksum of the last batch before it. */
  readonly next: { readonly sequence: number; readonly chain: number };
  /** Makes the disk ready. Nothing is written, and no barrier passed, until it calls `done`. */
  readonly prepare: (done: Done) => void;
}

/** What the log has done since it was opened, and how large it is. */
export interface WalCounters {
  readonly batches: number;
  readonly bytesWritten: number;
  readonly segments: number;
  readonly bytesOnDisk: number;
}

/** So that encoding a batch takes 20 ms at most. A single write may be larger. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** What a write needs besides its entries, at most. */
const WRITE_OVERHEAD_BYTES = 128;

interface Waiting {
  readonly write: Write | null;
  readonly done: Done;
}

/** The parts of a batch that writes decide. */
type Content = Pick<Batch, "hardState" | "reset" | "entries">;

/**
 * The write-ahead log. What `write` was called with is durable, with all before it, when its `done`
 * is called; before that, a crash keeps any number of the oldest writes, each whole or not at all.
 */
export class Wal {
  private readonly disk: Disk;
  private readonly segmentBytesMax: number;
  private queue: Waiting[] = [];
  private busy = true;
  private hardState: HardState;
  private end: Position;
  private owedReset: Position | null;
  /** Durable segments, oldest first. */
  private segments: Segment[];
  /** The segment being written; null: the next batch begins one. */
  private current: Segment | null = null;
  private nextSequence: number;
  private chain: number;
  private released = asIndex(0);
  private batches = 0;
  private bytesWritten = 0;

  /** A segment that has grown beyond `segmentBytesMax` is followed by a new one. */
  constructor(disk: Disk, segmentBytesMax: number, start: WalStart) {
    this.disk = disk;
    this.segmentBytesMax = segmentBytesMax;
    this.hardState = start.hardState;
    this.end = start.end;
    this.owedReset = start.reset;
    this.segments = [...start.segments];
    this.nextSequence = start.next.sequence;
    this.chain = start.next.chain;
    start.prepare(() => this.work());
  }

  /**
   * Writes, and calls `done` when this and everything before it is durable. Null writes nothing and
   * only waits; `done` is then called at once if there is nothing to wait for. Calls of `done` keep
   * the order of the calls of `write`.
   */
  write(write: Write | null, done: Done): void {
    this.queue.push({ write, done });
    if (!this.busy) this.work();
  }

  /**
   * Entries up to `index` are not needed any more: the oldest snapshot that is kept covers them.
   * Removes the segments that hold nothing else.
   */
  release(index: Index): void {
    if (index > this.released) this.released = index;
    this.removeReleased();
  }

  /** The segments as far as they are durable, oldest first. The last one is being written. */
  get durable(): readonly Segment[] {
    return this.segments;
  }

  counters(): WalCounters {
    const { batches, bytesWritten } = this;
    const bytesOnDisk = this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
    return { batches, bytesWritten, segments: this.segments.length, bytesOnDisk };
  }

  private work(): void {
    this.busy = true;
    while (this.queue.length > 0) {
      const group = this.takeGroup();
      const finish = () => {
        for (const { done } of group) done();
      };
      const content = this.merge(group);
      if (content !== null) {
        this.append(content, () => {
          finish();
          this.work();
        });
        return;
      }
      finish();
    }
    this.busy = false;
  }

  /** As many of the oldest writes as fit a batch, but at least one. */
  private takeGroup(): readonly Waiting[] {
    let count = 0;
    for (let bytes = 0; count < this.queue.length && bytes < BATCH_BYTES_MAX; count++) {
      bytes += sizeOf(this.queue[count]?.write ?? null);
    }
    return this.queue.splice(0, count);
  }

  /** All writes in one: a batch is durable as a whole, so what a later one undoes is left out. */
  private merge(group: readonly Waiting[]): Content | null {
    let isEmpty = true;
    let hardState: HardState | null = null;
    let reset = this.owedReset;
    let entries: Entry[] = [];
    for (const { write } of group) {
      if (write === null) continue;
      isEmpty = false;
      hardState = write.hardState ?? hardState;
      if (write.reset !== null) {
        reset = write.reset;
        entries = [];
      }
      for (const entry of write.entries) entries.push(entry);
    }
    return isEmpty ? null : { hardState, reset, entries };
  }

  private append(content: Content, done: Done): void {
    const position = this.end;
    this.hardState = content.hardState ?? this.hardState;
    this.owedReset = null;
    this.moveEnd(content);

    // A reset begins a segment too, so that all before it can go.
    const begins =
      this.current === null || this.current.bytes >= this.segmentBytesMax || content.reset !== null;
    const before = begins ? null : this.current;
    const sequence = before?.sequence ?? this.nextSequence++;
    const place = { segment: sequence, offset: before?.bytes ?? 0, chain: this.chain };
    const batch = begins
      ? { ...content, hardState: this.hardState, position }
      : { ...content, position: null };
    const { bytes, checksum } = encodeBatch(batch, place);
    this.chain = checksum;
    const written = {
      sequence,
      bytes: place.offset + bytes.length,
      lastIndex: maxIndex(before?.lastIndex ?? asIndex(0), content.entries),
    };
    this.current = written;
    this.disk.append(segmentName(sequence), [bytes], () => {
      this.batches++;
      this.bytesWritten += bytes.length;
      this.keep(written, content.reset !== null);
      done();
    });
  }

  /** The log now ends where the content ends. */
  private moveEnd({ reset, entries }: Content): void {
    if (reset !== null) this.end = reset;
    for (const entry of entries) {
      assert(entry.index <= this.end.index + 1, () => `a gap before entry ${entry.index}`);
      this.end = entry;
    }
  }

  /** What was written is durable: older segments may have become useless. */
  private keep(written: Segment, isReset: boolean): void {
    if (this.segments.at(-1)?.sequence === written.sequence) this.segments.pop();
    else if (isReset) for (const { sequence } of this.segments.splice(0)) this.remove(sequence);
    this.segments.push(written);
    this.removeReleased();
  }

  /** The newest one stays, whatever it holds: it carries the hard state and the log's place. */
  private removeReleased(): void {
    while (this.segments.length > 1) {
      const [oldest] = this.segments;
      if (oldest === undefined || oldest.lastIndex > this.released) return;
      this.segments.shift();
      this.remove(oldest.sequence);
    }
  }

  private remove(sequence: number): void {
    this.disk.remove(segmentName(sequence));
  }
}

function sizeOf(write: Write | null): number {
  if (write === null) return 0;
  let bytes = WRITE_OVERHEAD_BYTES;
  for (const entry of write.entries) bytes += entry.bytes.length;
  return bytes;
}

function maxIndex(index: Index, entries: readonly Entry[]): Index {
  let max = index;
  for (const entry of entries) if (entry.index > max) max = entry.index;
  return max;
}
