/** Watchers that are behind are told from the store's history, a slice at a time. */
import type { KvStore } from "../kv/store.ts";
import { Batch, bytesOfEvent } from "./batch.ts";
import type { Groups } from "./groups.ts";
import type { WatchLimits } from "./limits.ts";
import type { Live } from "./live.ts";
import { eventOf, type WatchEvent } from "./selection.ts";
import type { Group, Watcher } from "./watcher.ts";

export interface CatchUpDeps {
  readonly store: KvStore;
  readonly groups: Groups;
  readonly live: Live;
  readonly limits: WatchLimits;
  now(): number;
  /** It was given more than is told at once. */
  onRest(watcher: Watcher): void;
  /** What comes next for it is compacted. */
  onLost(watcher: Watcher): void;
}

/** Part of the history, sorted by whom it concerns. */
interface Slice {
  /** The changes after `from`, up to and including `to`. */
  readonly from: number;
  readonly to: number;
  readonly events: ReadonlyMap<Group, readonly WatchEvent[]>;
}

/** What was done in a turn. */
interface Turn {
  /** What the groups were told of the slice. */
  readonly shared: Map<Group, Batch>;
  /** How many watchers were told something. */
  count: number;
  /** How many bytes were encoded. */
  encoded: number;
}

/**
 * All watchers that are behind share one walk through the history: each is taken along from where
 * it is. The walk goes up to the newest change before it begins again at the oldest that somebody
 * needs, so that nobody waits for more than one such way.
 */
export class CatchUp {
  readonly #deps: CatchUpDeps;
  /** Those that take more. */
  readonly #ready = new Set<Watcher>();
  /** Where the walk is. */
  #at = 0;

  constructor(deps: CatchUpDeps) {
    this.#deps = deps;
  }

  get hasWork(): boolean {
    return this.#ready.size > 0;
  }

  /** Takes a watcher along; one that takes no more must be added again when it does. */
  add(watcher: Watcher): void {
    if (!watcher.isFull) this.#ready.add(watcher);
  }

  leave(watcher: Watcher): void {
    this.#ready.delete(watcher);
  }

  /** Goes on by one slice. */
  step(): void {
    const from = this.#next();
    if (from === null) return;
    const { writesPerTurn, sliceBytes } = this.#deps.limits;
    const slice = this.#read(from);
    const turn: Turn = { shared: new Map(), count: 0, encoded: 0 };
    let areAllTold = true;
    for (const watcher of this.#ready) {
      // A comment can fill it up, too.
      if (watcher.isFull) this.#ready.delete(watcher);
      if (watcher.isFull || watcher.cursor < slice.from || watcher.cursor > slice.to) continue;
      // Who gets what is encoded already has it now; the others, the same slice in the next turn.
      const isCheap = turn.encoded < sliceBytes || isShared(watcher, turn);
      if (turn.count < writesPerTurn && isCheap) this.#tell(watcher, slice, turn);
      else areAllTold = false;
    }
    if (areAllTold) this.#at = slice.to;
  }

  /** Whether anything that the watcher was not told yet is compacted. */
  isLost({ cursor }: Watcher): boolean {
    return cursor + 1 < this.#deps.store.compactRevision;
  }

  /** Where to go on, or null if nobody needs anything. */
  #next(): number | null {
    let oldest: number | null = null;
    let next: number | null = null;
    for (const watcher of this.#ready) {
      if (this.isLost(watcher)) {
        this.#ready.delete(watcher);
        this.#deps.onLost(watcher);
        continue;
      }
      const { cursor } = watcher;
      if (oldest === null || cursor < oldest) oldest = cursor;
      if (cursor >= this.#at && (next === null || cursor < next)) next = cursor;
    }
    return next ?? oldest;
  }

  #read(from: number): Slice {
    const { store, groups, limits } = this.#deps;
    const events = new Map<Group, WatchEvent[]>();
    let count = 0;
    let bytes = 0;
    let to = from;
    for (const version of store.changesFrom(from + 1)) {
      const isFullSlice = count >= limits.sliceChanges || bytes >= limits.sliceBytes;
      if (isFullSlice && version.modRevision > to) return { from, to, events };
      to = version.modRevision;
      count += 1;
      groups.visit(version.key, (group) => {
        if (group.inStep.size === group.size) return;
        const event = eventOf(group.selection, version, store.compactRevision);
        if (event === null) return;
        bytes += bytesOfEvent(event);
        const sorted = events.get(group);
        if (sorted === undefined) events.set(group, [event]);
        else sorted.push(event);
      });
    }
    return { from, to: Math.max(from, store.revision), events };
  }

  /** Tells a watcher its share of the slice. */
  #tell(watcher: Watcher, slice: Slice, turn: Turn): void {
    const { live, limits } = this.#deps;
    const { shared } = turn;
    const { group } = watcher;
    const events = slice.events.get(group);
    let batch = shared.get(group) ?? null;
    if (batch === null && events !== undefined) {
      batch = new Batch(events, limits.sliceBytes);
      shared.set(group, batch);
    }
    const wanted = batch?.after(watcher.cursor) ?? null;
    if (wanted !== null) {
      if (!watcher.takesMore()) {
        this.#ready.delete(watcher);
        return;
      }
      turn.encoded += watcher.tell(wanted, this.#deps.now());
      turn.count += 1;
    }
    if (watcher.state === "closed") return;
    watcher.cursor = Math.max(watcher.cursor, slice.to);
    const isInStep = watcher.cursor >= live.noted && !watcher.isFull && watcher.rest === null;
    if (isInStep || watcher.isFull || watcher.rest !== null) this.#ready.delete(watcher);
    if (watcher.rest !== null) this.#deps.onRest(watcher);
    if (!isInStep) return;
    live.join(watcher);
    if (wanted === null) turn.count += 1;
  }
}

/** Whether what the watcher is told next was made for another one in this turn. */
function isShared({ group, cursor }: Watcher, { shared }: Turn): boolean {
  const batch = shared.get(group);
  return batch !== undefined && cursor < batch.first;
}
