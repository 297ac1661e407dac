/** One peer: its address, how it is spoken to, and whether it refuses to listen. */
import { Client, Pool, type Dispatcher } from "undici";
import { assert } from "../lib/assert.ts";
import type { NodeId } from "../raft/types.ts";
import {
  type Identity,
  identityHeaders,
  isRefusalCode,
  printable,
  type Refusal,
  type RefusalCode,
} from "./identity.ts";
import { PostError, type PostReply, post } from "./post.ts";
import { MEDIA_TYPE, PATHS, type PeerPath, REPLY_BODY_BYTES_MAX } from "./protocol.ts";

/** A request to a peer that came to nothing. */
export class PeerCallError extends Error {
  override readonly name = "PeerCallError";
  readonly peer: NodeId;
  /**
   * False: it is certain that the peer did not act on the request. It was never written, or the
   * peer refused it before looking at what it asks. True: nobody here knows.
   */
  readonly sent: boolean;
  /** Why the peer does not listen to this node at all; null where it is something else. */
  readonly refusal: RefusalCode | null;

  constructor(peer: NodeId, text: string, about: PeerCallOutcome) {
    super(`${peer}: ${text}`, { cause: about.cause });
    this.peer = peer;
    this.sent = about.sent;
    this.refusal = about.refusal ?? null;
  }
}

interface PeerCallOutcome {
  readonly sent: boolean;
  readonly refusal?: RefusalCode;
  readonly cause?: Error;
}

export interface PeerLinkOptions {
  readonly self: Identity;
  readonly peer: NodeId;
  /** The origin of the peer's listener for peers, such as `http://10.0.0.4:5001`. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  /** Which life of the peer is spoken to; null: whichever it is. */
  life(): number | null;
  /**
   * The peer began to refuse this node, or does so for another reason than before. `text` is a
   * whole sentence for one line of a log. Not called again while nothing changes.
   */
  onRefused(peer: NodeId, code: RefusalCode, text: string): void;
}

/** A request on one of the peer's lanes. */
export interface PeerRequest {
  readonly path: PeerPath;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
}

/** No connection is kept idle for longer; the server keeps them for longer than this. */
const KEEP_ALIVE_MS = 10_000;

export class PeerLink {
  readonly peer: NodeId;
  readonly url: string;
  readonly #options: PeerLinkOptions;
  readonly #lanes = new Set<Dispatcher>();
  #refusal: RefusalCode | null = null;

  constructor(options: PeerLinkOptions) {
    this.peer = options.peer;
    this.url = options.url;
    this.#options = options;
  }

  /** One more connection to the peer, or some: what hangs on one lane does not on another. */
  openLane(connectionsMax: number): Dispatcher {
    const options = {
      connect: { timeout: this.#options.connectTimeoutMs },
      allowH2: false,
      pipelining: 1,
      // Requests have one deadline of their own.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxResponseSize: REPLY_BODY_BYTES_MAX,
    };
    const lane =
      connectionsMax === 1
        ? new Client(this.url, options)
        : new Pool(this.url, { ...options, connections: connectionsMax });
    this.#lanes.add(lane);
    return lane;
  }

  /** Cuts the lane's connections; what is under way on it fails. */
  async closeLane(lane: Dispatcher): Promise<void> {
    await lane.destroy();
    this.#lanes.delete(lane);
  }

  /** The body of the answer, if it is one of success. Rejects with a PeerCallError. */
  async request(lane: Dispatcher, request: PeerRequest): Promise<Uint8Array> {
    const reply = await this.#post(lane, request);
    if (reply.status === 200 || reply.status === 204) {
      // Everyone who asks politely may say hello: that says nothing of the rest.
      if (request.path !== PATHS.hello) this.#refusal = null;
      return reply.body;
    }
    const refusal = refusalIn(reply);
    if (refusal === null) {
      const sent = reply.status < 400 || reply.status >= 500;
      throw new PeerCallError(this.peer, `answered ${reply.status}`, { sent });
    }
    this.#noteRefusal(refusal);
    throw new PeerCallError(this.peer, refusal.text, { sent: false, refusal: refusal.code });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes].map((lane) => this.closeLane(lane)));
  }

  async #post(lane: Dispatcher, request: PeerRequest): Promise<PostReply> {
    // Who this node is may change while it runs: a doubt ends.
    const identity = identityHeaders(this.#options.self, this.peer, this.#options.life());
    const headers = { "content-type": MEDIA_TYPE, ...identity };
    try {
      return await post(lane, { ...request, headers });
    } catch (cause) {
      assert(cause instanceof PostError, () => `a request failed oddly: ${String(cause)}`);
      throw new PeerCallError(this.peer, cause.message, { sent: cause.sent, cause });
    }
  }

  #noteRefusal({ code, text }: Refusal): void {
    if (code === this.#refusal) return;
    this.#refusal = code;
    this.#options.onRefused(this.peer, code, `${this.peer} at ${this.url} ${text}`);
  }
}

/** The refusal that the answer is, or null. From a peer: nothing in it can be relied on. */
function refusalIn({ status, body }: PostReply): Refusal | null {
  if (status < 400) return null;
  let answer: unknown;
  try {
    answer = JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return null; // Not one of ours.
  }
  if (typeof answer !== "object" || answer === null) return null;
  const { code, error } = answer as { code?: unknown; error?: unknown };
  if (!isRefusalCode(code) || typeof error !== "string") return null;
  return { code, text: printable(error, 200) };
}
