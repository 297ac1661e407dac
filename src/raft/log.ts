/** The log since about the last snapshot, in memory. */
import { assert, must } from "../lib/assert.ts";
import type { Entry } from "./entry.ts";
import type { Saved } from "./saved.ts";
import {
  asIndex,
  type ClusterTime,
  type Index,
  type Position,
  type SnapshotMeta,
  type Term,
} from "./types.ts";

/** Bounds of one message: the first that is reached ends it, but it always holds one entry. */
export interface BatchLimits {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Entries after `base`, how far they are committed, applied, and on this node's disk.
 *
 * Invariants: indexes are contiguous from `base.index + 1`; terms and times never decrease;
 * `base.index <= applied <= committed <= lastIndex`; `durable <= lastIndex`; `committed` never
 * decreases, and no entry at or below it ever changes; nothing is applied that is not durable here.
 */
export class RaftLog {
  /** The log begins after this. */
  base: Position;
  committed: Index;
  /** The last entry that was handed out to be applied. */
  applied: Index;
  /** The last entry that is on this node's disk and still in the log. */
  durable: Index;
  /** The first entry that was not yet handed out to be written. */
  unwritten: Index;
  /** The encoded size of all entries. */
  bytes: number;
  /** The encoded size of those that were not handed out to be applied. */
  unappliedBytes: number;
  private entries: Entry[];
  /** Cluster time of the newest snapshot: what counts where there are no entries. */
  private snapshotTime: ClusterTime;

  constructor(saved: Saved) {
    this.base = saved.base;
    this.entries = [...saved.entries];
    this.bytes = sizeOf(saved.entries);
    this.committed = saved.snapshot?.index ?? asIndex(0);
    this.applied = this.committed;
    this.unappliedBytes = sizeOf(saved.entries.filter((entry) => entry.index > this.applied));
    this.durable = this.lastIndex;
    this.unwritten = asIndex(this.lastIndex + 1);
    this.snapshotTime = saved.snapshot?.time ?? (0 as ClusterTime);
    assert(this.committed <= this.lastIndex, "the log ends before the snapshot");
    assert(this.base.index <= this.committed, "the log begins after the snapshot");
  }

  get lastIndex(): Index {
    return (this.base.index + this.entries.length) as Index;
  }

  get lastTerm(): Term {
    return this.entries.at(-1)?.term ?? this.base.term;
  }

  get lastTime(): ClusterTime {
    return this.entries.at(-1)?.time ?? this.snapshotTime;
  }

  /** The term of the entry at `index`; null where the log does not reach. */
  termAt(index: number): Term | null {
    if (index === this.base.index) return this.base.term;
    return this.entries[index - this.base.index - 1]?.term ?? null;
  }

  /** Log Matching (§5.3): if this holds, both logs are equal up to `index`. */
  has(index: Index, term: Term): boolean {
    return this.termAt(index) === term;
  }

  entryAt(index: Index): Entry {
    return must(this.entries[index - this.base.index - 1], `no entry ${index}`);
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, () => `entry ${entry.index} leaves a gap`);
    assert(entry.term >= this.lastTerm, () => `the term goes back at ${entry.index}`);
    this.entries.push(entry);
    this.bytes += entry.bytes.length;
    this.unappliedBytes += entry.bytes.length;
  }

  /** Drops every entry from `index` on: a newer leader has replaced them. */
  truncateFrom(index: Index): void {
    assert(index > this.committed, () => `truncating committed entry ${index}`);
    const dropped = this.entries.splice(index - this.base.index - 1);
    this.bytes -= sizeOf(dropped);
    this.unappliedBytes -= sizeOf(dropped);
    this.durable = Math.min(this.durable, index - 1) as Index;
    this.unwritten = Math.min(this.unwritten, index) as Index;
  }

  commitTo(index: Index): void {
    if (index <= this.committed) return;
    assert(index <= this.lastIndex, () => `committing ${index}, past the end ${this.lastIndex}`);
    this.committed = index;
  }

  /** Entries that were never handed out to be written. Each is returned once. */
  takeUnwritten(): readonly Entry[] {
    const taken = this.entries.slice(this.unwritten - this.base.index - 1);
    this.unwritten = asIndex(this.lastIndex + 1);
    return taken;
  }

  /** Whether entries are committed and on disk that were never handed out to be applied. */
  get hasCommitted(): boolean {
    return Math.min(this.committed, this.durable) > this.applied;
  }

  /** The next such entries, at most `max`. */
  takeCommitted(max: number): readonly Entry[] {
    if (!this.hasCommitted) return [];
    const to = asIndex(Math.min(this.committed, this.durable, this.applied + max));
    const from = this.applied - this.base.index;
    this.applied = to;
    const taken = this.entries.slice(from, to - this.base.index);
    this.unappliedBytes -= sizeOf(taken);
    return taken;
  }

  /** Entries from `from` on, as many as the limits allow, at least one where there is one. */
  batchFrom(from: Index, limits: BatchLimits): readonly Entry[] {
    const first = from - this.base.index - 1;
    let bytes = 0;
    let end = first;
    while (end < this.entries.length) {
      bytes += must(this.entries[end], "inside the log").bytes.length;
      const full = bytes > limits.bytes || end - first >= limits.entries;
      if (full && end > first) break;
      end += 1;
    }
    return this.entries.slice(first, end);
  }

  /**
   * The last index at or below `index` whose term is at most `term`: where two logs that disagree
   * at `index` can agree at best, so that whole terms are skipped at once (§5.3, last paragraphs).
   */
  lastWithTermAtMost(index: Index, term: Term): Position {
    let at = Math.min(index, this.lastIndex);
    while (at > this.base.index && must(this.termAt(at), "inside the log") > term) at -= 1;
    // Below the base nothing is known but that it is committed, so all logs agree there.
    return at <= this.base.index
      ? this.base
      : { index: asIndex(at), term: this.termAt(at) as Term };
  }

  /** Forgets entries up to `index`, which a snapshot covers. */
  compactTo(index: Index, snapshot: SnapshotMeta): void {
    this.snapshotTime = snapshot.time;
    if (index <= this.base.index) return;
    assert(index <= this.applied, () => `compacting ${index}, which is not applied`);
    const term = must(this.termAt(index), `no entry ${index}`);
    const dropped = this.entries.splice(0, index - this.base.index);
    this.bytes -= sizeOf(dropped);
    this.base = { index, term };
  }

  /** Replaces everything by a snapshot of another node's state. */
  resetTo(meta: SnapshotMeta): void {
    assert(meta.index > this.committed, () => `snapshot ${meta.index} is older than the log`);
    this.base = { index: meta.index, term: meta.term };
    this.entries = [];
    this.bytes = 0;
    this.unappliedBytes = 0;
    this.committed = meta.index;
    this.applied = meta.index;
    this.durable = asIndex(0);
    this.unwritten = asIndex(meta.index + 1);
    this.snapshotTime = meta.time;
  }
}

function sizeOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.bytes.length;
  return bytes;
}
