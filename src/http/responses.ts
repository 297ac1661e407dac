/** Answers: what all of them say about the node, and what those about a key say of the key. */
import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { KvResult } from "../kv/store.ts";
import type { Metadata } from "../kv/version.ts";
import { ServiceError } from "../service/errors.ts";
import type { Life, Reading } from "../service/reading.ts";
import { whenGone } from "./gone.ts";
import { HeadedError } from "./headed-error.ts";
import { etagOf } from "./preconditions.ts";
import { Elsewhere } from "./redirect.ts";
import type { ServiceHolder } from "./service-holder.ts";
import { STATUS_CODES } from "./status-codes.ts";
import { SMALL_BYTES, type Unsent } from "./unsent.ts";
import { pathOf, urlOf } from "./url.ts";

export type Headers = Readonly<Record<string, string>>;

/** An answer to a request. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Null: none. A string is JSON unless the headers say otherwise. */
  readonly body: string | Uint8Array | null;
}

/** How long to wait before the next attempt, in seconds: an election takes about one. */
const RETRY_AFTER = "1";
const JSON_TYPE = "application/json; charset=utf-8";

/** Sends answers in the name of this node. */
export class Responder {
  /** What clients have not taken of them yet. */
  readonly unsent: Unsent;
  readonly #name: string;
  readonly #holder: ServiceHolder;

  constructor(name: string, holder: ServiceHolder, unsent: Unsent) {
    this.#name = name;
    this.#holder = holder;
    this.unsent = unsent;
  }

  /** Sends the answer, or says that there is no room for it while clients take so little. */
  send(request: FastifyRequest, reply: FastifyReply, answer: Answer): FastifyReply {
    const { body } = answer;
    if (body === null || this.unsent.hasRoomFor(Buffer.byteLength(body))) {
      return this.#write(request, reply, answer);
    }
    return this.fail(request, reply, noRoomFor(request));
  }

  /** Throws ServiceError where there would be no room for the answer, before it is made. */
  checkRoom(request: FastifyRequest): void {
    if (!this.unsent.hasRoom && mayAskForMuch(request)) throw noRoom();
  }

  #write(request: FastifyRequest, reply: FastifyReply, answer: Answer): FastifyReply {
    const headers = this.#nodeHeaders(request.id);
    const { status, body } = answer;
    if (body !== null) {
      headers["content-type"] = JSON_TYPE;
      headers["content-length"] = String(Buffer.byteLength(body));
    }
    Object.assign(headers, answer.headers, reply.getHeaders());
    // The body is bytes already: Fastify's own way to send would only look at it again.
    reply.hijack().raw.writeHead(status, headers);
    if (body === null || Buffer.byteLength(body) <= SMALL_BYTES) reply.raw.end(body);
    else this.#writeLarge(request, reply, body);
    return reply;
  }

  /** Sends the head of an answer; the caller sends its body, which ends where it likes. */
  begin(
    request: FastifyRequest,
    reply: FastifyReply,
    { status, headers }: Omit<Answer, "body">,
  ): ServerResponse {
    const all = this.#nodeHeaders(request.id);
    Object.assign(all, headers, reply.getHeaders());
    return reply.hijack().raw.writeHead(status, all);
  }

  fail(request: FastifyRequest, reply: FastifyReply, error: ServiceError): FastifyReply {
    const body = this.#errorBody(error, request.id);
    return this.#write(request, reply, { ...statusOf(error), body });
  }

  /** An error that no route can send: the headers are all there are. */
  outsideRoutes(error: ServiceError, requestId: string): { headers: Headers; body: string } {
    const body = this.#errorBody(error, requestId);
    const headers = {
      ...this.#nodeHeaders(requestId),
      ...statusOf(error).headers,
      "content-type": JSON_TYPE,
      "content-length": String(Buffer.byteLength(body)),
    };
    return { headers, body };
  }

  /** The body counts until the client has taken it, or is gone. */
  #writeLarge(request: FastifyRequest, reply: FastifyReply, body: string | Uint8Array): void {
    // Text would be copied once more where it waits, and nobody would count that.
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const release = this.unsent.hold(bytes);
    // An answer that is not the next of its connection is not told when that is closed.
    const stopListening = whenGone(request.raw.socket, release);
    reply.raw.once("close", () => {
      stopListening();
      release();
    });
    reply.raw.end(bytes);
  }

  #nodeHeaders(requestId: string): Record<string, string> {
    const { service } = this.#holder;
    const headers: Record<string, string> = {
      "cache-control": "no-store",
      "request-id": requestId,
      "quorate-node": this.#name,
    };
    if (service === null) return headers;
    const { leaderUrl } = service;
    if (leaderUrl !== null) headers["quorate-leader"] = leaderUrl;
    headers["quorate-term"] = String(service.leadership.term);
    return headers;
  }

  /** The body of every error. */
  #errorBody(error: ServiceError, requestId: string): string {
    const { leader, term } = this.#holder.service?.leadership ?? { leader: null, term: 0 };
    return JSON.stringify({
      code: error.code,
      error: error.message,
      retryable: error.retryable,
      outcome: error.outcome,
      leader,
      term,
      request_id: requestId,
      details: error.details,
    });
  }
}

/** Whether the answer may be large: those to writes of single keys and leases hardly are. */
function mayAskForMuch(request: FastifyRequest): boolean {
  return isRead(request) || pathOf(urlOf(request)) === "/v1/txn";
}

function isRead(request: FastifyRequest): boolean {
  const { method } = request;
  return method === "GET" || method === "HEAD" || pathOf(urlOf(request)) === "/v1/batch/get";
}

function noRoom(): ServiceError {
  return new ServiceError("OVERLOADED", "clients leave too much unread on this node: ask another");
}

/** The answer of a write comes too late to refuse it. */
function noRoomFor(request: FastifyRequest): ServiceError {
  if (isRead(request)) return noRoom();
  const text = "there is no room for the answer, as clients leave too much unread on this node";
  return new ServiceError("COMMIT_TIMEOUT", `${text}: read what became of the write`);
}

function statusOf(error: ServiceError): Omit<Answer, "body"> {
  const status = error instanceof Elsewhere ? 307 : STATUS_CODES[error.code];
  const later = status === 503 || status === 429;
  const own = error instanceof HeadedError ? error.headers : {};
  return { status, headers: { ...(later && { "retry-after": RETRY_AFTER }), ...own } };
}

/** What headers say of a key; null: it is not there. */
export function keyHeaders(key: Metadata | null): Headers {
  if (key === null) return { "quorate-version": "0" };
  return {
    etag: etagOf(key),
    "quorate-version": String(key.version),
    "quorate-revision": String(key.modRevision),
  };
}

/** How long a key lives. */
export function lifeHeaders({ ttlMs }: Life): Headers {
  return ttlMs === null ? {} : { "quorate-ttl-ms": String(Math.ceil(ttlMs)) };
}

/** What headers say of the state that a read was answered from. */
export function readHeaders(
  reading: Pick<Reading, "storeRevision" | "lastContactMs" | "consistency">,
): Headers {
  const headers: Record<string, string> = {
    "quorate-store-revision": String(reading.storeRevision),
    "quorate-consistency": reading.consistency,
  };
  if (reading.lastContactMs !== null) {
    headers["quorate-last-contact-ms"] = String(Math.ceil(reading.lastContactMs));
  }
  return headers;
}

/** What headers say of a command that may have come before, under the same idempotency key. */
export function replayHeaders({ replayed }: Pick<KvResult, "replayed">): Headers {
  return replayed === true ? { "idempotency-replayed": "true" } : {};
}

/** What headers say of a write that was applied. */
export function writeHeaders(result: KvResult & { readonly ok: true }): Headers {
  const revision = String(result.revision);
  return {
    ...replayHeaders(result),
    "quorate-revision": revision,
    ...keyHeaders(result.current),
    "quorate-store-revision": revision,
    "quorate-consistency": "linearizable",
  };
}
