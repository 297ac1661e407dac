/** A node's parts, made and joined, before any of them listens or runs. */
import { randomBytes } from "node:crypto";
import type { Config } from "../config.ts";
import { Prng } from "../lib/random.ts";
import { type KvResult, KvStore } from "../kv/store.ts";
import type { PeerBook } from "../node/identity.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import type { OpenNode } from "../node/open-node.ts";
import { openOrRepair, type Repaired, type RepairOptions } from "../node/repair.ts";
import type { InForce, RaftNode } from "../node/node.ts";
import { isJoint } from "../raft/membership.ts";
import type { NodeId } from "../raft/types.ts";
import { KvService } from "../service/kv-service.ts";
import { serviceLimits } from "../service/limits.ts";
import { LeaderWatch } from "../service/leader-watch.ts";
import { nodeClock } from "../service/node-clock.ts";
import { type NodeDisk, openNodeDisk } from "../storage/node-disk.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { HelloReply } from "../transport/call-codec.ts";
import { HttpTransport, transportLimits } from "../transport/http-transport.ts";
import type { RefusalCode } from "../transport/identity.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import { ClientUrls } from "./members/client-urls.ts";
import { endDoubt, openPeerBook, tellFound } from "./damage.ts";
import { Directory } from "./members/directory.ts";
import { identityFor } from "./members/first-start.ts";
import { newIncarnation } from "./members/incarnation.ts";
import { hasToJoin } from "./members/join.ts";
import { failStop } from "./lifetime.ts";
import { raftOptions, SEGMENT_BYTES_MAX, snapshotLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import { changeLine, membersLine, SlowDisk, snapshotLine } from "./report.ts";
import { Self } from "./members/self.ts";

/** What a node is made of. */
export interface Parts {
  readonly disk: NodeDisk;
  readonly self: Self;
  readonly book: PeerBook;
  readonly transport: HttpTransport;
  readonly directory: Directory;
  readonly opened: OpenNode<KvResult>;
  readonly store: KvStore;
  readonly leaders: LeaderWatch;
  readonly service: KvService;
  readonly clientUrls: ClientUrls;
}

/** What to do about a refusal, where that is not plain. */
const ADVICE: Partial<Readonly<Record<RefusalCode, string>>> = {
  CLUSTER_MISMATCH: "that node was set up anew: end it, or have it join with --join",
  WRONG_INCARNATION: "end the other one; if it is gone, remove this member and let it join again",
};

/** For a node to say who it is. */
const HELLO_TIMEOUT_MS = 1_000;

/** What a node is made from. */
export interface AssembleOptions {
  readonly config: Config;
  readonly log: Log;
  /** Fires when the start should be given up. */
  readonly signal: AbortSignal;
  /** The cluster has removed this node. Maybe called more than once. */
  readonly onRemoved: (why: string) => void;
  /** It begins to ask a cluster to let it join, which may take for ever. */
  readonly onJoining: () => void;
}

/**
 * Locks and opens the data directory, and reads all that is in it. A node that joins has become a
 * member then. Throws StorageError and StartError where it must not be used, and an AbortError when
 * the signal fires.
 */
export async function assemble(options: AssembleOptions): Promise<Parts> {
  const { config, log, signal } = options;
  const disk = await openDisk(config, log);
  if (hasToJoin(disk, config)) options.onJoining();
  const self = new Self(await identityFor(disk, config, { log, signal }), config.peerUrl);
  const book = await openPeerBook(disk, log);
  const random = new Prng(randomBytes(16).toString("hex"));
  let node: RaftNode<KvResult> | null = null;
  let service: KvService | null = null;
  const onUnreachable = (peer: NodeId) => node?.unreachable(peer);
  const lifeOf = (peer: NodeId) => directory.lifeOf(peer);
  const transport = transportOf(options, { self, disk, random, onUnreachable, lifeOf });
  const directory: Directory = new Directory(config.name, (urls) => transport.setPeers(urls));
  const clientUrls = clientUrlsOf(config, transport);
  const leaders = new LeaderWatch(config.name);
  const store = new KvStore();
  const { opened, identity, damage } = await open({
    identity: self.identity,
    newIncarnation,
    raft: raftOptions(config, self.bootstrap),
    random,
    snapshots: snapshotLimits(config),
    segmentBytesMax: Math.min(SEGMENT_BYTES_MAX, config.snapshotBytes),
    disk,
    runtime: nodeRuntime,
    transport,
    machine: store,
    onConfiguration: (now) => {
      if (node !== null) follow(directory, node);
      service?.members.update();
      log.info(membersLine(now));
      noteVoters({ disk, self }, now);
    },
    onChange: (now, before) => {
      log.info(changeLine(now, before));
      leaders.update(now);
      if (before.inDoubt && !now.inDoubt) endDoubt({ disk, self, opened }, now, log);
      if (now.leader !== null && now.leader !== now.id) void clientUrls.refresh(now.leader);
    },
    onSnapshot: (event) => log[event.type === "damaged" ? "error" : "info"](snapshotLine(event)),
  });
  self.become(identity);
  tellFound({ damage, self, opened }, log);
  node = opened.node;
  service = new KvService({
    node,
    store,
    leaders,
    calls: transport.calls,
    clock: nodeClock,
    limits: serviceLimits(config.electionMs),
    clientUrlOf: (id) => clientUrls.of(id),
    scrubStatus: () => opened.scrub.counters(),
  });
  follow(directory, node);
  return { disk, self, book, transport, directory, opened, store, leaders, service, clientUrls };
}

async function openDisk({ dataDir, electionMs }: Config, log: Log): Promise<NodeDisk> {
  const slowDisk = new SlowDisk(log, electionMs);
  return openNodeDisk({
    path: dataDir,
    fail: (_error, what) => failStop(log, new StorageError(what)),
    onSync: (ms) => slowDisk.onSync(ms),
  });
}

/** The way to the other nodes, once it is known who they are. */
function transportOf(
  { config, log, onRemoved }: AssembleOptions,
  parts: {
    readonly self: Self;
    readonly disk: NodeDisk;
    readonly random: Prng;
    readonly onUnreachable: (peer: NodeId) => void;
    readonly lifeOf: (peer: NodeId) => number | null;
  },
): HttpTransport {
  const { self, disk, random, onUnreachable, lifeOf } = parts;
  return new HttpTransport({
    self,
    limits: transportLimits(config.heartbeatMs),
    random,
    readAt: (name, range, done) => disk.readAt(name, range, done),
    lifeOf,
    onUnreachable,
    // That a name is pending happens once, when two nodes meet for the first time.
    onRefused: (_peer, code, text) => {
      const advice = ADVICE[code] === undefined ? "" : `: ${ADVICE[code]}`;
      log[code === "INCARNATION_PENDING" ? "debug" : "error"](`refused: ${text}${advice}`);
      if (code === "REMOVED") onRemoved(text);
    },
  });
}

function clientUrlsOf({ name, clientUrl }: Config, transport: HttpTransport): ClientUrls {
  const urls = new ClientUrls(async (peer) => (await hello(transport, peer))?.clientUrl ?? null);
  urls.set(name, clientUrl);
  return urls;
}

/** Whether the others could make good what this node loses depends on how many there are. */
function noteVoters({ disk, self }: Pick<Parts, "disk" | "self">, now: InForce): void {
  const voters = now.configuration.voters.length;
  // In doubt the log may be gone, and what it began with is no news.
  const isCertain = self.joined && self.since !== null && now.index > 0;
  const isFinal = now.isCommitted && !isJoint(now.configuration);
  if (isCertain && isFinal && voters !== self.voters) self.change(disk, { voters });
}

function follow(directory: Directory, node: RaftNode<KvResult>): void {
  directory.follow(node.inForce().configuration, node.committedMembers().configuration);
}

/** Asks a node who it is. Null: it does not answer. */
export async function hello(transport: HttpTransport, peer: NodeId): Promise<HelloReply | null> {
  try {
    return await transport.calls.hello(peer, HELLO_TIMEOUT_MS);
  } catch (error) {
    if (error instanceof PeerCallError) return null;
    throw error;
  }
}

function open(options: RepairOptions<KvResult>): Promise<Repaired<KvResult>> {
  return new Promise((resolve, reject) => {
    openOrRepair(options, (repaired) => {
      if (repaired instanceof StorageError) reject(repaired);
      else resolve(repaired);
    });
  });
}
