/** Answers: what all of them say about the node, and what those about a key say of the key. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { KvResult } from "../kv/store.ts";
import type { Metadata } from "../kv/version.ts";
import type { ServiceError } from "../service/errors.ts";
import type { Reading, ReadOptions } from "../service/kv-service.ts";
import { etagOf } from "./preconditions.ts";
import { Elsewhere } from "./redirect.ts";
import type { ServiceHolder } from "./service-holder.ts";
import { STATUS_CODES } from "./status-codes.ts";

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
  readonly #name: string;
  readonly #holder: ServiceHolder;

  constructor(name: string, holder: ServiceHolder) {
    this.#name = name;
    this.#holder = holder;
  }

  send(request: FastifyRequest, reply: FastifyReply, answer: Answer): FastifyReply {
    const headers = this.#nodeHeaders(request.id);
    const { status, body } = answer;
    if (body !== null) {
      headers["content-type"] = JSON_TYPE;
      headers["content-length"] = String(Buffer.byteLength(body));
    }
    Object.assign(headers, answer.headers, reply.getHeaders());
    // The body is bytes already: Fastify's own way to send would only look at it again.
    reply.hijack().raw.writeHead(status, headers);
    reply.raw.end(body);
    return reply;
  }

  fail(request: FastifyRequest, reply: FastifyReply, error: ServiceError): FastifyReply {
    const body = this.#errorBody(error, request.id);
    return this.send(request, reply, { ...statusOf(error), body });
  }

  /** An error that no route can send: the headers are all there are. */
  outsideRoutes(error: ServiceError, requestId: string): { headers: Headers; body: string } {
    const body = this.#errorBody(error, requestId);
    const headers = this.#nodeHeaders(requestId);
    headers["content-type"] = JSON_TYPE;
    headers["content-length"] = String(Buffer.byteLength(body));
    return { headers, body };
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

function statusOf(error: ServiceError): Omit<Answer, "body"> {
  if (error instanceof Elsewhere) return { status: 307, headers: { location: error.location } };
  const status = STATUS_CODES[error.code];
  return { status, headers: status === 503 ? { "retry-after": RETRY_AFTER } : {} };
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

/** What headers say of the state that a read was answered from. */
export function readHeaders(reading: Reading, { consistency }: ReadOptions): Headers {
  const headers: Record<string, string> = {
    "quorate-store-revision": String(reading.storeRevision),
    "quorate-consistency": consistency,
  };
  if (reading.lastContactMs !== null) {
    headers["quorate-last-contact-ms"] = String(Math.ceil(reading.lastContactMs));
  }
  return headers;
}

/** What headers say of a write that was applied. */
export function writeHeaders(result: KvResult & { readonly ok: true }): Headers {
  const revision = String(result.revision);
  return {
    "quorate-revision": revision,
    ...keyHeaders(result.current),
    "quorate-store-revision": revision,
    "quorate-consistency": "linearizable",
  };
}
