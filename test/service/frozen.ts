/** Backups as the tests look at them: what is in them, and what is frozen for them. */
import { MalformedError } from "../../src/lib/bytes.ts";
import { KvStore } from "../../src/kv/store.ts";
import type { SnapshotMeta } from "../../src/raft/types.ts";
import type { Backup } from "../../src/service/backups.ts";
import { SnapshotScanner } from "../../src/storage/snapshot-format.ts";
import { drain } from "../kv/fixtures.ts";

/** How many views of a store are frozen now, and were at most. */
export interface Views {
  open: number;
  most: number;
}

/** Counts from now on. */
export function watchViews(store: KvStore): Views {
  const views = { open: 0, most: 0 };
  const freeze = store.freeze.bind(store);
  store.freeze = () => {
    const view = freeze();
    views.open += 1;
    views.most = Math.max(views.most, views.open);
    const release = () => {
      views.open -= 1;
      view.release();
    };
    return { chunks: () => view.chunks(), release };
  };
  return views;
}

/** All the bytes of a backup. */
export function bytesOfBackup(backup: Backup): Uint8Array {
  return Buffer.concat(drain(backup.pieces()));
}

/** What is in a backup. Throws MalformedError where it is not whole. */
export function contentOf(bytes: Uint8Array): { meta: SnapshotMeta; store: KvStore } {
  const store = new KvStore();
  const restorer = store.restorer();
  const scanner = new SnapshotScanner({ onChunk: (chunk) => restorer.feed(chunk) });
  scanner.push(bytes);
  const meta = scanner.finish();
  restorer.commit();
  return { meta, store };
}

/** Whether these bytes are a whole backup. */
export function isWhole(bytes: Uint8Array): boolean {
  try {
    contentOf(bytes);
    return true;
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}
