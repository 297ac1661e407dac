/** The full presentation of single keys, with all that is known of them in the body. */
import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Key } from "../kv/key.ts";
import type { KeyValue, Metadata } from "../kv/version.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import {
  base64Value,
  checkedValue,
  checkFields,
  type Content,
  contentOf,
  type Fields,
  noBody,
  textValue,
} from "./body.ts";
import {
  applied,
  dataRoute,
  notFound,
  readKey,
  type RouteDeps,
  writeTerms,
} from "./data-routes.ts";
import { keyFromUrl } from "./key-path.ts";
import { flag, queryReader, wholeNumber } from "./query.ts";
import { readParams, writeParams } from "./request-options.ts";
import { type Answer, type Headers, writeHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

const PREFIX = "/v1/kv/";
const FIELDS = ["value", "encoding", "version"];
const BYTES_TYPE = "application/octet-stream";

const getQuery = queryReader({ ...readParams, raw: flag(), revision: wholeNumber().optional() });
const writeQuery = queryReader({ ...writeParams, prev: flag() });

/** Adds `/v1/kv/<key>`. */
export function addKvRoutes(app: FastifyInstance, deps: RouteDeps): void {
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
  const revision = query.revision ?? null;
  const { found, headers, isKnown } = await readKey(service, request, { key, query, revision });
  if (isKnown) return { status: 304, headers, body: null };
  if (found === null) throw notFound();
  const wantsBytes = request.headers.accept?.toLowerCase().includes(BYTES_TYPE) === true;
  if (query.raw || wantsBytes) return bytesAnswer(found.value, headers);
  return { status: 200, headers, body: JSON.stringify(describe(found)) };
}

async function put(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  const content = contentOf(request);
  const value = valueIn(content);
  const fields = content.type === "json" ? content.fields : {};
  const { conditions, timeoutMs } = writeTerms(service, request, { query, fields });
  const put = { key, value, conditions, returnPrevious: query.prev };
  const result = applied(await service.put(put, timeoutMs));
  const { current, previous } = result;
  const body = {
    key: textOf(key),
    ...(current !== null && describeMetadata(current)),
    ...(query.prev && { prev: previous === null ? null : describe(previous) }),
  };
  const status = current?.version === 1 ? 201 : 200;
  return { status, headers: writeHeaders(result), body: JSON.stringify(body) };
}

async function del(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  noBody(request);
  const { conditions, timeoutMs } = writeTerms(service, request, { query, fields: {} });
  const change = { key, conditions, returnPrevious: query.prev };
  const result = applied(await service.delete(change, timeoutMs));
  const { deleted, revision, previous } = result;
  const prev = previous === null ? null : describe(previous);
  const headers = { ...writeHeaders(result), "quorate-deleted": String(deleted) };
  const body = JSON.stringify({ deleted, revision, ...(query.prev && { prev }) });
  return { status: 200, headers, body };
}

/** Stored bytes may be anything: no browser may take them for a page of this server. */
function bytesAnswer(value: Uint8Array, headers: Headers): Answer {
  const safe = {
    "content-type": BYTES_TYPE,
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  };
  return { status: 200, headers: { ...headers, ...safe }, body: value };
}

function valueIn(content: Content): Uint8Array {
  if (content.type === "bytes") return checkedValue(content.bytes);
  const { fields } = content;
  checkFields(fields, FIELDS);
  switch (encodingIn(fields)) {
    case "utf8":
      return textValue(fields["value"]);
    case "base64":
      return base64Value(fields["value"]);
  }
}

function encodingIn({ encoding }: Fields): "utf8" | "base64" {
  if (encoding === undefined || encoding === "utf8") return "utf8";
  if (encoding === "base64") return encoding;
  throw new ServiceError("INVALID_VALUE", '"encoding" must be "utf8" or "base64"');
}

function describe(found: KeyValue) {
  const value = bufferOf(found.value);
  const encoding = isUtf8(value) ? "utf8" : "base64";
  return {
    key: textOf(found.key),
    value: value.toString(encoding),
    encoding,
    ...describeMetadata(found),
  };
}

function describeMetadata({ version, createRevision, modRevision }: Metadata) {
  return { version, create_revision: createRevision, mod_revision: modRevision };
}

/** Keys that came by a path are text. */
function textOf(key: Key): string {
  return Buffer.from(key, "latin1").toString("utf8");
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
