/**
 * What the disks of stopped nodes say, read by the program's own recovery: whether all nodes have
 * the same state, and whether clients were told the truth about every write.
 */
import { unreachable } from "../../src/lib/assert.ts";
import { bytesOf } from "../../src/lib/bytes.ts";
import { keyOf } from "../../src/kv/key.ts";
import { KvStore } from "../../src/kv/store.ts";
import { isLive, type Stored } from "../../src/kv/version.ts";
import { openNodeDisk } from "../../src/storage/node-disk.ts";
import { openStorage } from "../../src/storage/open.ts";
import { readSnapshotChunks } from "../../src/storage/snapshot-files.ts";
import type { Operation } from "../checker/history.ts";

/** The state of one node as of an index of its log. */
export interface Recovered {
  readonly store: KvStore;
  /** What recovery found and put right. */
  readonly notes: readonly string[];
}

/** Applies the log of a data directory up to `index`, to its snapshot. Changes nothing on disk. */
export async function recover(dataDir: string, index: number): Promise<Recovered> {
  const disk = await openNodeDisk({
    path: dataDir,
    fail: (error) => {
      throw error;
    },
  });
  try {
    const { saved, snapshotName, notes } = openStorage(disk, { segmentBytesMax: 1024 * 1024 });
    const store = new KvStore();
    if (snapshotName !== null) {
      const restorer = store.restorer();
      await new Promise<void>((resolve, reject) => {
        readSnapshotChunks(disk, snapshotName, {
          onChunk: (chunk) => restorer.feed(chunk),
          onEnd: (problem) => (problem === null ? resolve() : reject(problem)),
        });
      });
      restorer.commit();
    }
    const begin = saved.snapshot?.index ?? 0;
    if (begin > index) throw new Error(`${dataDir} has a snapshot of ${begin}, after ${index}`);
    let last: number = begin;
    for (const entry of saved.entries) {
      if (entry.index <= begin || entry.index > index) continue;
      if (entry.kind === "command") store.apply(entry.data, entry.time);
      last = entry.index;
    }
    if (last !== index) throw new Error(`${dataDir} ends at ${last}, before ${index}`);
    return { store, notes };
  } finally {
    await disk.close();
  }
}

/** One change of a key. */
export interface Change {
  readonly revision: number;
  /** Null: it was deleted. */
  readonly value: string | null;
  /** 0: it was deleted. */
  readonly version: number;
}

/** What all keys were at every revision that is still known. */
export interface Truth {
  /** Below it, the past was compacted. */
  readonly since: number;
  /** By key, in the order of revisions. */
  readonly changes: ReadonlyMap<string, readonly Change[]>;
}

/** Reads the whole known past of the keys. */
export function truthOf(store: KvStore, keys: readonly string[]): Truth {
  const changes = new Map<string, readonly Change[]>();
  const keyspace = store["keyspace"];
  for (const key of keys) {
    const past: Change[] = [];
    let version = keyspace.newestOf(keyOf(new TextEncoder().encode(key)));
    for (; version !== null; version = version.prev) {
      const value = isLive(version) ? textOf(version.stored) : null;
      past.push({ revision: version.modRevision, value, version: version.version });
    }
    changes.set(key, past.reverse());
  }
  return { since: store.compactRevision, changes };
}

function textOf(stored: Stored): string {
  return new TextDecoder().decode(typeof stored === "string" ? bytesOf(stored) : stored);
}

/**
 * Every put whose answer was not the truth, in words: values are unique, so each must be in the
 * past of its key exactly where the answer said, or nowhere if the answer said so.
 */
export function lies(operations: readonly Operation[], truth: Truth): readonly string[] {
  const places = new Map<string, number[]>();
  for (const { value, revision } of [...truth.changes.values()].flat()) {
    if (value !== null) places.set(value, [...(places.get(value) ?? []), revision]);
  }
  return operations.flatMap((operation) => {
    if (operation.op !== "put" || operation.in.value === undefined) return [];
    const { outcome } = operation;
    const at = places.get(operation.in.value) ?? [];
    const what = `${operation.key} = ${operation.in.value} by client ${operation.client}`;
    if (at.length > 1) return [`${what} was applied ${at.length} times: at ${at.join(", ")}`];
    switch (outcome) {
      case "ok": {
        const revision = operation.out?.revision ?? 0;
        const isThere = at[0] === revision || revision < truth.since;
        return isThere ? [] : [`${what} was acknowledged at ${revision}, but is at ${at[0]}`];
      }
      case "refused":
      case "failed":
        return at.length === 0 ? [] : [`${what} was ${outcome}, but applied at ${at[0]}`];
      case "unknown":
        return [];
      default:
        return unreachable(outcome);
    }
  });
}

/**
 * The history without the writes of unknown outcome that the log knows nothing of: they were never
 * done, and each would double the work of a search. What may have been compacted stays.
 */
export function settled(operations: readonly Operation[], truth: Truth): readonly Operation[] {
  const known = new Set([...truth.changes.values()].flat().map(({ value }) => value));
  const isKnown = ({ out }: Operation) => (out?.storeRevision ?? 0) >= truth.since;
  const ends = operations.filter(isKnown).map((operation) => operation.return ?? Infinity);
  const knownFrom = ends.reduce((first, end) => Math.min(first, end), Infinity);
  return operations.filter(({ outcome, op, in: { value }, call }) => {
    const isOpen = outcome === "unknown" && op === "put" && value !== undefined;
    return !isOpen || known.has(value) || call < knownFrom;
  });
}
