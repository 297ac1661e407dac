/** Every change of a store, as watches should tell it. */
import { byteString } from "../../src/lib/bytes.ts";
import type { KvStore } from "../../src/kv/store.ts";
import { keyValueOf, isLive, type Version } from "../../src/kv/version.ts";
import type { Change, Told } from "../watch/validate.ts";

/** What the disk of a node says that happened. */
export interface OnDisk {
  /** Up to here the past may be compacted. */
  readonly since: number;
  readonly changes: readonly Change[];
}

/** Reads all that the store still knows of its past. Keys and values must be ASCII. */
export function changesOf(store: KvStore): OnDisk {
  const since = store.compactRevision;
  const changes = [...store.changesFrom(since)].map(changeOf);
  return { since, changes: changes.filter(({ revision }) => revision > since) };
}

function changeOf(version: Version): Change {
  const { key, modRevision: revision, prev } = version;
  const now = toldOf(version);
  const kind = now !== null ? "put" : version.expired === true ? "expire" : "delete";
  return { kind, revision, key, now, before: prev === null ? null : toldOf(prev) };
}

function toldOf(version: Version): Told | null {
  if (!isLive(version)) return null;
  const { key, value, version: number, modRevision, createRevision } = keyValueOf(version);
  const revisions = { mod_revision: modRevision, create_revision: createRevision };
  return { key, value: byteString(value), version: number, ...revisions };
}
