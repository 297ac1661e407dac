/** Whether the data directory belongs to this node, and whether a new one may be used (M13). */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../../config.ts";
import {
  type Hello,
  mayStart,
  type NodeIdentity,
  readIdentity,
  writeIdentity,
} from "../../node/identity.ts";
import { canBeHelped, recoverIdentity } from "../../node/repair.ts";
import { foundingConfiguration } from "../../raft/membership.ts";
import type { Member, NodeId } from "../../raft/types.ts";
import type { Disk } from "../../storage/disk.ts";
import { StorageError } from "../../storage/storage-error.ts";
import { JOIN_FILE, joinCluster, tellUnusedJoin } from "./join.ts";
import type { Log } from "../log.ts";
import { newIncarnation } from "./incarnation.ts";

/** Between two rounds of questions. */
const PAUSE_MS = 200;

/** As of all clusters: so many characters. */
const CLUSTER_ID_LENGTH = 16;

/**
 * The founders make the cluster: another set of them is another cluster, and all of them find the
 * same name for it. One alone, who has nobody to agree with, gets a name by chance: if it founds
 * anew, as its data is lost, whoever has joined it since must not take it for the one it was (M12).
 * `beginning`: what they begin with, if not with nothing.
 */
export function clusterIdOf(founders: ReadonlyMap<NodeId, string>, beginning = ""): string {
  if (founders.size === 1) return newClusterId();
  const members = [...founders].map(([name, url]) => `${name}=${url}`).sort();
  const hash = createHash("sha256").update(members.join(",")).update(beginning);
  return hash.digest("hex").slice(0, CLUSTER_ID_LENGTH);
}

/** One that no cluster has had. */
export function newClusterId(): string {
  return randomBytes(CLUSTER_ID_LENGTH / 2).toString("hex");
}

/**
 * The directory's identity, made now if it is new: of a founder, or of a node that joins. Throws
 * StorageError if the directory is another node's, StartError where the cluster does not take the
 * node, and an AbortError when the signal fires.
 */
export async function identityFor(
  disk: Disk,
  config: Config,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<NodeIdentity> {
  const { name, peerUrl, dataDir, initialCluster, join } = config;
  const fresh = founder(name, initialCluster ?? new Map([[name, peerUrl]]));
  const { identity: found, damage } = await readOrRecover(disk, fresh, initialCluster?.size ?? 1);
  if (damage !== null)
    log.error(`${damage}; set aside as *.damaged, with the log of whoever it was`);
  if (found !== null) {
    checkOwner(found, config);
    if (join.length > 0) await tellUnusedJoin(found, join, { log, signal });
    return found;
  }
  checkIsEmpty(disk, dataDir);
  if (join.length === 0 && disk.list().includes(JOIN_FILE)) throw wasToJoin(dataDir);
  const identity = join.length === 0 ? fresh : await joinCluster(disk, config, { log, signal });
  await new Promise<void>((resolve) => writeIdentity(disk, identity, resolve));
  return identity;
}

/** A founder, before it has a log. `beginning`: see clusterIdOf. */
export function founder(
  id: NodeId,
  founders: ReadonlyMap<NodeId, string>,
  beginning?: string,
): NodeIdentity {
  const bootstrap = foundingConfiguration(founders);
  const incarnation = newIncarnation();
  const cluster = clusterIdOf(founders, beginning);
  const voters = founders.size;
  return { cluster, id, incarnation, joined: false, since: 0, voters, bootstrap };
}

/** What the directory says comes first; what the operator says must not contradict it. */
function checkOwner(found: NodeIdentity, config: Config): void {
  const { name, dataDir, initialCluster } = config;
  if (found.id !== name) {
    throw new StorageError(
      `${dataDir} belongs to node ${found.id}, not to ${name}: ` +
        "give each node a --data-dir of its own",
    );
  }
  if (initialCluster !== null && !isFoundedBy(found, initialCluster)) {
    throw new StorageError(
      `${dataDir} belongs to another cluster (${found.cluster}): ` +
        "leave out --initial-cluster, or use the one it was made with, or another --data-dir",
    );
  }
}

/** Whether the cluster is the one that these founders make, as far as can be told. */
function isFoundedBy(
  { cluster, bootstrap }: NodeIdentity,
  founders: ReadonlyMap<NodeId, string>,
): boolean {
  const isFounder = bootstrap.members.every(({ since }) => since === 0);
  // Whoever has joined later does not know them, but for the name that they make.
  if (!isFounder) return founders.size === 1 || cluster === clusterIdOf(founders);
  const isSame = ({ id, peerUrl }: Member) => founders.get(id) === peerUrl;
  const areMany = founders.size > 1;
  return (
    founders.size === bootstrap.members.length && (!areMany || bootstrap.members.every(isSame))
  );
}

function wasToJoin(dataDir: string): StorageError {
  return new StorageError(
    `${dataDir} is of a node that was about to join a cluster: start it with --join again, or ` +
      `remove ${JOIN_FILE} from it to found another cluster`,
  );
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
      "directory from a copy, or make another node's a cluster of one with quorate recover",
  );
}

/** A directory with files of unknown origin is left alone. */
function checkIsEmpty(disk: Disk, dataDir: string): void {
  const foreign = disk.list().find((name) => !name.endsWith(".tmp") && name !== JOIN_FILE);
  if (foreign === undefined) return;
  throw new StorageError(
    `${dataDir} holds ${foreign}, but nothing that says it is Quorate's: ` +
      "choose an empty --data-dir",
  );
}
