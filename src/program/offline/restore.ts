/** A new cluster out of a backup: the data directory of one member, made while nobody runs. */
import type { Config } from "../../config.ts";
import { writeIdentity } from "../../node/identity.ts";
import { openStorage } from "../../storage/open.ts";
import type { Disk } from "../../storage/disk.ts";
import { StorageError } from "../../storage/storage-error.ts";
import { readBackup } from "./backup-file.ts";
import { founder } from "../members/first-start.ts";
import { SEGMENT_BYTES_MAX } from "../limits.ts";
import { durable, withDisk } from "./offline-disk.ts";

/** What a restored member begins with. */
export interface Restored {
  readonly cluster: string;
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  /** The last entry of the log that it begins behind. */
  readonly index: number;
}

/**
 * Makes the data directory of the member `name`. Its first snapshot is the state of the backup, at
 * the same place of the log: so members that were restored from one file begin alike, and the log
 * of a node that began with nothing is never taken for a part of theirs. Cluster time goes on from
 * the backup's, so leases have as much left as they had then.
 *
 * The identity comes last: a directory that was not finished belongs to nobody, and no node starts
 * with it. Throws StartError where the backup is not whole, StorageError where the directory cannot
 * be used.
 */
export async function restore(
  file: string,
  config: Pick<Config, "name" | "dataDir" | "peerUrl" | "initialCluster">,
): Promise<Restored> {
  const { meta: backedUp, store } = readBackup(file);
  const { name, peerUrl, initialCluster } = config;
  const founders = initialCluster ?? new Map([[name, peerUrl]]);
  // What the old cluster's nodes say must not be heard, though they have these very addresses.
  const beginning = `${backedUp.index} ${store.revision} ${store.digest}`;
  // It has a log, so it need not ask the others whether it may begin with one.
  const identity = { ...founder(name, founders, beginning), joined: true };
  const meta = { ...backedUp, configuration: identity.bootstrap };
  await withDisk(config.dataDir, async (disk) => {
    checkIsEmpty(disk, config.dataDir);
    const storage = openStorage(disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
    const frozen = store.freeze();
    await durable((done) => {
      storage.snapshots.save({ meta, chunks: frozen.chunks() }, () => done());
    });
    frozen.release();
    const hardState = { term: meta.term, vote: null };
    await durable((done) => {
      storage.wal.write({ number: 0, hardState, reset: meta, entries: [] }, done);
    });
    await durable((done) => writeIdentity(disk, identity, done));
  });
  const { revision, compactRevision, liveKeys: keys } = store;
  return { cluster: identity.cluster, revision, compactRevision, keys, index: meta.index };
}

function checkIsEmpty(disk: Disk, dataDir: string): void {
  const [first] = disk.list();
  if (first === undefined) return;
  throw new StorageError(
    `${dataDir} is not empty (it holds ${first}): choose a new --data-dir, or move that away`,
  );
}
