/** Every change of a store, as watches should tell it. */
import type { KvStore } from "../../src/kv/store.ts";
import { changeOf } from "../watch/change-of.ts";
import type { Change } from "../watch/validate.ts";

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
