/** A node's parts, made and joined, before any of them listens or runs. */
import { randomBytes } from "node:crypto";
import type { Config } from "../config.ts";
import { Prng } from "../lib/random.ts";
import { type KvResult, KvStore } from "../kv/store.ts";
import type { PeerBook } from "../node/identity.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import type { OpenNode } from "../node/open-node.ts";
import { openOrRepair, type Repaired, type RepairOptions } from "../node/repair.ts";
import type { RaftNode } from "../node/node.ts";
import type { NodeId } from "../raft/types.ts";
import { KvService } from "../service/kv-service.ts";
import { serviceLimits } from "../service/limits.ts";
import { LeaderWatch } from "../service/leader-watch.ts";
import { nodeClock } from "../service/node-clock.ts";
import { type NodeDisk, openNodeDisk } from "../storage/node-disk.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { HelloReply } from "../transport/call-codec.ts";
import { HttpTransport, transportLimits } from "../transport/http-transport.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import { ClientUrls } from "./client-urls.ts";
import { endDoubt, openPeerBook, tellFound } from "./damage.ts";
import { identityFor, newIncarnation } from "./first-start.ts";
import { failStop } from "./lifetime.ts";
import { raftOptions, SEGMENT_BYTES_MAX, snapshotLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import { changeLine, SlowDisk, snapshotLine } from "./report.ts";
import { Self } from "./self.ts";

/** What a node is made of. */
export interface Parts {
  readonly disk: NodeDisk;
  readonly self: Self;
  readonly book: PeerBook;
  readonly transport: HttpTransport;
  readonly opened: OpenNode<KvResult>;
  readonly service: KvService;
  readonly clientUrls: ClientUrls;
}

/** For a node to say who it is. */
const HELLO_TIMEOUT_MS = 1_000;

/**
 * Locks and opens the data directory, and reads all that is in it. Throws StorageError where it
 * must not be used.
 */
export async function assemble(config: Config, log: Log): Promise<Parts> {
  const slowDisk = new SlowDisk(log, config.electionMs);
  const disk = await openNodeDisk({
    path: config.dataDir,
    fail: (_error, what) => failStop(log, new StorageError(what)),
    onSync: (ms) => slowDisk.onSync(ms),
  });
  const self = new Self(await identityFor(disk, config, log));
  const book = await openPeerBook(disk, log);
  const random = new Prng(randomBytes(16).toString("hex"));
  let node: RaftNode<KvResult> | null = null;
  const transport = new HttpTransport({
    self,
    limits: transportLimits(config.heartbeatMs),
    random,
    readAt: (name, range, done) => disk.readAt(name, range, done),
    onUnreachable: (peer) => node?.unreachable(peer),
    // That a name is pending happens once, when two nodes meet for the first time.
    onRefused: (_peer, code, text) =>
      log[code === "INCARNATION_PENDING" ? "debug" : "error"](`refused: ${text}`),
  });
  const clientUrls = new ClientUrls(async (peer) => {
    return (await hello(transport, peer))?.clientUrl ?? null;
  });
  clientUrls.set(config.name, config.clientUrl);
  const leaders = new LeaderWatch(config.name);
  const store = new KvStore();
  const { opened, identity, damage } = await open({
    identity: self.identity,
    newIncarnation,
    raft: raftOptions(config),
    random,
    snapshots: snapshotLimits(config),
    segmentBytesMax: Math.min(SEGMENT_BYTES_MAX, config.snapshotBytes),
    disk,
    runtime: nodeRuntime,
    transport,
    machine: store,
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
  const service = new KvService({
    node,
    store,
    leaders,
    calls: transport.calls,
    clock: nodeClock,
    limits: serviceLimits(config.electionMs),
    clientUrlOf: (id) => clientUrls.of(id),
    scrubStatus: () => opened.scrub.counters(),
  });
  return { disk, self, book, transport, opened, service, clientUrls };
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
