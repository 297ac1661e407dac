/** Peers over HTTP: Raft's messages, calls and snapshots, each on connections of their own. */
import type { Dispatcher } from "undici";
import { assert } from "../lib/assert.ts";
import type { Random } from "../lib/random.ts";
import type { Message } from "../raft/message.ts";
import type { NodeId } from "../raft/types.ts";
import { PeerCalls } from "./call.ts";
import { type Identity, isPeerUrl, isPlainName, type RefusalCode } from "./identity.ts";
import { MessageLane, type MessageLaneStats } from "./message-lane.ts";
import type { OutboxLimits } from "./outbox.ts";
import { PeerLink } from "./peer-link.ts";
import { MESSAGES_BODY_BYTES_MAX, SNAPSHOT_CHUNK_BYTES_MAX } from "./protocol.ts";
import { type OutgoingSnapshot, type ReadAt, SnapshotLane } from "./snapshot-lane.ts";

export interface TransportOptions {
  readonly self: Identity;
  readonly limits: TransportLimits;
  readonly random: Random;
  readonly readAt: ReadAt;
  /** Which life of the peer there is, as far as is known; null: not at all. */
  lifeOf(peer: NodeId): number | null;
  /** Messages to the peer were lost, for every request that failed. */
  onUnreachable(peer: NodeId): void;
  /** The peer began to refuse this node. `text` is one clear line; once for every change. */
  onRefused(peer: NodeId, code: RefusalCode, text: string): void;
}

export interface TransportLimits {
  readonly connectTimeoutMs: number;
  /** How long a peer has to answer a batch of messages, beside the time that its bytes need. */
  readonly messageTimeoutMs: number;
  readonly outbox: OutboxLimits;
  readonly batchBytesMax: number;
  /** The waits after a failed request grow from the one to the other. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** How many calls to one peer can be under way at once; others wait. */
  readonly callConnectionsMax: number;
  readonly snapshotChunkBytesMax: number;
  readonly snapshotProgressTimeoutMs: number;
}

/** Limits that fit a heartbeat: a lost peer is noticed, and a returned one found, in a few. */
export function transportLimits(heartbeatMs: number): TransportLimits {
  return {
    connectTimeoutMs: 10 * heartbeatMs,
    messageTimeoutMs: 10 * heartbeatMs,
    outbox: { messages: 1024, bytes: 2 * MESSAGES_BODY_BYTES_MAX },
    batchBytesMax: 1024 * 1024, // Heartbeats wait behind one batch at the most.
    backoffMinMs: heartbeatMs / 2,
    backoffMaxMs: 5 * heartbeatMs,
    callConnectionsMax: 16,
    snapshotChunkBytesMax: SNAPSHOT_CHUNK_BYTES_MAX,
    snapshotProgressTimeoutMs: 30_000,
  };
}

/** All that belongs to one peer. */
interface Peer {
  readonly link: PeerLink;
  readonly messages: MessageLane;
  readonly calls: Dispatcher;
  snapshot: SnapshotLane | null;
}

/**
 * Best-effort delivery, and the calls. Each peer has its own connections, queue and waits: one that
 * hangs, or cannot be resolved, delays nobody else (L16, N9).
 */
export class HttpTransport {
  readonly calls: PeerCalls;
  readonly #options: TransportOptions;
  readonly #peers = new Map<NodeId, Peer>();
  /** To peers that are gone or moved, as long as answers of theirs are awaited. */
  readonly #leaving = new Set<PeerLink>();
  #closed = false;

  constructor(options: TransportOptions) {
    const { self, limits } = options;
    assert(isPlainName(self.cluster), "not the name of a cluster");
    assert(isPlainName(self.incarnation), "not the name of an incarnation");
    assert(limits.outbox.bytes >= limits.batchBytesMax, "an outbox that holds not even a batch");
    this.#options = options;
    this.calls = new PeerCalls((peer) => {
      const known = this.#peers.get(peer);
      return known === undefined ? null : { link: known.link, lane: known.calls };
    });
  }

  /**
   * Who the peers are, and the origins of their peer listeners (`http://host:port`). Messages and
   * snapshots to a peer that is gone, or has another address now, are cut off; its calls end by
   * themselves. An address that is none (`isPeerUrl`) makes the peer unreachable, no more: it came
   * through the log, to every node.
   */
  setPeers(urls: ReadonlyMap<NodeId, string>): void {
    if (this.#closed) return;
    for (const [id, peer] of this.#peers) if (urls.get(id) !== peer.link.url) this.#drop(id, peer);
    for (const [id, url] of urls) {
      if (!this.#peers.has(id) && isPeerUrl(url)) this.#peers.set(id, this.#join(id, url));
    }
  }

  /** Queues the messages. Never throws, never waits; drops what is for a node without address. */
  send(to: NodeId, messages: readonly Message[]): void {
    this.#peers.get(to)?.messages.send(messages);
  }

  /** Streams the file, in place of any other that is on its way to the peer. Calls `done` once. */
  sendSnapshot(to: NodeId, snapshot: OutgoingSnapshot, done: (ok: boolean) => void): void {
    const peer = this.#peers.get(to);
    if (peer === undefined) {
      queueMicrotask(() => done(false));
      return;
    }
    peer.snapshot?.cancel();
    const { readAt, random, limits } = this.#options;
    const lane = new SnapshotLane({
      link: peer.link,
      snapshot,
      readAt,
      random,
      chunkBytesMax: limits.snapshotChunkBytesMax,
      progressTimeoutMs: limits.snapshotProgressTimeoutMs,
      done,
    });
    peer.snapshot = lane;
    lane.start();
  }

  stats(): ReadonlyMap<NodeId, MessageLaneStats> {
    return new Map([...this.#peers].map(([id, peer]) => [id, peer.messages.stats()]));
  }

  /** Cuts every connection. What is under way fails; what is sent from now on is dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [id, peer] of this.#peers) this.#drop(id, peer);
    await Promise.all([...this.#leaving].map((link) => link.close()));
  }

  #join(id: NodeId, url: string): Peer {
    const { self, limits, random } = this.#options;
    const { connectTimeoutMs, backoffMinMs, backoffMaxMs } = limits;
    const link = new PeerLink({
      self,
      peer: id,
      url,
      connectTimeoutMs,
      life: () => this.#options.lifeOf(id),
      onRefused: (peer, code, text) => this.#options.onRefused(peer, code, text),
    });
    const messages = new MessageLane({
      link,
      outbox: limits.outbox,
      backoff: { minMs: backoffMinMs, maxMs: backoffMaxMs, random },
      batchBytesMax: limits.batchBytesMax,
      timeoutMs: limits.messageTimeoutMs,
      onUnreachable: () => this.#options.onUnreachable(id),
    });
    return { link, messages, calls: link.openLane(limits.callConnectionsMax), snapshot: null };
  }

  #drop(id: NodeId, peer: Peer): void {
    this.#peers.delete(id);
    peer.snapshot?.cancel();
    // Only a bug rejects it, and an unhandled rejection ends the process, as it should.
    void this.#leave(peer);
  }

  /** Whoever waits for the answer to a call would not know what came of it if it was cut off. */
  async #leave({ link, messages, calls }: Peer): Promise<void> {
    this.#leaving.add(link);
    await Promise.all([messages.close(), calls.close()]);
    await link.close();
    this.#leaving.delete(link);
  }
}
