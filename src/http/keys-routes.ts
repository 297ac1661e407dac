/** The simple presentation: bodies are exactly `{"value":"…"}`, and all else is in headers. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { checkFields, jsonFields, noBody, textValue } from "./body.ts";
import {
  applied,
  dataRoute,
  notFound,
  readKey,
  type RouteDeps,
  writeTerms,
} from "./data-routes.ts";
import { keyFromUrl } from "./key-path.ts";
import { flag, queryReader } from "./query.ts";
import { readParams, writeParams } from "./request-options.ts";
import { type Answer, writeHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

const PREFIX = "/keys/";
const FIELDS = ["value", "version"];
const EMPTY = '{"value":""}';

const getQuery = queryReader({ ...readParams, strict: flag() });
const writeQuery = queryReader(writeParams);

/** Adds `/keys/<key>/`. */
export function addKeysRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const path = `${PREFIX}*`;
  app.get(path, dataRoute(deps, get));
  app.put(path, dataRoute(deps, put));
  app.post(path, dataRoute(deps, put));
  app.delete(path, dataRoute(deps, del));
}

async function get(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = getQuery(url);
  const { found, headers, isKnown } = await readKey(service, request, {
    key,
    query,
    revision: null,
  });
  if (isKnown) return { status: 304, headers, body: null };
  if (found !== null) return { status: 200, headers, body: bodyOf(textIn(found.value)) };
  if (query.strict) throw notFound();
  return { status: 200, headers, body: EMPTY };
}

async function put(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  const fields = jsonFields(request);
  checkFields(fields, FIELDS);
  const value = textValue(fields["value"]);
  const { conditions, timeoutMs } = writeTerms(service, request, { query, fields });
  const put = { key, value, conditions, returnPrevious: false };
  const headers = writeHeaders(applied(await service.put(put, timeoutMs)));
  return { status: 200, headers, body: bodyOf(fields["value"]) };
}

async function del(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  noBody(request);
  const { conditions, timeoutMs } = writeTerms(service, request, { query, fields: {} });
  const change = { key, conditions, returnPrevious: false };
  const result = applied(await service.delete(change, timeoutMs));
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
