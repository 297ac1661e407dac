/** From every key to its newest version: live keys in one tree, and deleted ones in another. */
import type { Key } from "./key.ts";
import type { NewestVersions } from "./range.ts";
import { emptyTree, type Tree } from "./tree.ts";
import { isLive, type LiveVersion, type Version } from "./version.ts";

/**
 * Whoever wants keys as they are now walks over live ones only: what that costs does not depend on
 * how many were deleted, nor on how many of those a node has forgotten. Only reads of the past and
 * snapshots walk over both.
 */
export class Newest implements NewestVersions {
  private readonly live: Tree<LiveVersion>;
  private readonly deleted: Tree<Version>;

  constructor(live = emptyTree<LiveVersion>(), deleted = emptyTree<Version>()) {
    this.live = live;
    this.deleted = deleted;
  }

  /** The key as it is now; null: it is not there. */
  liveOf(key: Key): LiveVersion | null {
    return this.live.get(key) ?? null;
  }

  /** The live keys from `start` on, in order; valid until the next change. */
  liveFrom(start: Key): IterableIterator<LiveVersion> {
    return this.live.values(start);
  }

  newestOf(key: Key): Version | null {
    return this.live.get(key) ?? this.deleted.get(key) ?? null;
  }

  newestFrom(start: Key): IterableIterator<Version> {
    if (this.deleted.isEmpty) return this.live.values(start);
    return merged(this.live.values(start), this.deleted.values(start), (a, b) => a < b);
  }

  newestBefore(end: Key | null): IterableIterator<Version> {
    const live = reversed(this.live, end);
    if (this.deleted.isEmpty) return live;
    return merged(live, reversed(this.deleted, end), (a, b) => a > b);
  }

  /** The version is the newest of its key now. */
  set(version: Version): void {
    const { key } = version;
    if (isLive(version)) {
      const isNew = this.live.set(key, version);
      if (isNew) this.deleted.delete(key);
    } else {
      this.live.delete(key);
      this.deleted.set(key, version);
    }
  }

  /** Nobody needs to know any more that the key was deleted by this, unless it is there again. */
  forget(deletion: Version): void {
    if (this.deleted.get(deletion.key) === deletion) this.deleted.delete(deletion.key);
  }

  /** As it is now. Takes no time. */
  clone(): Newest {
    return new Newest(this.live.clone(), this.deleted.clone());
  }
}

function* reversed<Found>(tree: Tree<Found>, end: Key | null): Generator<Found> {
  for (const [, found] of tree.entriesReversed(end ?? undefined, undefined, true)) yield found;
}

/** Both in one order. No key is in both. */
function* merged(
  some: Iterator<Version>,
  others: Iterator<Version>,
  isBefore: (a: Key, b: Key) => boolean,
): Generator<Version> {
  let one = some.next();
  let other = others.next();
  while (one.done !== true && other.done !== true) {
    if (isBefore(one.value.key, other.value.key)) {
      yield one.value;
      one = some.next();
    } else {
      yield other.value;
      other = others.next();
    }
  }
  for (; one.done !== true; one = some.next()) yield one.value;
  for (; other.done !== true; other = others.next()) yield other.value;
}
