/** The multi-version map: what every key is and was, under etcd's revision rules. */
import { assert } from "../lib/assert.ts";
import { History } from "./history.ts";
import type { Key } from "./key.ts";
import { emptyTree, type Tree } from "./tree.ts";
import {
  isLive,
  type LiveVersion,
  sizeOf,
  type Stored,
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

/**
 * Keys and their history from `compactRevision` on.
 *
 * The revision is 1 while nothing was ever written, and goes up by one with every transaction that
 * changes something; all changes of one transaction share a revision. What was before
 * `compactRevision` (0: never compacted) cannot be read. It is freed bit by bit by `purge`, and
 * nothing that callers see depends on how far that came.
 */
export class Keyspace {
  revision: number;
  compactRevision = 0;
  /** How many keys exist now. */
  liveKeys = 0;
  /** What they account for. */
  liveBytes = 0;

  private readonly tree: Tree = emptyTree();
  private readonly history = new History();
  /** What of the history's bytes is compacted. */
  private compactedBytes = 0;
  private readonly views: View[] = [];

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
    const newest = this.tree.get(key);
    return newest !== undefined && isLive(newest) ? newest : null;
  }

  /** What `key` was at `revision`. */
  getAt(key: Key, revision: number): LiveVersion | null {
    const newest = this.tree.get(key);
    return newest === undefined ? null : versionAt(newest, revision);
  }

  /** The keys of `span` in order, and whether there are more than its limit. */
  range({ start, end, revision, limit }: Span): { versions: LiveVersion[]; more: boolean } {
    const versions: LiveVersion[] = [];
    for (const newest of this.tree.values(start)) {
      if (end !== null && newest.key >= end) break;
      const version = versionAt(newest, revision);
      if (version === null) continue; // Deleted, or not yet created.
      if (versions.length === limit) return { versions, more: true };
      versions.push(version);
    }
    return { versions, more: false };
  }

  /** Writes at `revision`: the present one, to add to its transaction, or the next. */
  put(key: Key, stored: Stored, revision: number): Version {
    const newest = this.tree.get(key) ?? null;
    const live = newest !== null && isLive(newest) ? newest : null;
    if (live === null) this.liveKeys++;
    else this.liveBytes -= sizeOf(live);
    const version: Version = {
      key: newest?.key ?? key, // All versions share one string.
      stored,
      version: (live?.version ?? 0) + 1,
      createRevision: live?.createRevision ?? revision,
      modRevision: revision,
      prev: newest,
    };
    this.liveBytes += sizeOf(version);
    this.change(version);
    return version;
  }

  /** Deletes a key that exists, at `revision`: the present one or the next. */
  delete(live: LiveVersion, revision: number): void {
    this.liveKeys--;
    this.liveBytes -= sizeOf(live);
    const { key } = live;
    this.change({
      key,
      stored: null,
      version: 0,
      createRevision: 0,
      modRevision: revision,
      prev: live,
    });
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
   * open view needs stays too.
   */
  purge(count: number): number {
    let before = this.compactRevision;
    for (const view of this.views) before = Math.min(before, view.compactRevision);
    let purged = 0;
    while (purged < count && this.history.length > 0) {
      const change = this.history.first();
      if (change.modRevision >= before) break;
      change.prev = null;
      if (!isLive(change) && this.tree.get(change.key) === change) this.tree.delete(change.key);
      this.history.dropFirst();
      purged++;
    }
    return purged;
  }

  /** The keyspace as it is now, for as long as the view is not released. */
  freeze(): View {
    const { revision, compactRevision } = this;
    const history = this.history.from(compactRevision);
    const view = new View({ tree: this.tree.clone(), history, revision, compactRevision });
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
    this.tree.set(version.key, version);
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
    this.tree.set(version.key, version);
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
  private readonly tree: Tree;
  private readonly history: Iterable<Version>;

  constructor(
    parts: Pick<View, "revision" | "compactRevision"> & { tree: Tree; history: Iterable<Version> },
  ) {
    this.revision = parts.revision;
    this.compactRevision = parts.compactRevision;
    this.tree = parts.tree;
    this.history = parts.history;
  }

  /** The keys that existed just before the compaction revision, in order, as they were then. */
  *bases(): Generator<Step<LiveVersion>> {
    let gone = 0;
    for (const newest of this.tree.values()) {
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
