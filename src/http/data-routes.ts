/** What both presentations of the store have in common, from a request to an answer. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Condition } from "../kv/command.ts";
import type { Key } from "../kv/key.ts";
import type { LeaseChoice } from "../kv/operation.ts";
import type { Refused } from "../kv/result.ts";
import type { KvResult } from "../kv/store.ts";
import type { KeyValue, Metadata } from "../kv/version.ts";
import { ServiceError, tooManyReplies, usedForAnother } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import type { ReadOptions } from "../service/reading.ts";
import type { Fields } from "./body.ts";
import { HeadedError } from "./headed-error.ts";
import { leaseChoice } from "./lease-choice.ts";
import { judgeRead, writeConditions } from "./preconditions.ts";
import { invalid } from "./query.ts";
import { mustLead } from "./redirect.ts";
import {
  idempotencyKeyOf,
  type ReadQuery,
  readOptions,
  refuseEvents,
  timeoutOf,
  type WriteQuery,
  writeParams,
} from "./request-options.ts";
import {
  type Answer,
  type Headers,
  keyHeaders,
  lifeHeaders,
  readHeaders,
  replayHeaders,
  type Responder,
} from "./responses.ts";
import type { ServiceHolder } from "./service-holder.ts";

const { ttl: _ttl, lease: _lease, ...ofDeletes } = writeParams;
/** Parameters of every delete: what is gone has neither a time to live nor a lease. */
export const deleteParams = ofDeletes;

const TXN_TOO_LARGE =
  "the transaction would read too much: ask for fewer keys in one transaction, use a list";

/** What routes are made with. */
export interface RouteDeps {
  readonly holder: ServiceHolder;
  readonly responder: Responder;
}

/** Answers a request about data, or throws a ServiceError. */
export type DataHandler = (service: KvService, request: FastifyRequest) => Promise<Answer>;

/** A Fastify handler that answers by `handle`. */
export function dataRoute({ holder, responder }: RouteDeps, handle: DataHandler) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const service = holder.open();
    responder.checkRoom(request);
    const answer = await handle(service, request);
    return responder.send(request, reply, answer);
  };
}

/** A key to read, and at which revision; null: now. */
export interface Wanted {
  readonly key: Key;
  readonly revision: number | null;
  readonly query: ReadQuery;
}

/** What was read. */
export interface Found {
  readonly found: KeyValue | null;
  /** Of the state that it was read from. */
  readonly storeRevision: number;
  /** For the answer, whether or not the key is there. */
  readonly headers: Headers;
  /** The client has it already. */
  readonly isKnown: boolean;
}

/** Reads a key as the request wants it. Throws ServiceError. */
export async function readKey(
  service: KvService,
  request: FastifyRequest,
  { key, revision, query }: Wanted,
): Promise<Found> {
  refuseEvents(request.headers);
  const options = await leading(service, request, readOptions(request.headers, query));
  const reading =
    revision === null
      ? await service.get(key, options)
      : await service.getAt(key, revision, options);
  const { found, storeRevision } = reading;
  const life = lifeHeadersOf(service, found);
  const headers = { ...keyHeaders(found), ...readHeaders(reading), ...life };
  const verdict = judgeRead(request.headers, found);
  if (verdict === "failed") {
    const failed = notHeld("PRECONDITION_FAILED", { current: found, revision: storeRevision });
    throw new HeadedError(failed, headers);
  }
  return { found, storeRevision, headers, isKnown: verdict === "not_modified" };
}

/** How to read, once this node may. Throws ServiceError where the leader must be asked itself. */
export async function leading(
  service: KvService,
  request: FastifyRequest,
  options: ReadOptions,
): Promise<ReadOptions> {
  if (options.consistency === "stale") return options;
  return { ...options, timeoutMs: await mustLead(service, request, options.timeoutMs) };
}

/** How long a key lives, for the answer; null: it is not there. */
export function lifeHeadersOf(service: KvService, key: Metadata | null): Headers {
  return key === null ? {} : lifeHeaders(service.lifeOf(key));
}

/** What a write needs besides key and value. */
export interface WriteTerms {
  readonly conditions: readonly Condition[];
  /** Of a put. */
  readonly lease: LeaseChoice;
  readonly timeoutMs: number;
  readonly idempotencyKey: string | null;
}

/** Reads under which terms the request wants to write. Throws ServiceError. */
export async function writeTerms(
  service: KvService,
  request: FastifyRequest,
  about: { readonly query: WriteQuery; readonly fields: Fields },
): Promise<WriteTerms> {
  const { query, fields } = about;
  const conditions = writeConditions(request.headers, versionIn(query, fields));
  const lease = leaseChoice(query, fields);
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, query.timeout));
  return { conditions, lease, timeoutMs, idempotencyKey };
}

/** The same of a delete, which has no body. */
export function deleteTerms(
  service: KvService,
  request: FastifyRequest,
  query: WriteQuery,
): Promise<WriteTerms> {
  return writeTerms(service, request, { query, fields: {} });
}

/** A write that was applied. Throws ServiceError where its conditions did not hold. */
export function applied(result: KvResult): KvResult & { readonly ok: true } {
  if (result.ok) return result;
  throw perhapsReplayed(refusalOf(result), result);
}

/** The error; where it is what came of an earlier request, its answer says so. */
export function perhapsReplayed(error: ServiceError, result: KvResult): ServiceError {
  return result.replayed === true ? new HeadedError(error, replayHeaders(result)) : error;
}

/** Why a command changed nothing, as an error that says what to do about it. */
function refusalOf({ code, current, revision }: Refused): ServiceError {
  switch (code) {
    case "LEASE_NOT_FOUND":
      return noSuchLease();
    case "LEASE_EXISTS":
      return new ServiceError(code, "there is a lease of this id already");
    case "NOT_A_NUMBER":
      return new ServiceError(code, "a counter must hold a whole number, and stay below 2^53");
    case "TXN_TOO_LARGE":
      return new ServiceError("VALUE_TOO_LARGE", TXN_TOO_LARGE, { details: { revision } });
    case "TOO_MANY_REPLIES":
      return tooManyReplies();
    case "IDEMPOTENCY_CONFLICT":
      return usedForAnother();
    case "REVISION_COMPACTED":
    case "REVISION_IN_FUTURE":
      return new ServiceError(code, "there is no such revision", { details: { revision } });
    case "KEY_NOT_FOUND":
    case "PRECONDITION_FAILED":
    case "VERSION_MISMATCH":
      return notHeld(code, { current, revision });
  }
}

/** It cannot be renewed, read or revoked, and no key can hang on it. */
export function noSuchLease(): ServiceError {
  const text = "there is no such lease: it was revoked, or its time is over";
  return new ServiceError("LEASE_NOT_FOUND", text);
}

/** There is no such key: told of a state, after which a client can wait for one. */
export function notFound({ storeRevision, headers }: Found): ServiceError {
  const details = { revision: storeRevision };
  const error = new ServiceError("KEY_NOT_FOUND", "there is no such key", { details });
  return new HeadedError(error, headers);
}

/** Says what the key is instead, so that nobody has to ask again. */
function notHeld(
  code: "VERSION_MISMATCH" | "KEY_NOT_FOUND" | "PRECONDITION_FAILED",
  { current, revision }: Pick<KvResult, "current" | "revision">,
): ServiceError {
  const version = current?.version ?? 0;
  const now = current === null ? "there is no such key" : `the key is at version ${version}`;
  const details = { version, mod_revision: current?.modRevision ?? 0, revision };
  return new ServiceError(code, `the condition does not hold: ${now}`, { details });
}

function versionIn({ version: inQuery }: WriteQuery, fields: Fields): number | undefined {
  const inBody = fields["version"];
  if (inBody === undefined) return inQuery;
  if (inQuery !== undefined)
    throw invalid("the version is given twice, as parameter and in the body");
  if (typeof inBody === "number" && Number.isSafeInteger(inBody) && inBody >= 0) return inBody;
  throw invalid('"version" in the body must be a whole number');
}
