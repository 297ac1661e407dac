/** The messages that wait for one peer while a request to it is under way. */
import { assert } from "../lib/assert.ts";
import type { Message } from "../raft/message.ts";
import { messageBytes } from "./codec.ts";
import { MESSAGES_BODY_BYTES_MAX, MESSAGES_COUNT_MAX } from "./protocol.ts";

/** The most that may wait. `bytes` should be no less than a whole body, or that never gets sent. */
export interface OutboxLimits {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * A bounded queue. Where a message does not fit, the oldest append makes room for it: appends are
 * what is large, Raft sends them again, and by then it may know better what the peer lacks.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  #queue: Message[] = [];
  #bytes = 0;
  #dropped = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** How many messages had to make room, ever. */
  get dropped(): number {
    return this.#dropped;
  }

  push(message: Message): void {
    const bytes = messageBytes(message);
    assert(bytes <= MESSAGES_BODY_BYTES_MAX, "an append is larger than a body may be");
    if (this.#supersede(message)) return;
    this.#queue.push(message);
    this.#bytes += bytes;
    while (this.#isOver()) this.#drop();
  }

  /** The next batch, in order: at least one message, if there is one, however large. */
  take(bytesMax: number): readonly Message[] {
    let count = 0;
    let bytes = 0;
    for (const message of this.#queue) {
      const size = messageBytes(message);
      if (count > 0 && (bytes + size > bytesMax || count === MESSAGES_COUNT_MAX)) break;
      count += 1;
      bytes += size;
    }
    this.#bytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /**
   * A newer heartbeat says all that an older one of its term says. It takes the older one's place,
   * so that it is not put off again and again by a peer that is slow. A newer commit goes to the
   * end, as it is of use only behind the appends that it is about. True: the message is placed.
   */
  #supersede(message: Message): boolean {
    const { type, term } = message;
    if (type !== "heartbeat" && type !== "commit") return false;
    const at = this.#queue.findLastIndex((m) => m.type === type && m.term === term);
    if (at < 0) return false;
    if (type === "commit") {
      this.#remove(at);
      return false;
    }
    this.#queue[at] = message;
    return true;
  }

  #isOver(): boolean {
    const { messages, bytes } = this.#limits;
    return this.#queue.length > 1 && (this.#queue.length > messages || this.#bytes > bytes);
  }

  #drop(): void {
    const at = this.#queue.findIndex(({ type }) => type === "append");
    this.#remove(Math.max(at, 0));
    this.#dropped += 1;
  }

  #remove(at: number): void {
    for (const message of this.#queue.splice(at, 1)) this.#bytes -= messageBytes(message);
  }
}
