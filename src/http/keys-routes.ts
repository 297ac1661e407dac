/** The simple presentation: bodies are exactly `{"value":"…"}`, and all else is in headers. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { valueBody } from "./body-schemas.ts";
import { checkFields, jsonFields, noBody, textValue } from "./body.ts";
import {
  applied,
  dataRoute,
  deleteParams,
  deleteTerms,
  lifeHeadersOf,
  notFound,
  type RouteDeps,
  writeTerms,
} from "./data-routes.ts";
import { keyFromUrl } from "./key-path.ts";
import { readOrWait, waitParams } from "./long-poll.ts";
import { flag, queryReader } from "./query.ts";
import { readParams, writeParams } from "./request-options.ts";
import { type Answer, writeHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";
import { eventsOr } from "./watch-routes.ts";

const PREFIX = "/keys/";
const EMPTY = '{"value":""}';

export const getQuery = queryReader({ ...readParams, ...waitParams, strict: flag() });
export const writeQuery = queryReader(writeParams);
export const deleteQuery = queryReader(deleteParams);

/** Adds `/keys/<key>/`. */
export function addKeysRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const path = `${PREFIX}*`;
  app.get(path, eventsOr(deps, PREFIX, dataRoute(deps, get)));
  app.put(path, dataRoute(deps, put));
  app.post(path, dataRoute(deps, put));
  app.delete(path, dataRoute(deps, del));
}

async function get(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = getQuery(url);
  const wanted = { key, query, revision: null };
  const read = await readOrWait(service, request, { wanted, query });
  const { found, headers, isKnown } = read;
  if (isKnown) return { status: 304, headers, body: null };
  if (found !== null) return { status: 200, headers, body: bodyOf(textIn(found.value)) };
  if (query.strict) throw notFound(read);
  return { status: 200, headers, body: EMPTY };
}

async function put(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  const fields = jsonFields(request);
  checkFields(fields, valueBody);
  const value = textValue(fields["value"]);
  const { conditions, lease, ...terms } = await writeTerms(service, request, { query, fields });
  const put = { type: "put", key, value, lease, conditions, returnPrevious: false } as const;
  const { timeoutMs, idempotencyKey } = terms;
  const result = applied(await service.write(put, timeoutMs, idempotencyKey));
  const headers = { ...writeHeaders(result), ...lifeHeadersOf(service, result.current) };
  return { status: 200, headers, body: bodyOf(fields["value"]) };
}

async function del(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = deleteQuery(url);
  noBody(request);
  const terms = await deleteTerms(service, request, query);
  const { conditions, timeoutMs, idempotencyKey } = terms;
  const change = { type: "delete", key, conditions, returnPrevious: false } as const;
  const result = applied(await service.write(change, timeoutMs, idempotencyKey));
  const headers = { ...writeHeaders(result), "quorate-deleted": String(result.deleted) };
  return { status: 200, headers, body: EMPTY };
}

function bodyOf(value: unknown): string {
  return `{"value":${JSON.stringify(value)}}`;
}

/** What was stored as bytes may not be text, and must not be shown as something else. */
function textIn(value: Uint8Array): string {
  if (isUtf8(value)) return Buffer.from(value.buffer, value.byteOffset, value.length).toString();
  const text = "the value is not text: read it at /v1/kv/<key>";
  throw new ServiceError("NOT_ACCEPTABLE", text);
}
