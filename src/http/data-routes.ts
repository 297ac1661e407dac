/** What both presentations of the store have in common, from a request to an answer. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Condition } from "../kv/command.ts";
import type { Key } from "../kv/key.ts";
import type { KvResult } from "../kv/store.ts";
import type { KeyValue } from "../kv/version.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import type { Fields } from "./body.ts";
import { judgeRead, writeConditions } from "./preconditions.ts";
import { invalid } from "./query.ts";
import { mustLead } from "./redirect.ts";
import {
  type ReadQuery,
  readOptions,
  refuseEvents,
  refuseUnknownHeaders,
  timeoutOf,
  type WriteQuery,
} from "./request-options.ts";
import { type Answer, type Headers, keyHeaders, readHeaders, type Responder } from "./responses.ts";
import type { ServiceHolder } from "./service-holder.ts";

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
    refuseUnknownHeaders(request.headers);
    const answer = await handle(holder.open(), request);
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
  /** For the answer. */
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
  const options = readOptions(request.headers, query);
  refuseEvents(request.headers);
  if (options.consistency !== "stale") mustLead(service, request);
  const reading =
    revision === null
      ? await service.get(key, options)
      : await service.getAt(key, revision, options);
  const { found } = reading;
  const verdict = judgeRead(request.headers, found);
  if (verdict === "failed") throw preconditionFailed(found, reading.storeRevision);
  const headers = { ...keyHeaders(found), ...readHeaders(reading, options) };
  return { found, headers, isKnown: verdict === "not_modified" };
}

/** What a write needs besides key and value. */
export interface WriteTerms {
  readonly conditions: readonly Condition[];
  readonly timeoutMs: number;
}

/** Reads under which terms the request wants to write. Throws ServiceError. */
export function writeTerms(
  service: KvService,
  request: FastifyRequest,
  about: { readonly query: WriteQuery; readonly fields: Fields },
): WriteTerms {
  const { query, fields } = about;
  const conditions = writeConditions(request.headers, versionIn(query, fields));
  const timeoutMs = timeoutOf(request.headers, query.timeout);
  mustLead(service, request);
  return { conditions, timeoutMs };
}

/** A write that was applied. Throws ServiceError where its conditions did not hold. */
export function applied(result: KvResult): KvResult & { readonly ok: true } {
  if (result.ok) return result;
  const { code, current, revision } = result;
  throw notHeld(code, { current, revision });
}

export function notFound(): ServiceError {
  return new ServiceError("KEY_NOT_FOUND", "there is no such key");
}

function preconditionFailed(found: KeyValue | null, revision: number): ServiceError {
  return notHeld("PRECONDITION_FAILED", { current: found, revision });
}

/** Says what the key is instead, so that nobody has to ask again. */
function notHeld(
  code: (KvResult & { readonly ok: false })["code"],
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
