/**
 * Raft messages to one peer: one request under way, and what queues meanwhile is the next.
 *
 * That keeps their order, shares a request among as many messages as there are, and lets a peer
 * that is slow or gone cost no more than its own bounded outbox.
 */
import type { Dispatcher } from "undici";
import type { Message } from "../raft/message.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { encodeMessages } from "./codec.ts";
import { Outbox, type OutboxLimits } from "./outbox.ts";
import { PeerCallError, type PeerLink } from "./peer-link.ts";
import { PATHS } from "./protocol.ts";

export interface MessageLaneOptions {
  readonly link: PeerLink;
  readonly outbox: OutboxLimits;
  readonly backoff: BackoffOptions;
  /** A batch ends before the message that would make it larger. */
  readonly batchBytesMax: number;
  /** How long the peer has to answer a batch, beside the time that its bytes need. */
  readonly timeoutMs: number;
  /**
   * A batch was lost: all that was in it, and perhaps more. Called for every failed request, as
   * each may have held what was sent since the last one failed; the backoff keeps them few.
   */
  onUnreachable(): void;
}

export interface MessageLaneStats {
  /** Requests, and the messages in them, whether or not they arrived. */
  readonly requests: number;
  readonly messages: number;
  readonly failures: number;
  /** Waiting now. */
  readonly queued: number;
  /** Gave way in a full outbox. */
  readonly dropped: number;
}

/** The slowest link on which a large batch is waited for: one MiB a second. */
const BYTES_PER_MS = 1024;

export class MessageLane {
  readonly #options: MessageLaneOptions;
  readonly #outbox: Outbox;
  readonly #backoff: Backoff;
  readonly #lane: Dispatcher;
  readonly #closing = new AbortController();
  #draining = false;
  #requests = 0;
  #messages = 0;
  #failures = 0;

  constructor(options: MessageLaneOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.outbox);
    this.#backoff = new Backoff(options.backoff);
    this.#lane = options.link.openLane(1);
  }

  /** Never waits. What is sent in one turn goes in one request. */
  send(messages: readonly Message[]): void {
    if (this.#closing.signal.aborted) return;
    for (const message of messages) this.#outbox.push(message);
    if (this.#draining) return;
    this.#draining = true;
    // Only a bug rejects it, and an unhandled rejection ends the process, as it should.
    queueMicrotask(() => void this.#drain());
  }

  stats(): MessageLaneStats {
    return {
      requests: this.#requests,
      messages: this.#messages,
      failures: this.#failures,
      queued: this.#outbox.length,
      dropped: this.#outbox.dropped,
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#options.link.closeLane(this.#lane);
  }

  async #drain(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted && this.#outbox.length > 0) {
      const delivered = await this.#deliver(this.#outbox.take(this.#options.batchBytesMax));
      if (delivered) {
        this.#backoff.reset();
      } else if (!signal.aborted) {
        this.#failures += 1;
        this.#options.onUnreachable();
        await this.#backoff.wait(signal);
      }
    }
    this.#draining = false;
  }

  async #deliver(batch: readonly Message[]): Promise<boolean> {
    const { link, timeoutMs } = this.#options;
    const body = encodeMessages(batch);
    this.#requests += 1;
    this.#messages += batch.length;
    try {
      const patience = timeoutMs + Math.ceil(body.length / BYTES_PER_MS);
      await link.request(this.#lane, { path: PATHS.messages, body, timeoutMs: patience });
      return true;
    } catch (error) {
      if (error instanceof PeerCallError) return false; // Raft sends again.
      throw error;
    }
  }
}
