/** What a request says about how it wants to be served, in its query and its headers. */
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { ServiceError } from "../service/errors.ts";
import type { ReadOptions } from "../service/kv-service.ts";
import { TIMEOUT_DEFAULT_MS, TIMEOUT_MAX_MS } from "./limits.ts";
import { duration, invalid, notYet, wholeNumber } from "./query.ts";

/** Parameters of every request about data. */
export const anyParams = {
  timeout: duration({ minMs: 1, maxMs: TIMEOUT_MAX_MS }).optional(),
};

const NO_LEASE_READS = "reads by lease are not enabled on this cluster: use linearizable or stale";

/** Parameters of every read. */
export const readParams = {
  ...anyParams,
  consistency: z
    .enum(["linearizable", "lease", "stale"], "use linearizable or stale")
    .refine((word) => word !== "lease", NO_LEASE_READS)
    .transform((word) => (word === "stale" ? "stale" : "linearizable"))
    .optional(),
  max_stale: duration({ minMs: 0, maxMs: 86_400_000 }).optional(),
  min_revision: wholeNumber().optional(),
};

/** Parameters of every write. */
export const writeParams = {
  ...anyParams,
  version: wholeNumber().optional(),
  ttl: notYet("keys with a time to live"),
  lease: notYet("leases"),
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

/** Headers of the API that this version would have to ignore, which might do harm. */
export function refuseUnknownHeaders(headers: IncomingHttpHeaders): void {
  if (headers["idempotency-key"] === undefined) return;
  throw invalid("Idempotency-Key is not available on this cluster: leave it out");
}

/** A client that asks for events would wait for ever for one. */
export function refuseEvents({ accept }: IncomingHttpHeaders): void {
  if (accept === undefined || !accept.toLowerCase().includes("text/event-stream")) return;
  const text = "watching keys by text/event-stream is not available on this cluster";
  throw new ServiceError("NOT_ACCEPTABLE", text);
}
