/** Reading many keys as they were at one revision, a slice of the work at a time. */
import { type Key, keyAfter, prefixEnd } from "./key.ts";
import {
  keyValueOf,
  isLive,
  type KeyValue,
  type LiveVersion,
  type Metadata,
  metadataOf,
  type Version,
} from "./version.ts";

/**
 * Work of which each `next()` does a slice of about a millisecond, and the last one returns the
 * result. The map may change between two slices, as long as it keeps what the revision needs.
 */
export type Slices<Result> = Generator<undefined, Result, undefined>;

/** The newest version of every key, deleted ones among them; valid until the next change. */
export interface NewestVersions {
  newestOf(key: Key): Version | null;
  /** From `start` on, in order. */
  newestFrom(start: Key): Iterator<Version>;
  /** Before `end`, null: all, in reverse order. */
  newestBefore(end: Key | null): Iterator<Version>;
}

/** Keys with the delimiter after so many bytes are told as one common prefix, it included. */
export interface Grouping {
  readonly prefixBytes: number;
  /** At least one byte. */
  readonly delimiter: Key;
}

/** Which keys, in which order. */
export interface ListRange {
  /** The first key. */
  readonly start: Key;
  /** The key before which to stop; null: none. */
  readonly end: Key | null;
  readonly isReverse: boolean;
  /** Only keys that were changed after this revision; 0: all. */
  readonly since: number;
  /** Null: every key is told. */
  readonly grouping: Grouping | null;
}

/** How much to read at once. */
export interface PageLimits {
  /** Of keys and common prefixes together, at least 1. */
  readonly entries: number;
  /** Of keys and values; one entry is read whatever its size. */
  readonly bytes: number;
  readonly isKeysOnly: boolean;
}

/** A key as it is listed. */
export interface Item extends Metadata {
  readonly key: Key;
  /** Null: only keys were asked for. */
  readonly value: Uint8Array | null;
}

/** A part of a range, in its order. */
export interface Page {
  readonly items: readonly Item[];
  readonly prefixes: readonly Key[];
  /** Where the rest begins or, in reverse, before which key it ends; null: this was the end. */
  readonly next: Key | null;
}

/** Keys and versions looked at in a slice, which takes about a millisecond. */
const SLICE_STEPS = 4_096;
/** Bytes that are copied in the time of a step. */
const BYTES_PER_STEP = 256;

/** Counts the steps of a reader, which must yield whenever a slice is done. */
class Pace {
  /** How many slices are done: what iterates over the map must begin anew after each. */
  slices = 0;
  private steps = 0;

  isDone(steps: number): boolean {
    this.steps += steps;
    if (this.steps < SLICE_STEPS) return false;
    this.steps = 0;
    this.slices++;
    return true;
  }
}

/** Reads as much of a range as the limits allow. */
export function* readPage(
  versions: NewestVersions,
  { range, revision, limits }: { range: ListRange; revision: number; limits: PageLimits },
): Slices<Page> {
  const items: Item[] = [];
  const prefixes: Key[] = [];
  let bytes = 0;
  const next = yield* scan(versions, { ...range, revision }, (version, prefix) => {
    const size = prefix?.length ?? sizeIn(version, limits);
    const count = items.length + prefixes.length;
    if (count === limits.entries || (count > 0 && bytes + size > limits.bytes)) return null;
    bytes += size;
    if (prefix !== null) prefixes.push(prefix);
    else items.push(limits.isKeysOnly ? keyOnly(version) : keyValueOf(version));
    return Math.ceil(size / BYTES_PER_STEP);
  });
  return { items, prefixes, next };
}

/** Counts the keys and common prefixes of a range. Looks at each key: a million take a second. */
export function* countRange(
  versions: NewestVersions,
  { range, revision }: { range: ListRange; revision: number },
): Slices<number> {
  let count = 0;
  yield* scan(versions, { ...range, revision }, () => {
    count++;
    return 0;
  });
  return count;
}

/**
 * What each of the keys was at a revision; null: it was not there. Returns null where keys and
 * values have more than `bytesMax` together.
 */
export function* readKeys(
  versions: NewestVersions,
  { keys, revision, bytesMax }: { keys: readonly Key[]; revision: number; bytesMax: number },
): Slices<readonly (KeyValue | null)[] | null> {
  const pace = new Pace();
  const found: (KeyValue | null)[] = [];
  let bytes = 0;
  for (const key of keys) {
    const newest = versions.newestOf(key);
    const version = newest === null ? null : yield* lookBack(newest, revision, pace);
    const size = version === null ? 0 : version.key.length + version.stored.length;
    bytes += size;
    if (bytes > bytesMax) return null;
    found.push(version === null ? null : keyValueOf(version));
    if (pace.isDone(1 + Math.ceil(size / BYTES_PER_STEP))) yield;
  }
  return found;
}

/** Reads the first `limit` keys from `start` on and before `end`, all in one go. */
export function readAtOnce(
  versions: NewestVersions,
  span: Pick<ListRange, "start" | "end"> & { readonly revision: number; readonly limit: number },
): { versions: LiveVersion[]; more: boolean } {
  const found: LiveVersion[] = [];
  const range = { ...span, isReverse: false, since: 0, grouping: null };
  const slices = scan(versions, range, (version) => {
    if (found.length === span.limit) return null;
    found.push(version);
    return 0;
  });
  let step = slices.next();
  while (step.done !== true) step = slices.next();
  return { versions: found, more: step.value !== null };
}

/**
 * Told of each entry: a key or, with a prefix, all keys under it, by the first that was found.
 * Returns how many steps that took; null: the entry is not wanted, nor is any after it.
 */
type Visit = (version: LiveVersion, prefix: Key | null) => number | null;

/** Visits the entries of a range. Returns where those begin that were not wanted; null: nowhere. */
function* scan(
  versions: NewestVersions,
  range: ListRange & { readonly revision: number },
  visit: Visit,
): Slices<Key | null> {
  const { revision, since, grouping } = range;
  const pace = new Pace();
  const ahead = new Ahead(versions, range);
  for (;;) {
    const newest = ahead.next();
    if (newest === null) return null;
    const { slices } = pace;
    const version = yield* lookBack(newest, revision, pace);
    let prefix: Key | null = null;
    let steps = 1;
    if (version !== null && version.modRevision > since) {
      prefix = grouping === null ? null : commonPrefix(version.key, grouping);
      const taken = visit(version, prefix);
      if (taken === null) return ahead.bound;
      steps += taken;
    }
    if (prefix === null) ahead.pass(newest.key);
    else ahead.passGroup(prefix);
    if (pace.isDone(steps)) yield;
    if (pace.slices !== slices) ahead.beginAnew();
  }
}

/** What is still ahead on the way through a range. */
class Ahead {
  private readonly versions: NewestVersions;
  private readonly isReverse: boolean;
  private start: Key;
  private end: Key | null;
  /** Going forward, the key up to which all is behind; null: the start has not moved since. */
  private passed: Key | null = null;
  private iterator: Iterator<Version> | null = null;
  private isOver = false;

  constructor(versions: NewestVersions, { start, end, isReverse }: ListRange) {
    this.versions = versions;
    this.start = start;
    this.end = end;
    this.isReverse = isReverse;
  }

  next(): Version | null {
    if (this.isOver) return null;
    this.iterator ??= this.seek();
    const next = this.iterator.next();
    if (next.done === true) return null;
    const { key } = next.value;
    const isInside = this.isReverse ? key >= this.start : this.end === null || key < this.end;
    return isInside ? next.value : null;
  }

  /** Where the rest begins or, in reverse, before which key it ends. */
  get bound(): Key | null {
    if (this.isReverse) return this.end;
    return this.passed === null ? this.start : keyAfter(this.passed);
  }

  pass(key: Key): void {
    if (this.isReverse) this.end = key;
    else this.passed = key;
  }

  passGroup(prefix: Key): void {
    this.beginAnew();
    if (this.isReverse) {
      this.end = prefix;
      return;
    }
    const start = prefixEnd(prefix);
    if (start === null) this.isOver = true;
    else this.start = start;
    this.passed = null;
  }

  /** The map may have changed. */
  beginAnew(): void {
    this.iterator = null;
  }

  private seek(): Iterator<Version> {
    if (this.isReverse) return this.versions.newestBefore(this.end);
    return this.versions.newestFrom(this.bound ?? this.start);
  }
}

/** What the key was at `revision`, looking back from its newest version; null if it was not. */
function* lookBack(newest: Version, revision: number, pace: Pace): Slices<LiveVersion | null> {
  let version: Version | null = newest;
  while (version !== null && version.modRevision > revision) {
    version = version.prev;
    if (pace.isDone(1)) yield;
  }
  return version !== null && isLive(version) ? version : null;
}

/** The key up to and including the first delimiter behind the prefix; null: there is none. */
function commonPrefix(key: Key, { prefixBytes, delimiter }: Grouping): Key | null {
  const at = key.indexOf(delimiter, prefixBytes);
  return at === -1 ? null : (key.slice(0, at + delimiter.length) as Key);
}

function sizeIn({ key, stored }: LiveVersion, { isKeysOnly }: PageLimits): number {
  return key.length + (isKeysOnly ? 0 : stored.length);
}

function keyOnly(version: LiveVersion): Item {
  return { key: version.key, value: null, ...metadataOf(version) };
}
