/**
 * Who a data directory belongs to, and how a lost one is noticed.
 *
 * A node that has lost its disk has lost its votes and acknowledgements with it, and must not vote
 * again as if it had never promised anything (M13). So every data directory gets a random name, the
 * incarnation. Every node writes down the incarnation of each peer before it listens to it for the
 * first time, and never listens to another one under the same name.
 */
import { byteString, bytesOf } from "../lib/bytes.ts";
import { majority } from "../raft/quorum.ts";
import { isNodeId, type NodeId } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { Wal } from "../storage/wal.ts";

/** What the data directory says of its node. */
export interface NodeIdentity {
  readonly cluster: string;
  readonly id: NodeId;
  readonly incarnation: string;
  /** It has been part of the cluster, so there must be a log. */
  readonly joined: boolean;
}

const IDENTITY_FILE = "identity.json";
const PEERS_FILE = "peers.json";

/** The data directory's identity; null where it is new. Throws StorageError if it is damaged. */
export function readIdentity(disk: Disk): NodeIdentity | null {
  if (!disk.list().includes(IDENTITY_FILE)) return null;
  const { cluster, id, incarnation, joined } = readJson(disk, IDENTITY_FILE);
  const isWhole =
    typeof cluster === "string" &&
    typeof id === "string" &&
    isNodeId(id) &&
    typeof incarnation === "string" &&
    typeof joined === "boolean";
  if (!isWhole) throw new StorageError(`${IDENTITY_FILE} is damaged; nothing was changed`);
  return { cluster, id, incarnation, joined };
}

/** Writes it down; `done` when it is durable. */
export function writeIdentity(disk: Disk, identity: NodeIdentity, done: () => void): void {
  writeJson(disk, { name: IDENTITY_FILE, value: { ...identity } }, done);
}

/** Throws StorageError where a log must be there, and is not. */
export function checkLogIsThere(identity: NodeIdentity, wal: Wal): void {
  if (!identity.joined || wal.counters().segments > 0) return;
  throw new StorageError(
    `the log of ${identity.id} is missing, and with it what this node has promised to others; ` +
      "restore the data directory, or start the node with an empty one under a new name",
  );
}

/**
 * Makes the node a part of the cluster for good: from now on a missing log is noticed. `done` when
 * that is durable.
 */
export function join(disk: Disk, parts: { identity: NodeIdentity; wal: Wal }, done: () => void) {
  const { identity, wal } = parts;
  if (identity.joined) return done();
  wal.write({ number: 0, hardState: null, reset: null, entries: [] }, () =>
    writeIdentity(disk, { ...identity, joined: true }, done),
  );
}

/** What a peer answers to a node with a new data directory. */
export interface Hello {
  /** Under which incarnation the peer knows the node that asks; null: it never heard of it. */
  readonly knownIncarnation: string | null;
}

/**
 * Whether a node with a new data directory may take part: `yes` when a majority's number of its
 * peers have written down this incarnation and know no other, `lost` when any of them does know
 * another: then this node had a data directory before, and promises in it. Otherwise `wait`. Any
 * two such sets of peers share one, so whoever asks a second time is found out.
 */
export function mayStart(
  self: { readonly incarnation: string; readonly voters: readonly NodeId[] },
  answers: ReadonlyMap<NodeId, Hello>,
): "yes" | "lost" | "wait" {
  const known = [...answers.values()].map((hello) => hello.knownIncarnation);
  if (known.some((other) => other !== null && other !== self.incarnation)) return "lost";
  const needed = Math.min(majority(self.voters.length), self.voters.length - 1);
  return known.length >= needed ? "yes" : "wait";
}

/** The incarnation of each peer, as this node has first heard it. */
export class PeerBook {
  private readonly disk: Disk;
  private readonly known: Map<NodeId, string>;
  private readonly durable: Set<NodeId>;
  private writing = false;
  private waiting: { readonly id: NodeId; readonly done: () => void }[] = [];

  /** Reads what is on disk. Throws StorageError if it is damaged. */
  constructor(disk: Disk) {
    this.disk = disk;
    this.known = new Map();
    if (disk.list().includes(PEERS_FILE)) {
      for (const [id, incarnation] of Object.entries(readJson(disk, PEERS_FILE))) {
        if (!isNodeId(id) || typeof incarnation !== "string") {
          throw new StorageError(`${PEERS_FILE} is damaged; nothing was changed`);
        }
        this.known.set(id, incarnation);
      }
    }
    this.durable = new Set(this.known.keys());
  }

  /** The incarnation under which `id` is known, if it ever was heard. */
  incarnationOf(id: NodeId): string | null {
    return this.known.get(id) ?? null;
  }

  /**
   * Whether to listen to `from`. `later`: it is being written down, and must ask again. `no`: its
   * name belongs to another data directory.
   */
  admit(from: NodeId, incarnation: string): "yes" | "no" | "later" {
    const known = this.known.get(from);
    if (known === undefined) {
      this.known.set(from, incarnation);
      this.write();
      return "later";
    }
    if (known !== incarnation) return "no";
    return this.durable.has(from) ? "yes" : "later";
  }

  /** Writes the incarnation down, if none is, and calls `done` when one is durable. */
  record(from: NodeId, incarnation: string, done: () => void): void {
    if (this.admit(from, incarnation) === "later") this.waiting.push({ id: from, done });
    else done();
  }

  private write(): void {
    if (this.writing) return;
    this.writing = true;
    const ids = [...this.known.keys()].sort();
    const value = Object.fromEntries(ids.map((id) => [id, this.known.get(id)]));
    writeJson(this.disk, { name: PEERS_FILE, value }, () => {
      this.writing = false;
      for (const id of ids) this.durable.add(id);
      if (this.known.size > this.durable.size) this.write();
      const ready = this.waiting.filter(({ id }) => this.durable.has(id));
      this.waiting = this.waiting.filter(({ id }) => !this.durable.has(id));
      for (const { done } of ready) done();
    });
  }
}

function readJson(disk: Disk, name: string): Record<string, unknown> {
  try {
    return JSON.parse(byteString(disk.read(name)));
  } catch (cause) {
    throw new StorageError(`${name} is damaged; nothing was changed`, { cause });
  }
}

/** Atomic: the file is either the old one or the new one. All text in it is ASCII. */
function writeJson(
  disk: Disk,
  file: { readonly name: string; readonly value: unknown },
  done: () => void,
): void {
  const temporary = `${file.name}.tmp`;
  disk.remove(temporary);
  disk.append(temporary, [bytesOf(`${JSON.stringify(file.value, null, 2)}\n`)], () =>
    disk.rename(temporary, file.name, done),
  );
}
