/** The full presentation of single keys, with all that is known of them in the body. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { kvBody } from "./body-schemas.ts";
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
  deleteParams,
  deleteTerms,
  lifeHeadersOf,
  notFound,
  type RouteDeps,
  writeTerms,
} from "./data-routes.ts";
import { describe, describeLife, describeMetadata, textOf } from "./describe.ts";
import { keyFromUrl } from "./key-path.ts";
import { readOrWait, waitParams } from "./long-poll.ts";
import { flag, queryReader, wholeNumber } from "./query.ts";
import { readParams, writeParams } from "./request-options.ts";
import { type Answer, type Headers, writeHeaders } from "./responses.ts";
import { increment, isIncrement } from "./txn-routes.ts";
import { urlOf } from "./url.ts";
import { eventsOr } from "./watch-routes.ts";

const PREFIX = "/v1/kv/";
const BYTES_TYPE = "application/octet-stream";

export const getQuery = queryReader({
  ...readParams,
  ...waitParams,
  raw: flag(),
  revision: wholeNumber().optional(),
});
export const writeQuery = queryReader({ ...writeParams, prev: flag() });
export const deleteQuery = queryReader({ ...deleteParams, prev: flag() });

/** Adds `/v1/kv/<key>`. */
export function addKvRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const path = `${PREFIX}*`;
  app.get(path, eventsOr(deps, PREFIX, dataRoute(deps, get)));
  app.put(path, dataRoute(deps, put));
  app.post(path, dataRoute(deps, post));
  app.delete(path, dataRoute(deps, del));
}

async function get(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = getQuery(url);
  const wanted = { key, query, revision: query.revision ?? null };
  const read = await readOrWait(service, request, { wanted, query });
  const { found, headers, isKnown } = read;
  if (isKnown) return { status: 304, headers, body: null };
  if (found === null) throw notFound(read);
  const wantsBytes = request.headers.accept?.toLowerCase().includes(BYTES_TYPE) === true;
  if (query.raw || wantsBytes) return bytesAnswer(found.value, headers);
  const whole = { ...describe(found), ...describeLife(service.lifeOf(found)) };
  return { status: 200, headers, body: JSON.stringify(whole) };
}

/** A counter, or what PUT does. A key that ends like a counter's path can be put. */
function post(service: KvService, request: FastifyRequest): Promise<Answer> {
  return isIncrement(request) ? increment(service, request) : put(service, request);
}

async function put(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = writeQuery(url);
  const content = contentOf(request);
  const value = valueIn(content);
  const fields = content.type === "json" ? content.fields : {};
  const { conditions, lease, ...terms } = await writeTerms(service, request, { query, fields });
  const put = { type: "put", key, value, lease, conditions, returnPrevious: query.prev } as const;
  const result = applied(await service.write(put, terms.timeoutMs, terms.idempotencyKey));
  const { current } = result;
  const body = {
    key: textOf(key),
    ...(current !== null && {
      ...describeMetadata(current),
      ...describeLife(service.lifeOf(current)),
    }),
    ...(query.prev && describePrevious(result)),
  };
  const status = current?.version === 1 ? 201 : 200;
  const headers = { ...writeHeaders(result), ...lifeHeadersOf(service, current) };
  return { status, headers, body: JSON.stringify(body) };
}

async function del(service: KvService, request: FastifyRequest): Promise<Answer> {
  const url = urlOf(request);
  const key = keyFromUrl(url, PREFIX);
  const query = deleteQuery(url);
  noBody(request);
  const terms = await deleteTerms(service, request, query);
  const { conditions, timeoutMs, idempotencyKey } = terms;
  const change = { type: "delete", key, conditions, returnPrevious: query.prev } as const;
  const result = applied(await service.write(change, timeoutMs, idempotencyKey));
  const { deleted, revision } = result;
  const headers = { ...writeHeaders(result), "quorate-deleted": String(deleted) };
  const body = JSON.stringify({ deleted, revision, ...(query.prev && describePrevious(result)) });
  return { status: 200, headers, body };
}

/** Null: the key was not there. A replay cannot tell, as values are not remembered. */
function describePrevious({ previous, replayed }: ReturnType<typeof applied>) {
  if (replayed === true) return {};
  return { prev: previous === null ? null : describe(previous) };
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
  checkFields(fields, kvBody);
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
