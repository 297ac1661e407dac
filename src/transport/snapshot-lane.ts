/**
 * One snapshot file on its way to one peer, chunk by chunk, over a connection of its own.
 *
 * The receiver decides where to go on, so a lost answer, a repeated chunk or a restart on either
 * side costs no more than is missing. What must not happen is a transfer without end (S5): it
 * fails where there is no progress for a while, or where the receiver goes back too often. There
 * is no limit to the whole, as nobody knows how large and slow it may be (S9).
 */
import type { Dispatcher } from "undici";
import { assert } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { Random } from "../lib/random.ts";
import { asTerm } from "../raft/types.ts";
import { Backoff } from "./backoff.ts";
import { type ChunkReply, decodeChunkReply, encodeSnapshotChunk } from "./call-codec.ts";
import { PeerCallError, type PeerLink } from "./peer-link.ts";
import { PATHS, SNAPSHOT_CHUNK_BYTES_MAX } from "./protocol.ts";

/** A snapshot file, and the term in which the sender leads. */
export interface OutgoingSnapshot {
  readonly name: string;
  readonly bytes: number;
  readonly term: number;
}

/** Reads up to `length` bytes of a file; fewer at its end. A failure to read never returns. */
export type ReadAt = (
  name: string,
  at: { offset: number; length: number },
  done: (bytes: Uint8Array) => void,
) => void;

export interface SnapshotLaneOptions {
  readonly link: PeerLink;
  readonly snapshot: OutgoingSnapshot;
  readonly readAt: ReadAt;
  readonly random: Random;
  readonly chunkBytesMax: number;
  /** The transfer fails when nothing new has arrived for so long. A third of it is for one try. */
  readonly progressTimeoutMs: number;
  /** Called once: whether the peer has it all. */
  done(ok: boolean): void;
}

/** How often the receiver may ask again for what it was sent. */
const REPEATS_MAX = 8;
const TRIES = 3;
const BACKOFF_MIN_MS = 50;

export class SnapshotLane {
  readonly #options: SnapshotLaneOptions;
  readonly #lane: Dispatcher;
  readonly #closing = new AbortController();
  #finished = false;

  constructor(options: SnapshotLaneOptions) {
    assert(options.snapshot.bytes > 0, "an empty snapshot");
    this.#options = options;
    this.#lane = options.link.openLane(1);
  }

  /** Begins to send. */
  start(): void {
    // Only a bug rejects it, and an unhandled rejection ends the process, as it should.
    void this.#run().then((ok) => this.#finish(ok));
  }

  /** Gives up, if it is not done: `done(false)`. */
  cancel(): void {
    this.#finish(false);
  }

  #finish(ok: boolean): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#closing.abort();
    void this.#options.link.closeLane(this.#lane);
    this.#options.done(ok);
  }

  async #run(): Promise<boolean> {
    const { snapshot, progressTimeoutMs } = this.#options;
    let offset = 0;
    let repeats = 0;
    while (offset < snapshot.bytes) {
      const data = await this.#read(offset);
      if (data.length === 0) return false; // The file is shorter than was said.
      const giveUpAt = performance.now() + progressTimeoutMs;
      const reply = await this.#sendUntil(giveUpAt, { offset, data });
      if (reply?.type !== "want") return false;
      if (reply.offset <= offset) repeats += 1;
      if (repeats > REPEATS_MAX) return false;
      offset = reply.offset;
    }
    return true;
  }

  /** Sends the chunk until there is an answer. Null: there was none in time. */
  async #sendUntil(giveUpAt: number, part: Part): Promise<ChunkReply | null> {
    const { random, progressTimeoutMs } = this.#options;
    const tryMs = Math.ceil(progressTimeoutMs / TRIES);
    const backoff = new Backoff({ minMs: BACKOFF_MIN_MS, maxMs: tryMs, random });
    for (;;) {
      const leftMs = Math.ceil(giveUpAt - performance.now());
      if (leftMs <= 0 || this.#finished) return null;
      const reply = await this.#send(part, Math.min(tryMs, leftMs));
      if (reply !== null) return reply;
      await backoff.wait(this.#closing.signal);
    }
  }

  async #send({ offset, data }: Part, timeoutMs: number): Promise<ChunkReply | null> {
    const { link, snapshot } = this.#options;
    const { name, bytes } = snapshot;
    const body = encodeSnapshotChunk({ term: asTerm(snapshot.term), name, bytes, offset, data });
    try {
      const reply = await link.request(this.#lane, { path: PATHS.snapshot, body, timeoutMs });
      return decodeChunkReply(reply, bytes);
    } catch (error) {
      if (error instanceof PeerCallError || error instanceof MalformedError) return null;
      throw error;
    }
  }

  #read(offset: number): Promise<Uint8Array> {
    const { snapshot, readAt, chunkBytesMax } = this.#options;
    const chunk = Math.min(chunkBytesMax, SNAPSHOT_CHUNK_BYTES_MAX);
    const length = Math.min(chunk, snapshot.bytes - offset);
    return new Promise((resolve) => readAt(snapshot.name, { offset, length }, resolve));
  }
}

interface Part {
  readonly offset: number;
  readonly data: Uint8Array;
}
