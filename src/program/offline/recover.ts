/** A cluster of one out of what a survivor has, where a majority is lost for ever. */
import { existsSync } from "node:fs";
import type { Config } from "../../config.ts";
import { type NodeIdentity, PEERS_FILE, readIdentity, writeIdentity } from "../../node/identity.ts";
import { type Entry, makeEntry } from "../../raft/entry.ts";
import { configurationOf, encodeConfiguration, memberOf } from "../../raft/membership.ts";
import type { Saved } from "../../raft/saved.ts";
import { asIndex, asTerm, type ClusterTime, type Index } from "../../raft/types.ts";
import type { Disk } from "../../storage/disk.ts";
import { openStorage } from "../../storage/open.ts";
import { segmentSequence } from "../../storage/segment.ts";
import { StorageError } from "../../storage/storage-error.ts";
import { newClusterId } from "../members/first-start.ts";
import { newIncarnation } from "../members/incarnation.ts";
import { SEGMENT_BYTES_MAX } from "../limits.ts";
import { durable, withDisk } from "./offline-disk.ts";
import { QUARANTINE_FILE } from "../quarantine.ts";

/** What the survivor had. */
export interface Recovered {
  readonly cluster: string;
  /** The last entry that it had, and that is kept. */
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** It may have lost something itself. */
  readonly wasInDoubt: boolean;
}

/**
 * Makes the data directory one of a new cluster, in which this node alone decides. All of its log
 * is kept, and counts from now on, whether or not it was ever acknowledged. The other members are
 * never heard again: the cluster is another, and so is the incarnation.
 *
 * The identity comes first. Interrupted behind it, the node belongs to no cluster that anybody else
 * is in, and this can be done again. Throws StorageError where the directory is in use, is another
 * node's, or is damaged.
 */
export async function recover({
  name,
  dataDir,
}: Pick<Config, "name" | "dataDir">): Promise<Recovered> {
  if (!existsSync(dataDir)) throw new StorageError(`there is no ${dataDir}: ${NAME_A_SURVIVOR}`);
  return withDisk(dataDir, async (disk) => {
    const survivor = survivorIn(disk, { name, dataDir });
    const wasInDoubt = survivor.since === null;
    const doubt = wasInDoubt ? survivor.incarnation : null;
    const { saved, wal } = openStorage(disk, { segmentBytesMax: SEGMENT_BYTES_MAX, doubt });
    const { index: lastIndex, term: lastTerm } = saved.entries.at(-1) ?? saved.base;
    const at = asIndex(lastIndex + 1);
    const identity = aloneInNewCluster(survivor, at);
    // What others were called is of no use any more: new members may have their names.
    disk.remove(PEERS_FILE);
    await durable((done) => writeIdentity(disk, identity, done));
    const entry = recoveryEntry(saved, identity);
    const hardState = { term: entry.term, vote: null };
    await durable((done) => {
      wal.write({ number: 0, hardState, reset: null, entries: [entry] }, done);
    });
    return { cluster: identity.cluster, lastIndex, lastTerm, wasInDoubt };
  });
}

/**
 * A member since the entry `at`, as if it had been removed and come back: the log may name an
 * earlier life of it, which new members read there, and must not take for this one (M8).
 */
function aloneInNewCluster({ id, bootstrap: old }: NodeIdentity, at: Index): NodeIdentity {
  // Should it have moved since, it says so to itself when it runs.
  const peerUrl = memberOf(old, id)?.peerUrl ?? "";
  const incarnation = newIncarnation();
  const member = { id, peerUrl, incarnation, since: at, isJoining: false };
  const bootstrap = { ...configurationOf({ voters: [id] }), members: [member] };
  return {
    cluster: newClusterId(),
    id,
    incarnation,
    joined: true,
    since: at,
    voters: 1,
    bootstrap,
  };
}

const NAME_A_SURVIVOR = "name the --data-dir of a node that has survived";

function survivorIn(disk: Disk, { name, dataDir }: Pick<Config, "name" | "dataDir">): NodeIdentity {
  const found = readIdentity(disk);
  const hasLog = disk.list().some((file) => segmentSequence(file) !== null);
  if (found === null || !found.joined || !hasLog) {
    throw new StorageError(`${dataDir} holds no data of a node: ${NAME_A_SURVIVOR}`);
  }
  if (found.id !== name) {
    throw new StorageError(`${dataDir} belongs to node ${found.id}: say --name ${found.id}`);
  }
  if (disk.list().includes(QUARANTINE_FILE)) {
    throw new StorageError(
      `${dataDir} is in quarantine, as its state is wrong: use another node's`,
    );
  }
  return found;
}

/** Has it decide alone, in a term that nobody has ever led. */
function recoveryEntry(
  { hardState, snapshot, base, entries }: Saved,
  { bootstrap }: NodeIdentity,
): Entry {
  const last = entries.at(-1);
  return makeEntry({
    index: asIndex((last ?? base).index + 1),
    term: asTerm(hardState.term + 1),
    time: last?.time ?? snapshot?.time ?? (0 as ClusterTime),
    kind: "config",
    data: encodeConfiguration(bootstrap),
  });
}
