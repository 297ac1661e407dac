/** One state of one key, and what callers see of it. */
import { byteString, bytesOf } from "../lib/bytes.ts";
import { type Key, keyOf } from "./key.ts";

/** What is known of a key besides its value. */
export interface Metadata {
  /** Counts the puts since the key was created: 1, 2, 3…, and 1 again after a delete. */
  readonly version: number;
  /** Revision of the put that created the key. */
  readonly createRevision: number;
  /** Revision of the last put. */
  readonly modRevision: number;
  /** The lease that it lives as long as; left out: none. */
  readonly lease?: number | undefined;
}

/** A key as it is read. The value must not be changed: it may be the stored one. */
export interface KeyValue extends Metadata {
  readonly key: Key;
  readonly value: Uint8Array;
}

/** A value in memory: short ones as byte strings. */
export type Stored = string | Uint8Array;

/**
 * What a key became at `modRevision`. Nothing but `prev` ever changes, and that only from the
 * older version to null, by a purge. Whether `prev` still reaches below the compaction revision
 * is chance: never look there.
 */
export interface Version extends Metadata {
  readonly key: Key;
  /** Null: deleted (a tombstone, whose version and createRevision are 0). */
  readonly stored: Stored | null;
  /** Of a tombstone: the key's lease has expired. Left out: it was deleted. */
  readonly expired?: true;
  /** The version before this one. */
  prev: Version | null;
}

/** A version that holds a value. */
export type LiveVersion = Version & { readonly stored: Stored };

/**
 * Values up to this size become byte strings. A Uint8Array costs about 250 bytes beside its
 * content, a string 16; and with a million of them the collector holds the event loop for 80 ms
 * while a snapshot is written, against 30 ms with strings.
 */
const STRING_BYTES_MAX = 4096;

/**
 * What a version costs beside key and value, roughly: objects, tree and history. Measured with a
 * million keys of 23 bytes and values of 32, which account for 183 bytes each: 207 to 215 bytes of
 * heap while in the history, 186 to 194 when that was purged.
 */
export const VERSION_BYTES = 128;

/**
 * The string to keep for a new key: another one than `key`. Strings that were put into a Set or a
 * Map, as transactions do with their keys, are in a table of V8 for as long as they live, and its
 * collector walks over all of that while everything waits: 45 ms with a million keys.
 */
export function storedKey(key: Key): Key {
  return keyOf(bytesOf(key));
}

/**
 * The form to keep `value` in. It shares the memory of `value` only where that is the greater part
 * of its buffer, so that no stored value pins much more memory than its own.
 */
export function toStored(value: Uint8Array): Stored {
  if (value.length <= STRING_BYTES_MAX) return byteString(value);
  // Not `slice`, which some kinds of byte array answer with shared memory.
  return value.length * 2 > value.buffer.byteLength ? value : new Uint8Array(value);
}

export function isLive(version: Version): version is LiveVersion {
  return version.stored !== null;
}

/** The memory that a version accounts for: the same number on every node. */
export function sizeOf(version: Version): number {
  return VERSION_BYTES + version.key.length + (version.stored?.length ?? 0);
}

/** What the key was at `revision`, looking back from its newest version; null if it was not. */
export function versionAt(newest: Version, revision: number): LiveVersion | null {
  let version: Version | null = newest;
  while (version !== null && version.modRevision > revision) version = version.prev;
  return version !== null && isLive(version) ? version : null;
}

export function metadataOf(version: Version): Metadata {
  const { createRevision, modRevision, lease } = version;
  const known = { version: version.version, createRevision, modRevision };
  return lease === undefined ? known : { ...known, lease };
}

export function keyValueOf(version: LiveVersion): KeyValue {
  const { key, stored } = version;
  const value = typeof stored === "string" ? bytesOf(stored) : stored;
  return { key, value, ...metadataOf(version) };
}
