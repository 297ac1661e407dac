/** Whether the data directory belongs to this node, and whether a new one may be used (M13). */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config.ts";
import {
  type Hello,
  mayStart,
  type NodeIdentity,
  readIdentity,
  writeIdentity,
} from "../node/identity.ts";
import type { NodeId } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import { StorageError } from "../storage/storage-error.ts";

/** Between two rounds of questions. */
const PAUSE_MS = 200;

/** The members make the cluster: another set of them is another cluster. */
export function clusterIdOf(initialCluster: Config["initialCluster"]): string {
  const members = [...initialCluster].map(([name, url]) => `${name}=${url}`).sort();
  return createHash("sha256").update(members.join(",")).digest("hex").slice(0, 16);
}

/** The directory's identity, made now if it is new. Throws StorageError if it is another node's. */
export async function identityFor(disk: Disk, config: Config): Promise<NodeIdentity> {
  const { name, dataDir, initialCluster } = config;
  const cluster = clusterIdOf(initialCluster);
  const found = readIdentity(disk);
  if (found === null) {
    checkIsEmpty(disk, dataDir);
    const incarnation = randomBytes(12).toString("hex");
    const identity = { cluster, id: name, incarnation, joined: false };
    await new Promise<void>((resolve) => writeIdentity(disk, identity, resolve));
    return identity;
  }
  if (found.id !== name) {
    throw new StorageError(
      `${dataDir} belongs to node ${found.id}, not to ${name}: ` +
        "give each node a --data-dir of its own",
    );
  }
  if (found.cluster !== cluster) {
    throw new StorageError(
      `${dataDir} belongs to another cluster (${found.cluster}, not ${cluster}): ` +
        "use the --initial-cluster it was made with, or another --data-dir",
    );
  }
  return found;
}

/** What a node with a new data directory asks the others. */
export interface FirstQuestions {
  readonly identity: NodeIdentity;
  readonly voters: readonly NodeId[];
  /** Null: the node did not answer. */
  readonly hello: (peer: NodeId) => Promise<Hello | null>;
  /** There are not enough answers yet. Called once. */
  readonly onWaiting: () => void;
}

/**
 * Waits until a majority of the voters knows of no other data directory of this node. Throws
 * StorageError where one of them does. Rejects with an AbortError when the signal fires.
 */
export async function permissionToStart(
  questions: FirstQuestions,
  signal: AbortSignal,
): Promise<void> {
  const { identity, voters, hello, onWaiting } = questions;
  const { id, incarnation } = identity;
  const answers = new Map<NodeId, Hello>();
  for (let round = 0; ; round++) {
    const others = voters.filter((voter) => voter !== id);
    await Promise.all(
      others.map(async (peer) => {
        const answer = await hello(peer);
        if (answer !== null) answers.set(peer, answer);
      }),
    );
    const verdict = mayStart({ incarnation, voters }, answers);
    if (verdict === "yes") return;
    if (verdict === "lost") {
      throw new StorageError(
        `the cluster knows ${id} with another data directory. If that one is lost, so are its ` +
          "promises, and this node must not vote again under its name: restore the directory. " +
          `If it is in use, ${id} is taken: choose another --name`,
      );
    }
    if (round === 0) onWaiting();
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** A directory with files of unknown origin is left alone. */
function checkIsEmpty(disk: Disk, dataDir: string): void {
  const foreign = disk.list().find((name) => !name.endsWith(".tmp"));
  if (foreign === undefined) return;
  throw new StorageError(
    `${dataDir} holds ${foreign}, but nothing that says it is Quorate's: ` +
      "choose an empty --data-dir",
  );
}
