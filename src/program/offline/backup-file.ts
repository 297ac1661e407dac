/** Files that `quorate backup` has written. */
import { closeSync, openSync } from "node:fs";
import { KvStore } from "../../kv/store.ts";
import { MalformedError } from "../../lib/bytes.ts";
import type { SnapshotMeta } from "../../raft/types.ts";
import { readRangeNow, reason } from "../../storage/node-files.ts";
import { SLICE_BYTES } from "../../storage/snapshot-files.ts";
import { SnapshotScanner } from "../../storage/snapshot-format.ts";
import { StartError } from "../lifetime.ts";

/** What a backup holds. */
export interface BackupContent {
  /** What it stood for in the cluster that it is of. */
  readonly meta: SnapshotMeta;
  readonly store: KvStore;
}

/**
 * Reads it to its end, checksums and content, into memory. Throws StartError where it cannot be
 * read, or is not whole.
 */
export function readBackup(path: string): BackupContent {
  const file = inWords(path, () => openSync(path, "r"));
  const read = (offset: number) => {
    return inWords(path, () => readRangeNow(file, { offset, length: SLICE_BYTES }));
  };
  try {
    return readContent(read);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new StartError(
      `${path} is damaged, or no whole backup (${error.message}): nothing was made; ` +
        "take another backup",
      { cause: error },
    );
  } finally {
    closeSync(file);
  }
}

/** Whatever the system says against it, such as that it is a directory. */
function inWords<T>(path: string, access: () => T): T {
  try {
    return access();
  } catch (cause) {
    throw new StartError(`cannot read ${path}: ${reason(cause)}`, { cause });
  }
}

/** `read` gives the next slice, and a shorter one at the end. */
function readContent(read: (offset: number) => Uint8Array): BackupContent {
  const store = new KvStore();
  const restorer = store.restorer();
  const scanner = new SnapshotScanner({ onChunk: (chunk) => restorer.feed(chunk) });
  for (let offset = 0; ; ) {
    const bytes = read(offset);
    scanner.push(bytes);
    offset += bytes.length;
    if (bytes.length < SLICE_BYTES) break;
  }
  const meta = scanner.finish();
  restorer.commit();
  return { meta, store };
}
