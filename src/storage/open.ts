/**
 * Opening the data directory: the newest snapshot and the log together, or one clear line that says
 * why this node must not start.
 *
 * Nothing is changed before all is found well. What is then to be put right (the remains of an
 * unfinished append, leftovers) is done before the first write to the log, so whatever waits for a
 * write or a barrier waits for that too.
 */
import { type HardState, NOWHERE, type Position } from "../raft/types.ts";
import type { Saved } from "../raft/saved.ts";
import type { Disk, Done } from "./disk.ts";
import { type RecoveredLog, recoverLog, type Tear } from "./recovery.ts";
import { segmentName, segmentSequence } from "./segment.ts";
import { type FoundSnapshots, newestSnapshot } from "./snapshot-files.ts";
import { SnapshotStore } from "./snapshots.ts";
import { DamageError, StorageError } from "./storage-error.ts";
import { Wal } from "./wal.ts";

/** What a node starts with. */
export interface OpenStorage {
  readonly saved: Saved;
  /** The file whose state is to be restored: see readSnapshotChunks. Null: begin empty. */
  readonly snapshotName: string | null;
  readonly wal: Wal;
  readonly snapshots: SnapshotStore;
  /** What was found and put right, each in one line for the operator. */
  readonly notes: readonly string[];
}

/** Names of files that only an unfinished piece of work leaves behind. */
const TEMPORARY = /\.tmp$|^incoming-/;

export interface OpenStorageOptions {
  /** A log file that has grown beyond this is followed by a new one. */
  readonly segmentBytesMax: number;
  /**
   * The incarnation of a node in doubt: it has promised nothing since it is, so whatever can be
   * read is as good as nothing. Null: it is not.
   */
  readonly doubt?: string | null;
}

/**
 * Opens the data directory. Throws DamageError where something is missing or damaged that may have
 * been acknowledged, and StorageError where a newer version has written what is there. Opening
 * again what a crash has interrupted comes to the same result.
 */
export function openStorage(disk: Disk, options: OpenStorageOptions): OpenStorage {
  const { segmentBytesMax, doubt = null } = options;
  const names = disk.list();
  const log = readLog(disk, names);
  const found = newestSnapshot(disk);
  const { newest } = found;
  checkReach(log, found, doubt !== null);

  const snapshot = newest?.meta ?? null;
  const isReplaced = snapshot !== null && !holds(log, snapshot);
  const base = isReplaced ? { index: snapshot.index, term: snapshot.term } : log.base;
  const entries = isReplaced ? [] : log.entries;
  const hardState = atLeast(log.hardState, snapshot);
  const snapshots = new SnapshotStore(disk, newest, found.older);
  const wal = new Wal(disk, segmentBytesMax, {
    hardState,
    end: log.entries.at(-1) ?? log.base,
    reset: isReplaced ? base : null,
    segments: log.segments,
    next: log.next,
    prepare: (done) => {
      for (const name of names) if (TEMPORARY.test(name)) disk.remove(name);
      for (const sequence of log.leftovers) disk.remove(segmentName(sequence));
      snapshots.prune();
      inTurn(repairs(disk, log, found), done);
    },
  });
  return {
    saved: { hardState, snapshot, base, entries, doubt },
    snapshotName: newest?.name ?? null,
    wal,
    snapshots,
    notes: notesOn(log, found, isReplaced),
  };
}

function readLog(disk: Disk, names: readonly string[]): RecoveredLog {
  const files = names.flatMap((name) => {
    const sequence = segmentSequence(name);
    return sequence === null ? [] : [{ sequence, read: () => disk.read(name) }];
  });
  const log = recoverLog(files);
  if (log.kind === "log") return log;
  if (log.isNewer) throw new StorageError(log.line);
  throw new DamageError(`the log is damaged: ${log.line}`);
}

/** There must be a log, and it must go on where the snapshot ends, or earlier. */
function checkReach(
  { base, segments }: RecoveredLog,
  { newest, damaged }: FoundSnapshots,
  inDoubt: boolean,
): void {
  const [first] = damaged;
  const name = newest?.name ?? first?.name;
  if (name !== undefined && segments.length === 0 && !inDoubt) {
    throw new DamageError(
      `${name} is there, but the log is missing, and with it the term and the vote`,
    );
  }
  const reached = newest?.meta.index ?? NOWHERE.index;
  if (base.index <= reached) return;
  const cause =
    first === undefined ? "a snapshot is missing" : `${first.name} is damaged: ${first.what}`;
  throw new DamageError(
    `the log begins after entry ${base.index}, but the snapshots reach only to entry ${reached}: ` +
      cause,
  );
}

/** Whether the log contains the entry that the snapshot ends with: if not, it is older. */
function holds({ base, entries }: RecoveredLog, { index, term }: Position): boolean {
  if (index === base.index) return term === base.term;
  return entries[index - base.index - 1]?.term === term;
}

/**
 * A snapshot may be ahead of the log, and then of the log's term too. This node has promised
 * nothing in the snapshot's term, or the promise would be in the log.
 */
function atLeast(hardState: HardState, snapshot: Position | null): HardState {
  if (snapshot === null || snapshot.term <= hardState.term) return hardState;
  return { term: snapshot.term, vote: null };
}

type Step = (done: Done) => void;

/** What must be durable before anything is built on it, in order. */
function repairs(disk: Disk, log: RecoveredLog, { damaged }: FoundSnapshots): readonly Step[] {
  const steps: Step[] = [];
  for (const { name } of damaged) {
    steps.push((done) => disk.rename(name, `${name}.damaged`, done));
  }
  if (log.tear !== null) steps.push(keepTorn(disk, log.tear));
  const last = log.tear ?? log.segments.at(-1);
  if (last !== undefined) {
    const bytes = "offset" in last ? last.offset : last.bytes;
    steps.push(...rewrite(disk, segmentName(last.sequence), bytes));
  }
  return steps;
}

/** Saves the remains of the unfinished append before they are cut off. */
function keepTorn(disk: Disk, { sequence, offset, bytes }: Tear): Step {
  const copy = tornName(sequence, offset);
  return (done) => {
    disk.remove(copy);
    disk.append(copy, [bytes], done);
  };
}

/**
 * Puts what was read of the file into its place once more, as far as it counts. That it can be read
 * does not make it durable: a process that was killed had not synced it, and one whose fsync failed
 * has left pages that are in memory only and pass for written, so that no fsync ever writes them
 * (W3). Only bytes written anew are sure to get to the disk.
 */
function rewrite(disk: Disk, name: string, length: number): readonly Step[] {
  const bytes = disk.read(name, { offset: 0, length });
  const copy = `${name}.tmp`;
  return [
    (done) => {
      disk.remove(copy);
      disk.append(copy, [bytes], done);
    },
    (done) => disk.rename(copy, name, done),
  ];
}

function tornName(sequence: number, offset: number): string {
  return `${segmentName(sequence)}.torn-${offset}`;
}

/** Runs each step when the one before is done. */
function inTurn(steps: readonly Step[], done: Done): void {
  const [first, ...rest] = steps;
  if (first === undefined) done();
  else first(() => inTurn(rest, done));
}

function notesOn(log: RecoveredLog, found: FoundSnapshots, isReplaced: boolean): string[] {
  const notes: string[] = [];
  if (log.tear !== null) {
    const { sequence, offset, bytes } = log.tear;
    notes.push(
      `${segmentName(sequence)} ended in an append that never finished, so never acknowledged: ` +
        `${bytes.length} bytes moved to ${tornName(sequence, offset)}`,
    );
  }
  for (const { name, what } of found.damaged) {
    notes.push(`${name} is damaged (${what}) and set aside; an older one and the log replace it`);
  }
  if (isReplaced) notes.push(`the log is older than ${found.newest?.name}, which replaces it`);
  return notes;
}
