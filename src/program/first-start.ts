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
import { canBeHelped, recoverIdentity } from "../node/repair.ts";
import type { NodeId } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { Log } from "./log.ts";

/** Between two rounds of questions. */
const PAUSE_MS = 200;

/** The members make the cluster: another set of them is another cluster. */
export function clusterIdOf(initialCluster: Config["initialCluster"]): string {
  const members = [...initialCluster].map(([name, url]) => `${name}=${url}`).sort();
  return createHash("sha256").update(members.join(",")).digest("hex").slice(0, 16);
}

/** The directory's identity, made now if it is new. Throws StorageError if it is another node's. */
export async function identityFor(
  disk: Disk,
  config: Config,
  log: Pick<Log, "error">,
): Promise<NodeIdentity> {
  const { name, dataDir, initialCluster } = config;
  const cluster = clusterIdOf(initialCluster);
  const incarnation = newIncarnation();
  const fresh = { cluster, id: name, incarnation, joined: false, since: 0 };
  const { identity: found, damage } = await readOrRecover(disk, fresh, initialCluster.size);
  if (damage !== null)
    log.error(`${damage}; set aside as *.damaged, with the log of whoever it was`);
  if (found === null) {
    checkIsEmpty(disk, dataDir);
    await new Promise<void>((resolve) => writeIdentity(disk, fresh, resolve));
    return fresh;
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

export function newIncarnation(): string {
  return randomBytes(12).toString("hex");
}

interface Recovered {
  readonly identity: NodeIdentity | null;
  readonly damage: string | null;
}

function readOrRecover(disk: Disk, fresh: NodeIdentity, voters: number): Promise<Recovered> {
  if (!canBeHelped(voters)) return Promise.resolve({ identity: readIdentity(disk), damage: null });
  return new Promise((resolve) => {
    recoverIdentity(disk, fresh, (identity, damage) => resolve({ identity, damage }));
  });
}

/** What a node with a new data directory asks the others. */
export interface FirstQuestions {
  readonly identity: NodeIdentity;
  readonly voters: readonly NodeId[];
  /** Null: the node did not answer. */
  readonly hello: (peer: NodeId) => Promise<Answer | null>;
  /** There are not enough answers yet. Called once. */
  readonly onWaiting: () => void;
  /** Who was heard so lately is alive, under whatever data directory. */
  readonly inUseMs: number;
}

interface Answer extends Hello {
  readonly silentMs: number | null;
}

/**
 * Waits until the others say what is to become of the new data directory: `new`: the node takes its
 * part for the first time. `lost`: it had another before, and goes on in doubt. Throws StorageError
 * where the other one is in use, or nobody could end the doubt. Rejects with an AbortError when the
 * signal fires.
 */
export async function permissionToStart(
  questions: FirstQuestions,
  signal: AbortSignal,
): Promise<"new" | "lost"> {
  const { identity, voters, hello, onWaiting, inUseMs } = questions;
  const { id, incarnation } = identity;
  const others = voters.filter((voter) => voter !== id);
  const answers = new Map<NodeId, Answer>();
  let knownAt: number | null = null;
  for (let round = 0; ; round++) {
    await Promise.all(
      others.map(async (peer) => {
        const answer = await hello(peer);
        if (answer !== null) answers.set(peer, answer);
      }),
    );
    const verdict = mayStart({ incarnation, voters }, answers);
    if (verdict === "yes") return "new";
    if (verdict === "lost") {
      if (!canBeHelped(voters.length)) throw beyondHelp(id);
      const silent = [...answers.values()].map(({ silentMs }) => silentMs ?? inUseMs);
      if (Math.min(...silent) >= inUseMs) return "lost";
      knownAt ??= performance.now();
      if (performance.now() - knownAt > IN_USE_FACTOR * inUseMs) throw inUse(id);
    } else if (round === 0) {
      onWaiting();
    }
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** Who is still heard after waiting so many times as long as a dead node could seem alive. */
const IN_USE_FACTOR = 3;

function inUse(id: NodeId): StorageError {
  return new StorageError(
    `${id} runs already, with another data directory: choose another --name, or end the other one`,
  );
}

function beyondHelp(id: NodeId): StorageError {
  return new StorageError(
    `the cluster knows ${id} with another data directory. If that one is lost, so are its ` +
      "promises, and in a cluster this small the others cannot make them good: restore the " +
      "directory from a copy",
  );
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
