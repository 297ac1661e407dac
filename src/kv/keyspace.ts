/** The multi-version map: what every key is and was, under etcd's revision rules. */
import { assert } from "../lib/assert.ts";
import { History } from "./history.ts";
import { FIRST_KEY, type Key } from "./key.ts";
import { Newest } from "./newest.ts";
import { type NewestVersions, readAtOnce, type Slices } from "./range.ts";
import {
  isLive,
  type LiveVersion,
  sizeOf,
  type Stored,
  storedKey,
  type Version,
  versionAt,
} from "./version.ts";

/** Which keys, at which revision, and how many of them at most. */
export interface Span {
  /** The first key. */
  readonly start: Key;
  /** The key before which to stop, or null for no end. */
  readonly end: Key | null;
  readonly revision: number;
  readonly limit: number;
}

export interface PutOptions {
  readonly revision: number;
  /** Undefined: none. */
  readonly lease: number | undefined;
}

export interface DeleteOptions {
  readonly revision: number;
  /** Its lease is over. */
  readonly expired: boolean;
}

/**
 * Keys and their history from `compactRevision` on.
 *
 * The revision is 1 while nothing was ever written, and goes up by one with every transaction that
 * changes something; all changes of one transaction share a revision. What was before
 * `compactRevision` (0: never compacted) cannot be read. It is freed bit by bit by `purge`, and
 * nothing that callers see depends on how far that came.
 */
export class Keyspace implements NewestVersions {
  revision: number;
  compactRevision = 0;
  /** How many keys exist now. */
  liveKeys = 0;
  /** What they account for. */
  liveBytes = 0;

  private readonly newest = new Newest();
  private readonly history = new History();
  /** What of the history's bytes is compacted. */
  private compactedBytes = 0;
  private readonly views: View[] = [];
  private readonly holds = new Set<{ readonly revision: number }>();

  constructor(revision = 1) {
    this.revision = revision;
  }

  /** What only reads of the past still need. */
  get historyBytes(): number {
    return this.history.bytesTotal - this.compactedBytes;
  }

  /** How many changes are in memory, compacted ones included that are not yet purged. */
  get historyLength(): number {
    return this.history.length;
  }

  get(key: Key): LiveVersion | null {
    return this.newest.liveOf(key);
  }

  /** What `key` was at `revision`. */
  getAt(key: Key, revision: number): LiveVersion | null {
    const newest = this.newest.newestOf(key);
    return newest === null ? null : versionAt(newest, revision);
  }

  /** The keys of `span` in order, and whether there are more than its limit. */
  range(span: Span): { versions: LiveVersion[]; more: boolean } {
    return readAtOnce(this, span);
  }

  newestOf(key: Key): Version | null {
    return this.newest.newestOf(key);
  }

  newestFrom(start: Key): Iterator<Version> {
    return this.newest.newestFrom(start);
  }

  newestBefore(end: Key | null): Iterator<Version> {
    return this.newest.newestBefore(end);
  }

  /** The keys from `start` on as they are now, in order; valid until the next change. */
  liveFrom(start: Key): Iterable<LiveVersion> {
    return this.newest.liveFrom(start);
  }

  /**
   * Does the work of `slices` with all kept that reading at `revision` needs, from the first slice
   * to the last or until the work is given up by `return` or `throw`.
   */
  *keeping<Result>(revision: number, slices: Slices<Result>): Slices<Result> {
    assert(revision >= this.compactRevision, "this revision is forgotten");
    const hold = { revision };
    this.holds.add(hold);
    try {
      return yield* slices;
    } finally {
      this.holds.delete(hold);
    }
  }

  /** The keys from `start` on and before `end`, as they are now. */
  liveBetween(start: Key, end: Key | null): LiveVersion[] {
    const found: LiveVersion[] = [];
    for (const live of this.newest.liveFrom(start)) {
      if (end !== null && live.key >= end) break;
      found.push(live);
    }
    return found;
  }

  /** Writes at `revision`: the present one, to add to its transaction, or the next. */
  put(key: Key, stored: Stored, { revision, lease }: PutOptions): Version {
    const newest = this.newest.newestOf(key);
    const live = newest !== null && isLive(newest) ? newest : null;
    if (live === null) this.liveKeys++;
    else this.liveBytes -= sizeOf(live);
    const plain: Version = {
      key: newest?.key ?? storedKey(key), // All versions share one string.
      stored,
      version: (live?.version ?? 0) + 1,
      createRevision: live?.createRevision ?? revision,
      modRevision: revision,
      prev: newest,
    };
    // A field that most versions do without costs each of them memory, even where it is empty.
    const version: Version = lease === undefined ? plain : { ...plain, lease };
    this.liveBytes += sizeOf(version);
    this.change(version);
    return version;
  }

  /** Deletes a key that exists, at `revision`: the present one or the next. */
  delete(live: LiveVersion, { revision, expired }: DeleteOptions): void {
    this.liveKeys--;
    this.liveBytes -= sizeOf(live);
    const { key } = live;
    this.change({
      key,
      stored: null,
      version: 0,
      createRevision: 0,
      modRevision: revision,
      ...(expired && { expired: true as const }),
      prev: live,
    });
  }

  /** The changes from `revision` on, in order. */
  changesFrom(revision: number): Iterable<Version> {
    return this.history.from(revision);
  }

  /** Forgets what was before `revision`: at once as far as anyone can see. */
  compact(revision: number): void {
    assert(revision > this.compactRevision && revision <= this.revision, "cannot compact here");
    this.compactRevision = revision;
    this.compactedBytes = this.history.bytesThrough(revision);
  }

  /** The oldest revision to compact at so that at most `bytesMax` bytes of history remain. */
  revisionLeaving(bytesMax: number): number | null {
    return this.history.revisionLeaving(bytesMax);
  }

  /**
   * Frees up to `count` compacted changes, and returns how many it did. The changes at the
   * compaction revision itself stay until the next one, for those who watch from there. What an
   * open view needs stays too, and so does what is being read.
   */
  purge(count: number): number {
    let before = this.compactRevision;
    for (const view of this.views) before = Math.min(before, view.compactRevision);
    for (const { revision } of this.holds) before = Math.min(before, revision);
    let purged = 0;
    while (purged < count && this.history.length > 0) {
      const change = this.history.first();
      if (change.modRevision >= before) break;
      change.prev = null;
      if (!isLive(change)) this.newest.forget(change);
      this.history.dropFirst();
      purged++;
    }
    return purged;
  }

  /** The keyspace as it is now, for as long as the view is not released. */
  freeze(): View {
    const { revision, compactRevision } = this;
    const history = this.history.from(compactRevision);
    const view = new View({ newest: this.newest.clone(), history, revision, compactRevision });
    this.views.push(view);
    return view;
  }

  release(view: View): void {
    const at = this.views.indexOf(view);
    assert(at >= 0, "the view is not open");
    this.views.splice(at, 1);
    view.open = false;
  }

  /** Adds a key that was written before the history begins. Keys must come in order. */
  load(version: LiveVersion): void {
    assert(this.history.length === 0, "loading comes before all changes");
    this.newest.set(version);
    this.liveKeys++;
    this.liveBytes += sizeOf(version);
  }

  private change(version: Version): void {
    const { modRevision } = version;
    assert(
      modRevision === this.revision + 1 || modRevision === this.revision,
      () => `a change at ${modRevision} after ${this.revision}`,
    );
    this.revision = modRevision;
    this.newest.set(version);
    this.history.append(version);
  }
}

/**
 * One step on the way through a view, so that the reader can bound its work: a version; `passed`, a
 * change passed over, of which there are equally many on every node; or `pause`, some more work
 * done, of which there is the more the less a node has purged.
 */
export type Step<Found extends Version> = Found | "passed" | "pause";

/** Deleted and compacted keys, not yet purged, that are passed over at once. */
const PAUSE_KEYS = 4096;

/** A frozen keyspace: what it was before its compaction revision, and every change since. */
export class View {
  readonly revision: number;
  readonly compactRevision: number;
  open = true;
  private readonly newest: Newest;
  private readonly history: Iterable<Version>;

  constructor(
    parts: Pick<View, "revision" | "compactRevision"> & {
      newest: Newest;
      history: Iterable<Version>;
    },
  ) {
    this.revision = parts.revision;
    this.compactRevision = parts.compactRevision;
    this.newest = parts.newest;
    this.history = parts.history;
  }

  /** The keys that existed just before the compaction revision, in order, as they were then. */
  *bases(): Generator<Step<LiveVersion>> {
    let gone = 0;
    for (const newest of this.newest.newestFrom(FIRST_KEY)) {
      let version: Version | null = newest;
      while (version !== null && version.modRevision >= this.compactRevision) {
        assert(this.open, "the view was released");
        yield "passed";
        version = version.prev;
      }
      assert(this.open, "the view was released");
      if (version !== null && isLive(version)) yield version;
      else if (version !== null && ++gone % PAUSE_KEYS === 0) yield "pause";
    }
  }

  /** The changes from the compaction revision on, in order. */
  *changes(): Generator<Version> {
    for (const change of this.history) {
      assert(this.open, "the view was released");
      yield change;
    }
  }
}
