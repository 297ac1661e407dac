/** A node's parts, made and joined, before any of them listens or runs. */
import { randomBytes } from "node:crypto";
import type { Config } from "../config.ts";
import { Prng } from "../lib/random.ts";
import { type KvResult, KvStore } from "../kv/store.ts";
import { checkLogIsThere, type NodeIdentity, PeerBook } from "../node/identity.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import { type OpenNode, openNode, type OpenNodeOptions } from "../node/open-node.ts";
import type { RaftNode } from "../node/node.ts";
import type { NodeId } from "../raft/types.ts";
import { KvService, serviceLimits } from "../service/kv-service.ts";
import { LeaderWatch } from "../service/leader-watch.ts";
import { nodeClock } from "../service/node-clock.ts";
import { type NodeDisk, openNodeDisk } from "../storage/node-disk.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { HelloReply } from "../transport/call-codec.ts";
import { HttpTransport, transportLimits } from "../transport/http-transport.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import { ClientUrls } from "./client-urls.ts";
import { identityFor } from "./first-start.ts";
import { failStop } from "./lifetime.ts";
import { raftOptions, SEGMENT_BYTES_MAX, snapshotLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import { changeLine, SlowDisk, snapshotLine } from "./report.ts";

/** What a node is made of. */
export interface Parts {
  readonly disk: NodeDisk;
  readonly identity: NodeIdentity;
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
  const identity = await identityFor(disk, config);
  const book = new PeerBook(disk);
  const random = new Prng(randomBytes(16).toString("hex"));
  let node: RaftNode<KvResult> | null = null;
  const transport = new HttpTransport({
    self: identity,
    limits: transportLimits(config.heartbeatMs),
    random,
    readAt: (name, range, done) => disk.readAt(name, range, done),
    onUnreachable: (peer) => node?.unreachable(peer),
    onRefused: (_peer, code, text) => {
      // That happens once, when two nodes meet for the first time.
      log[code === "INCARNATION_PENDING" ? "debug" : "error"](`refused: ${text}`);
    },
  });
  const clientUrls = new ClientUrls(async (peer) => {
    return (await hello(transport, peer))?.clientUrl ?? null;
  });
  clientUrls.set(config.name, config.clientUrl);
  const leaders = new LeaderWatch(config.name);
  const store = new KvStore();
  const opened = await open({
    raft: raftOptions(config),
    random,
    snapshots: snapshotLimits(config),
    segmentBytesMax: SEGMENT_BYTES_MAX,
    disk,
    runtime: nodeRuntime,
    transport,
    machine: store,
    onChange: (now, before) => {
      log.info(changeLine(now, before));
      leaders.update(now);
      if (now.leader !== null && now.leader !== now.id) void clientUrls.refresh(now.leader);
    },
    onSnapshot: (event) => log.info(snapshotLine(event)),
  });
  checkLogIsThere(identity, opened.wal);
  for (const note of opened.notes) log.warn(note);
  node = opened.node;
  const service = new KvService({
    node,
    store,
    calls: transport.calls,
    leaders,
    clock: nodeClock,
    limits: serviceLimits(config.electionMs),
    clientUrlOf: (id) => clientUrls.of(id),
  });
  return { disk, identity, book, transport, opened, service, clientUrls };
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

function open(options: OpenNodeOptions<KvResult>): Promise<OpenNode<KvResult>> {
  return new Promise((resolve, reject) => {
    openNode(options, (opened) => {
      if (opened instanceof StorageError) reject(opened);
      else resolve(opened);
    });
  });
}
