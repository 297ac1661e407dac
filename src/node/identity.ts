/**
 * Who a data directory belongs to, and how a lost one is noticed.
 *
 * A node that has lost its disk has lost its votes and acknowledgements with it, and must not vote
 * again as if it had never promised anything (M13). So every data directory gets a random name, the
 * incarnation. Every node writes down the incarnation of each peer before it listens to it for the
 * first time, and never listens to another one under the same name.
 */
import { byteString, bytesOf, bytesOfHex, hexOf, NewerError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { majority } from "../raft/quorum.ts";
import { decodeConfiguration, encodeConfiguration } from "../raft/membership.ts";
import { type Configuration, isNodeId, type NodeId } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import { DamageError, StorageError } from "../storage/storage-error.ts";
import type { Wal } from "../storage/wal.ts";

/** What the data directory says of its node. */
export interface NodeIdentity {
  readonly cluster: string;
  readonly id: NodeId;
  readonly incarnation: string;
  /** It has been part of the cluster, so there must be a log. */
  readonly joined: boolean;
  /**
   * Since which entry of the log the cluster knows this incarnation: 0 for the first of a node,
   * else that of the entry which ended its doubt. Null: it is in doubt.
   */
  readonly since: number | null;
  /** How many voters there were, as far as it has heard. */
  readonly voters: number;
  /** Who the members were when it began: in force until its log says otherwise. */
  readonly bootstrap: Configuration;
}

const IDENTITY_FILE = "identity.json";
/** What PeerBook keeps. */
export const PEERS_FILE = "peers.json";

/**
 * The data directory's identity; null where it is new. Throws DamageError if it is damaged, and
 * StorageError if a newer version has written it, and whatever else is there (U4).
 */
export function readIdentity(disk: Disk): NodeIdentity | null {
  if (!disk.list().includes(IDENTITY_FILE)) return null;
  const read = readJson(disk, IDENTITY_FILE);
  const { cluster, id, incarnation, joined, since, voters, members, ...unknown } = read;
  checkKnown(IDENTITY_FILE, unknown);
  const isWhole =
    typeof cluster === "string" &&
    typeof id === "string" &&
    isNodeId(id) &&
    typeof incarnation === "string" &&
    typeof joined === "boolean" &&
    (since === null || typeof since === "number") &&
    typeof voters === "number" &&
    typeof members === "string";
  if (!isWhole) throw new DamageError(`${IDENTITY_FILE} is damaged`);
  const bootstrap = readMembers(members);
  return { cluster, id, incarnation, joined, since, voters, bootstrap };
}

function readMembers(text: string): Configuration {
  try {
    return decodeConfiguration(bytesOfHex(text));
  } catch (cause) {
    if (cause instanceof NewerError) throw new StorageError(`${IDENTITY_FILE}: ${cause.message}`);
    throw new DamageError(`${IDENTITY_FILE} is damaged`, { cause });
  }
}

/** Its checksum is right, so nothing in it comes from damage. */
function checkKnown(file: string, unknown: Readonly<Record<string, unknown>>): void {
  const [field] = Object.keys(unknown);
  if (field === undefined) return;
  throw new StorageError(`${file}: ${new NewerError(`the field "${field}"`).message}`);
}

/** Writes it down; `done` when it is durable. */
export function writeIdentity(disk: Disk, identity: NodeIdentity, done: () => void): void {
  const { bootstrap, ...rest } = identity;
  const value = { ...rest, members: hexOf(encodeConfiguration(bootstrap)) };
  writeJson(disk, { name: IDENTITY_FILE, value }, done);
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

/** A node, as it presents itself. */
interface Presented {
  readonly incarnation: string;
  /** See NodeIdentity. */
  readonly since: number | null;
}

/** What is known of a peer. */
interface Known {
  readonly incarnation: string;
  readonly since: number;
}

/**
 * The incarnation of each peer, as this node has first heard it, or as the cluster has agreed on it
 * since: one that ended its doubt later replaces the one before.
 */
export class PeerBook {
  private readonly disk: Disk;
  private readonly known: Map<NodeId, Known>;
  /** What is on disk of it. */
  private readonly durable: Map<NodeId, Known>;
  private writing = false;
  private waiting: { readonly id: NodeId; readonly done: () => void }[] = [];

  /** Reads what is on disk. Throws DamageError if that cannot be read, StorageError as above. */
  constructor(disk: Disk) {
    this.disk = disk;
    this.known = new Map();
    if (disk.list().includes(PEERS_FILE)) {
      for (const [id, peer] of Object.entries(readJson(disk, PEERS_FILE))) {
        if (!isNodeId(id) || !isKnown(peer)) throw new DamageError(`${PEERS_FILE} is damaged`);
        const { incarnation, since, ...unknown } = peer;
        checkKnown(PEERS_FILE, unknown);
        this.known.set(id, { incarnation, since });
      }
    }
    this.durable = new Map(this.known);
  }

  /** Renames a file that cannot be read. `done` when that is durable. */
  static setAside(disk: Disk, done: () => void): void {
    disk.rename(PEERS_FILE, `${PEERS_FILE}.damaged`, done);
  }

  /** The incarnation under which `id` is known, if it ever was heard. */
  incarnationOf(id: NodeId): string | null {
    return this.known.get(id)?.incarnation ?? null;
  }

  /**
   * Whether to listen to `from`. `later`: it is being written down, and must ask again. `no`: its
   * name belongs to another data directory. A node in doubt may always speak, as it does not count.
   */
  admit(from: NodeId, { incarnation, since }: Presented): "yes" | "no" | "later" {
    if (since === null) return "yes";
    const known = this.known.get(from);
    if (known === undefined || since > known.since) {
      this.known.set(from, { incarnation, since });
      this.write();
      return "later";
    }
    if (known.incarnation !== incarnation) return "no";
    return this.durable.get(from) === known ? "yes" : "later";
  }

  /** Writes the incarnation down, if none is, and calls `done` when one is durable. */
  record(from: NodeId, presented: Presented, done: () => void): void {
    if (this.admit(from, presented) === "later") this.waiting.push({ id: from, done });
    else done();
  }

  private write(): void {
    if (this.writing) return;
    this.writing = true;
    const written = new Map([...this.known].sort(([a], [b]) => (a < b ? -1 : 1)));
    writeJson(this.disk, { name: PEERS_FILE, value: Object.fromEntries(written) }, () => {
      this.writing = false;
      for (const [id, known] of written) this.durable.set(id, known);
      const isDurable = (id: NodeId) => this.durable.get(id) === this.known.get(id);
      if (![...this.known.keys()].every(isDurable)) this.write();
      const ready = this.waiting.filter(({ id }) => isDurable(id));
      this.waiting = this.waiting.filter(({ id }) => !isDurable(id));
      for (const { done } of ready) done();
    });
  }
}

function isKnown(peer: unknown): peer is Known {
  if (typeof peer !== "object" || peer === null) return false;
  if (!("incarnation" in peer) || !("since" in peer)) return false;
  return typeof peer.incarnation === "string" && typeof peer.since === "number";
}

function readJson(disk: Disk, name: string): Record<string, unknown> {
  const bytes = disk.read(name);
  try {
    const { checksum, ...value } = JSON.parse(byteString(bytes)) as Record<string, unknown>;
    if (checksum === checksumOf(value)) return value;
  } catch (cause) {
    throw new DamageError(`${name} is damaged`, { cause });
  }
  throw new DamageError(`${name} is damaged`);
}

/** So that a flipped bit does not make another name of a name. */
function checksumOf(value: Readonly<Record<string, unknown>>): number {
  return crc32c(bytesOf(JSON.stringify(value)));
}

/** Atomic: the file is either the old one or the new one. All text in it is ASCII. */
function writeJson(
  disk: Disk,
  file: { readonly name: string; readonly value: Readonly<Record<string, unknown>> },
  done: () => void,
): void {
  const temporary = `${file.name}.tmp`;
  disk.remove(temporary);
  const value = { ...file.value, checksum: checksumOf(file.value) };
  disk.append(temporary, [bytesOf(`${JSON.stringify(value, null, 2)}\n`)], () =>
    disk.rename(temporary, file.name, done),
  );
}
