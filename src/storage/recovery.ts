/**
 * What the log says, read from its bytes. A pure function: nothing is changed on disk.
 *
 * Every batch is checked: its checksums, its place, the chain to the batch before, and that its
 * entries go on where the log ended. Only at the end of the last segment may something be missing,
 * and only what an append that never finished can explain. All else is a problem: it may have been
 * acknowledged, so the node must not start without it (docs/WAL.md says why and how).
 */
import { must } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { Entry } from "../raft/entry.ts";
import { asIndex, type HardState, type Index, NOWHERE, type Position } from "../raft/types.ts";
import { type Batch, readBatch } from "./batch.ts";
import { SECTOR_BYTES } from "./sector.ts";
import { type Segment, segmentName } from "./segment.ts";

/** A segment on disk, read when its turn comes: together they may be larger than memory. */
export interface SegmentFile {
  readonly sequence: number;
  read(): Uint8Array;
}

/** The log as it is on disk. */
export interface RecoveredLog {
  readonly kind: "log";
  readonly hardState: HardState;
  /** The log begins after this. */
  readonly base: Position;
  /** Contiguous, from `base.index + 1`. */
  readonly entries: readonly Entry[];
  /** The segments that hold it, oldest first. */
  readonly segments: readonly Segment[];
  /** The segment to be written next, and the checksum of the last batch before it. */
  readonly next: { readonly sequence: number; readonly chain: number };
  /** What an unfinished append left at the end of the last segment. */
  readonly tear: Tear | null;
  /** Segments whose removal a crash has undone. They say nothing any more. */
  readonly leftovers: readonly number[];
}

/** The remains of an append that never finished: all of `bytes`, from `offset` of the file on. */
export interface Tear {
  readonly sequence: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Why the log cannot be used, in one line. */
export interface LogProblem {
  readonly kind: "problem";
  readonly line: string;
  /** Nothing is damaged, but a newer version has written it (U4). */
  readonly isNewer: boolean;
}

/** Reads the log from its segments, in the order of their sequence numbers. */
export function recoverLog(files: readonly SegmentFile[]): RecoveredLog | LogProblem {
  const kept = newestRun(files);
  const log = recoverFrom(kept, files);
  if (log.kind === "log") return log;
  // A reset has replaced all before it: those files should be gone, but a crash can undo that.
  const first = kept.findLastIndex(beginsWithReset);
  return first > 0 ? recoverFrom(kept.slice(first), files) : log;
}

function recoverFrom(
  kept: readonly SegmentFile[],
  files: readonly SegmentFile[],
): RecoveredLog | LogProblem {
  const replay = new Replay();
  const walk = new Walk(kept[0]?.sequence ?? 1);
  for (const file of kept) {
    const isLast = file === kept.at(-1);
    const problem = walk.segment({ sequence: file.sequence, bytes: file.read(), isLast }, replay);
    if (problem !== null) return problem;
  }
  return {
    kind: "log",
    hardState: replay.hardState,
    base: replay.base ?? NOWHERE,
    entries: replay.entries,
    segments: walk.segments,
    next: walk.next,
    tear: walk.tear,
    leftovers: files.filter((file) => !kept.includes(file)).map(({ sequence }) => sequence),
  };
}

function beginsWithReset(file: SegmentFile): boolean {
  const bytes = file.read();
  if (bytes.length === 0 || bytes.length % SECTOR_BYTES !== 0) return false;
  const first = readBatch(bytes, { segment: file.sequence, offset: 0, chain: null });
  return first.kind === "whole" && first.batch.reset !== null;
}

/**
 * The newest segments that follow each other without a gap. What is before a gap was removed once:
 * removals are not synced, so a crash may undo some of them. Should the gap have another cause, the
 * log begins too late for the snapshot, and that is found.
 */
function newestRun(files: readonly SegmentFile[]): readonly SegmentFile[] {
  let first = files.length - 1;
  while (first > 0 && files[first - 1]?.sequence === (files[first]?.sequence ?? 0) - 1) first--;
  return files.slice(Math.max(first, 0));
}

interface SegmentBytes {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** Goes through the batches of one segment after another. */
class Walk {
  readonly segments: Segment[] = [];
  tear: Tear | null = null;
  /** Of the last batch. Null: what was before the first segment kept is not known. */
  private chain: number | null;
  private sequence: number;

  constructor(first: number) {
    this.sequence = first;
    this.chain = first === 1 ? 0 : null;
  }

  get next(): { sequence: number; chain: number } {
    return { sequence: this.sequence, chain: must(this.chain, "no batch was read") };
  }

  /** Returns what is wrong with it, or null. */
  segment(file: SegmentBytes, replay: Replay): LogProblem | null {
    const { sequence, bytes, isLast } = file;
    const problem = (offset: number, what: string, isNewer = false): LogProblem => {
      return {
        kind: "problem",
        line: `${segmentName(sequence)}, byte ${offset}: ${what}`,
        isNewer,
      };
    };
    const uneven = bytes.length % SECTOR_BYTES;
    if (uneven !== 0)
      return problem(bytes.length - uneven, "the last sector of the file is cut off");
    const mayBeEmpty = isLast && this.chain !== null;
    if (bytes.length === 0 && !mayBeEmpty) return problem(0, "the file is empty");

    let offset = 0;
    let lastIndex = asIndex(0);
    while (offset < bytes.length) {
      const read = readBatch(bytes, { segment: sequence, offset, chain: this.chain });
      if (read.kind === "damaged") return problem(read.offset, read.what);
      if (read.kind === "newer") return problem(read.offset, read.what, true);
      if (read.kind === "torn") {
        if (!isLast) return problem(offset, "a part of the batch is missing, yet more follows");
        this.tear = { sequence, offset, bytes: bytes.slice(offset) };
        break;
      }
      const refusal = replay.take(read.batch, offset === 0);
      if (refusal !== null) return problem(offset, refusal);
      for (const entry of read.batch.entries) lastIndex = maxIndex(lastIndex, entry.index);
      this.chain = read.checksum;
      offset = read.end;
    }
    // A segment whose very first append did not finish is begun again under the same number.
    if (offset === 0) return null;
    this.segments.push({ sequence, bytes: offset, lastIndex });
    this.sequence = sequence + 1;
    return null;
  }
}

/** The log as the batches so far have made it. */
class Replay {
  hardState: HardState = { term: NOWHERE.term, vote: null };
  base: Position | null = null;
  entries: Entry[] = [];
  /** Whether a snapshot put the base where it is: then nothing can replace what is before it. */
  private baseIsFinal = false;

  /** Returns what is wrong with the batch, or null. */
  take(batch: Batch, isFirstOfSegment: boolean): string | null {
    try {
      this.takeHardState(batch, isFirstOfSegment);
      this.takePosition(batch, isFirstOfSegment);
      if (batch.reset !== null) {
        this.base = batch.reset;
        this.baseIsFinal = true;
        this.entries = [];
      }
      for (const entry of batch.entries) this.takeEntry(entry);
      return null;
    } catch (error) {
      if (error instanceof MalformedError) return error.message;
      throw error;
    }
  }

  private takeHardState({ hardState }: Batch, isFirstOfSegment: boolean): void {
    if (hardState === null) {
      if (isFirstOfSegment)
        throw new MalformedError("the segment does not begin with a hard state");
      return;
    }
    const { term, vote } = this.hardState;
    if (hardState.term < term) throw new MalformedError("the term goes back");
    if (hardState.term === term && vote !== null && hardState.vote !== vote) {
      throw new MalformedError("a second vote in one term");
    }
    this.hardState = hardState;
  }

  private takePosition({ position }: Batch, isFirstOfSegment: boolean): void {
    if ((position !== null) !== isFirstOfSegment) {
      throw new MalformedError("a segment must begin with its position, and nothing else may");
    }
    if (position === null) return;
    if (this.base === null) {
      this.base = position;
      return;
    }
    const end = this.end(this.base);
    if (position.index !== end.index || position.term !== end.term) {
      throw new MalformedError(`the segment goes on from ${show(position)}, not from ${show(end)}`);
    }
  }

  private takeEntry(entry: Entry): void {
    const base = must(this.base, "the first batch of a segment has a position");
    const end = this.end(base);
    if (entry.index > end.index + 1) {
      throw new MalformedError(`${show(entry)} does not follow ${show(end)}`);
    }
    if (entry.index <= base.index) {
      // The segment began after entries which were then replaced; those before it are gone since
      // they are in a snapshot, and so is this one.
      if (this.baseIsFinal) throw new MalformedError(`${show(entry)} is in a snapshot already`);
      this.base = { index: entry.index, term: entry.term };
      this.entries = [];
      return;
    }
    this.entries.length = entry.index - base.index - 1;
    const before = this.end(base);
    if (entry.term < before.term) {
      throw new MalformedError(`${show(entry)} has an older term than ${show(before)}`);
    }
    this.entries.push(entry);
  }

  private end(base: Position): Position {
    return this.entries.at(-1) ?? base;
  }
}

function maxIndex(a: Index, b: Index): Index {
  return a > b ? a : b;
}

function show({ index, term }: Position): string {
  return `entry ${index} of term ${term}`;
}
