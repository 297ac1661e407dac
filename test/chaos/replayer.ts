/** Records the requests between nodes and sends them again: at once, seconds or minutes later. */
import { connect } from "node:net";
import type { Prng } from "../../src/lib/random.ts";
import { PATHS } from "../../src/transport/protocol.ts";
import type { PeerProxy } from "../integration/peer-proxy.ts";
import { type RawRequest, RequestSplitter } from "./http-requests.ts";

/**
 * Everything but forwarded writes. Those are asked at most once, by a sender that knows whether it
 * wrote a byte; no network below HTTP delivers a whole request twice, and a second one would be a
 * second write. What Raft itself sends must survive any repetition, and is promised to.
 */
const REPEATABLE: readonly string[] = [
  PATHS.messages,
  PATHS.readIndex,
  PATHS.hello,
  PATHS.snapshot,
  PATHS.digest,
];
const KEPT_MAX = 4_000;
const REQUEST_BYTES_MAX = 64 * 1024;
/** A node that is stopped does not answer; nobody waits for it longer. */
const PATIENCE_MS = 3_000;

interface Recorded extends RawRequest {
  readonly at: number;
}

/** The old requests to one node. */
export class Replayer {
  /** The path of each one that was sent again. */
  readonly replayed: string[] = [];
  /** The greatest age of one that was sent again, in milliseconds. */
  oldestMs = 0;
  readonly #proxy: PeerProxy;
  readonly #random: Prng;
  readonly #kept: Recorded[] = [];

  constructor(proxy: PeerProxy, random: Prng) {
    this.#proxy = proxy;
    this.#random = random;
    proxy.tapWith(() => {
      const splitter = new RequestSplitter((request) => this.#record(request));
      return (chunk) => splitter.push(chunk);
    });
  }

  /**
   * Sends some of the old requests again, on a new connection, in any order. Resolves when they
   * are answered, or the connection has ended otherwise. What is cut off stays cut off.
   */
  async replay(count: number): Promise<void> {
    const chosen: Recorded[] = [];
    for (let i = 0; i < count && this.#kept.length > 0; i++) {
      const one = this.#random.pick(this.#kept);
      if (this.#proxy.hears(one.from)) chosen.push(one);
    }
    if (chosen.length === 0) return;
    for (const { path, at } of chosen) {
      this.replayed.push(path);
      this.oldestMs = Math.max(this.oldestMs, performance.now() - at);
    }
    await sendAll(this.#proxy.target, Buffer.concat(chosen.map(({ bytes }) => bytes)));
  }

  /** Once it is full, each new one takes the place of any other: a few stay for very long. */
  #record(request: RawRequest): void {
    if (!REPEATABLE.includes(request.path) || request.bytes.length > REQUEST_BYTES_MAX) return;
    const recorded = { ...request, at: performance.now() };
    if (this.#kept.length < KEPT_MAX) this.#kept.push(recorded);
    else this.#kept[this.#random.below(KEPT_MAX)] = recorded;
  }
}

function sendAll(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    // A node that is down refuses: then they are lost once more.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.end(bytes);
  });
}
