/** What a request says about how it wants to be served, in its query and its headers. */
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { IDEMPOTENCY_KEY_MAX, isIdempotencyKey } from "../kv/command.ts";
import { ServiceError } from "../service/errors.ts";
import type { ReadOptions } from "../service/reading.ts";
import { TIMEOUT_DEFAULT_MS, TIMEOUT_MAX_MS } from "./limits.ts";
import { duration, invalid, wholeNumber } from "./query.ts";

/** Parameters of every request about data. */
export const anyParams = {
  timeout: duration({ minMs: 1, maxMs: TIMEOUT_MAX_MS }).optional(),
};

/** Parameters of every read. */
export const readParams = {
  ...anyParams,
  consistency: z
    .enum(["linearizable", "lease", "stale"], "use linearizable, lease or stale")
    .optional(),
  max_stale: duration({ minMs: 0, maxMs: 86_400_000 }).optional(),
  min_revision: wholeNumber().optional(),
};

/** Parameters of every write. */
export const writeParams = {
  ...anyParams,
  version: wholeNumber().optional(),
  ttl: z.string().optional(),
  lease: wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER }).optional(),
};

/** The parameters that reads have in common, as they were given. */
export interface ReadQuery {
  readonly timeout?: number | undefined;
  readonly consistency?: ReadOptions["consistency"] | undefined;
  readonly max_stale?: number | undefined;
  readonly min_revision?: number | undefined;
}

/** The parameters that writes have in common, as they were given. */
export interface WriteQuery {
  readonly timeout?: number | undefined;
  readonly version?: number | undefined;
  readonly ttl?: string | undefined;
  readonly lease?: number | undefined;
}

/** How a read wants to be answered. Throws ServiceError INVALID_PARAM. */
export function readOptions(headers: IncomingHttpHeaders, query: ReadQuery): ReadOptions {
  const { consistency = "linearizable", max_stale = null, min_revision = null } = query;
  if (max_stale !== null && consistency !== "stale") {
    throw invalid('the parameter "max_stale" is for reads with consistency=stale');
  }
  const timeoutMs = timeoutOf(headers, query.timeout);
  return { consistency, maxStaleMs: max_stale, minRevision: min_revision, timeoutMs };
}

const TIMEOUT_HEADER = "quorate-timeout-ms";

/** How long the request may take. Throws ServiceError INVALID_PARAM. */
export function timeoutOf(headers: IncomingHttpHeaders, inQuery: number | undefined): number {
  const inHeader = headers[TIMEOUT_HEADER];
  if (inHeader === undefined) return inQuery ?? TIMEOUT_DEFAULT_MS;
  if (inQuery !== undefined) throw invalid("the timeout is given twice, as parameter and header");
  const ms = typeof inHeader === "string" && /^\d{1,5}$/.test(inHeader) ? Number(inHeader) : 0;
  if (ms >= 1 && ms <= TIMEOUT_MAX_MS) return ms;
  throw invalid(`Quorate-Timeout-Ms must be a whole number from 1 to ${TIMEOUT_MAX_MS}`);
}

/** The request's own name for its write; null: it has none. Throws ServiceError INVALID_PARAM. */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | null {
  const key = headers["idempotency-key"];
  if (key === undefined) return null;
  if (typeof key === "string" && isIdempotencyKey(key)) return key;
  throw invalid(
    `Idempotency-Key must be 1 to ${IDEMPOTENCY_KEY_MAX} visible characters of ASCII, given once`,
  );
}

/** Whether the request is for a stream of events. */
export function wantsEvents({ method, headers }: FastifyRequest): boolean {
  return method === "GET" && acceptsEvents(headers);
}

const NO_EVENTS = "events come by GET /v1/watch, for a prefix too, and by GET of a single key";

/** Throws ServiceError where the request is for events, which do not come this way. */
export function refuseEvents(headers: IncomingHttpHeaders): void {
  if (acceptsEvents(headers)) throw new ServiceError("NOT_ACCEPTABLE", NO_EVENTS);
}

function acceptsEvents({ accept }: IncomingHttpHeaders): boolean {
  return accept?.toLowerCase().includes("text/event-stream") === true;
}
