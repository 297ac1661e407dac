/** One watcher: how far it was told, the way to it, and those that are told the same. */
import type { Key } from "../kv/key.ts";
import type { KeyValue } from "../kv/version.ts";
import type { Batch, Part } from "./batch.ts";
import type { Selection, WatchEvent } from "./selection.ts";

/**
 * Why a watch ended. LAGGED: what comes next for it is compacted. NO_LEADER: this node may have
 * been cut off, and would tell nothing for as long as it is. In any case the watch can be resumed
 * elsewhere or later from the last event that was told.
 */
export interface WatchFailure {
  readonly code: "LAGGED" | "NO_LEADER" | "SHUTTING_DOWN";
  /** The oldest revision that can be read here, and the newest. */
  readonly oldest: number;
  readonly current: number;
}

/**
 * The way to whoever watches. All but the last two say whether it takes more: after a false nothing
 * comes until the watch is told `drained`. `fail` and `abort` are the last call.
 */
export interface Sink {
  /**
   * Whether it takes keys and changes now, asked before each of them. After a false, the watch is
   * told `drained`, as after any other.
   */
  hasRoom(): boolean;
  /** Keys as they are when the watch begins. */
  keys(found: readonly KeyValue[]): boolean;
  /** Those were all: they are the state at `revision`. */
  synced(revision: number): boolean;
  /** What comes next after a part that is not whole is the rest of its revision, or a failure. */
  changes(part: Part): boolean;
  /** Everything up to `revision` was told. */
  progress(revision: number): boolean;
  /** Nothing, so that the connection is seen to be in use. */
  keepAlive(): boolean;
  fail(failure: WatchFailure): void;
  /** It has not taken anything for too long. */
  abort(): void;
}

/**
 * Where a watcher is. `listing`: being told the state it begins with. `behind`: told from the
 * history. `inStep`: told of changes as they are applied.
 */
export type WatcherState = "listing" | "behind" | "inStep" | "closed";

/** What of a batch was not told yet: the events from this one on. */
export interface Rest {
  readonly batch: Batch;
  readonly from: number;
}

export class Watcher {
  readonly group: Group;
  readonly sink: Sink;
  state: WatcherState = "behind";
  /** Everything up to here was told, but for the rest, and maybe more while it is in step. */
  cursor: number;
  /** What must be told before anything else; null: nothing. */
  rest: Rest | null = null;
  /** The next key to list. */
  listed: Key;
  /** Since when the sink takes no more; null: it does. */
  fullSince: number | null = null;
  /** Others have not taken so much that there is no room for it. */
  isHeldBack = false;
  /** It was told that it is connected. */
  isGreeted = false;
  /** When it was last told of something. */
  toldAt: number;
  /** When it was last shown to be in use. */
  keptAliveAt: number;

  constructor(
    about: { readonly group: Group; readonly sink: Sink; readonly cursor: number },
    now: number,
  ) {
    this.group = about.group;
    this.sink = about.sink;
    this.cursor = about.cursor;
    this.listed = about.group.selection.key;
    this.toldAt = now;
    this.keptAliveAt = now;
  }

  /** It is not told of anything before the sink takes more. */
  get isFull(): boolean {
    return this.fullSince !== null || this.isHeldBack;
  }

  /** Whether it can be told of something now. */
  takesMore(): boolean {
    if (!this.isFull) this.isHeldBack = !this.sink.hasRoom();
    return !this.isFull;
  }

  /** The sink takes more again. */
  drained(): void {
    this.fullSince = null;
    this.isHeldBack = false;
  }

  /** Tells of changes: the first part of them, and the others are its rest. As `tellPart`. */
  tell(batch: Batch, now: number): number {
    this.cursor = batch.last;
    return this.tellPart({ batch, from: 0 }, now);
  }

  /**
   * Tells the first part of what is left, and the others are its rest. Returns how many bytes were
   * encoded for that, which is what takes time: 0 where somebody else had the same before.
   */
  tellPart({ batch, from }: Rest, now: number): number {
    const part = batch.partFrom(from);
    const before = part.encodedBytes;
    const to = from + part.events.length;
    // The sink may close the watch.
    this.rest = to < batch.events.length ? { batch, from: to } : null;
    this.note(this.sink.changes(part), now);
    return part.encodedBytes - before;
  }

  /** Tells that everything up to `revision` was told. */
  progress(revision: number, now: number): void {
    this.isGreeted = true;
    this.note(this.sink.progress(revision), now);
  }

  /** What the sink has answered. */
  note(takesMore: boolean, now: number): void {
    this.toldAt = now;
    if (!takesMore) this.fullSince ??= now;
  }
}

/** All watchers with the same selection: they share the bytes of their events. */
export class Group {
  readonly selection: Selection;
  readonly inStep = new Set<Watcher>();
  /** What those in step have not been told yet. */
  pending: WatchEvent[] = [];
  /** How many watchers there are, in step or not. */
  size = 0;

  constructor(selection: Selection) {
    this.selection = selection;
  }
}
