/** Snapshots in the data directory: their names, and reading them a slice at a time. */
import { MalformedError, NewerError } from "../lib/bytes.ts";
import { asIndex, asTerm, type Position, type SnapshotMeta } from "../raft/types.ts";
import type { Disk } from "./disk.ts";
import { type SnapshotEvents, SnapshotScanner } from "./snapshot-format.ts";
import { StorageError } from "./storage-error.ts";

/** A snapshot on disk that was found, or made, whole. */
export interface SnapshotFile {
  readonly name: string;
  readonly meta: SnapshotMeta;
  /** How long the file is. */
  readonly bytes: number;
}

/** A snapshot that cannot be used, and why. */
export interface DamagedSnapshot {
  readonly name: string;
  readonly what: string;
}

/** The snapshots found at start. */
export interface FoundSnapshots {
  /** The newest one that is whole. */
  readonly newest: SnapshotFile | null;
  /** Names of older ones, newest first. Nobody has looked into them. */
  readonly older: readonly string[];
  /** Newer ones that are not whole, newest first. */
  readonly damaged: readonly DamagedSnapshot[];
}

/** What is read at once: it bounds memory, and how long the event loop is held. */
export const SLICE_BYTES = 1024 * 1024;

/** The file name of the snapshot of a position. */
export function snapshotName({ index, term }: Position): string {
  return `snapshot-${String(index).padStart(16, "0")}-${term}.snap`;
}

/** The position in a snapshot's file name, or null where this is none. */
export function snapshotPosition(name: string): Position | null {
  const [, index, term] = /^snapshot-(\d{16})-(\d{1,15})\.snap$/.exec(name) ?? [];
  if (index === undefined || term === undefined) return null;
  return { index: asIndex(Number(index)), term: asTerm(Number(term)) };
}

/**
 * Finds the newest snapshot that verifies, by reading it through. At start only. Throws
 * StorageError where a newer version has written it.
 */
export function newestSnapshot(disk: Disk): FoundSnapshots {
  const names = disk.list().filter((name) => snapshotPosition(name) !== null);
  names.sort(byAge).reverse();
  const damaged: DamagedSnapshot[] = [];
  for (const [at, name] of names.entries()) {
    try {
      return { newest: verify(disk, name), older: names.slice(at + 1), damaged };
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      if (error instanceof NewerError) throw new StorageError(`${name}: ${error.message}`);
      damaged.push({ name, what: error.message });
    }
  }
  return { newest: null, older: [], damaged };
}

/**
 * Reads a snapshot file and tells what is in it, each part after its check. `onEnd` is called once,
 * with what is wrong with the file, or what `onChunk` threw as MalformedError, or null.
 */
export function readSnapshotChunks(
  disk: Disk,
  name: string,
  events: SnapshotEvents & { readonly onEnd: (problem: MalformedError | null) => void },
): void {
  const scanner = new SnapshotScanner(events);
  const readFrom = (offset: number): void => {
    disk.readAt(name, { offset, length: SLICE_BYTES }, (bytes) => {
      const isLast = bytes.length < SLICE_BYTES;
      const problem = malformation(() => {
        scanner.push(bytes);
        if (isLast) scanner.finish();
      });
      if (problem === null && !isLast) readFrom(offset + bytes.length);
      else events.onEnd(problem);
    });
  };
  readFrom(0);
}

/** Throws MalformedError unless the file is whole and says what its name says. */
function verify(disk: Disk, name: string): SnapshotFile {
  const scanner = new SnapshotScanner();
  let bytes = 0;
  for (;;) {
    const slice = disk.read(name, { offset: bytes, length: SLICE_BYTES });
    scanner.push(slice);
    bytes += slice.length;
    if (slice.length < SLICE_BYTES) break;
  }
  const meta = scanner.finish();
  if (snapshotName(meta) !== name) throw new MalformedError("this is another snapshot");
  return { name, meta, bytes };
}

function malformation(run: () => void): MalformedError | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof MalformedError) return error;
    throw error;
  }
}

/** Indexes have a fixed width in names, terms have not. */
function byAge(a: string, b: string): number {
  const [left, right] = [snapshotPosition(a), snapshotPosition(b)];
  if (left === null || right === null) return 0;
  return left.index - right.index || left.term - right.term;
}
