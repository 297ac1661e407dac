/** Transactions, and what is made of them: counters, and the deleting of many keys. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Txn } from "../kv/operation.ts";
import type { KvResult } from "../kv/store.ts";
import type { TxnResult } from "../kv/txn.ts";
import { isReadOnly } from "../kv/txn.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { jsonFields, noBody } from "./body.ts";
import {
  applied,
  type DataHandler,
  dataRoute,
  lifeHeadersOf,
  perhapsReplayed,
  type RouteDeps,
} from "./data-routes.ts";
import { describeMetadata } from "./describe.ts";
import { keyFromUrl } from "./key-path.ts";
import { refuseConditions } from "./list-routes.ts";
import { flag, invalid, keyText, queryReader } from "./query.ts";
import { mustLead } from "./redirect.ts";
import { anyParams, idempotencyKeyOf, timeoutOf } from "./request-options.ts";
import { type Answer, type Headers, keyHeaders, writeHeaders } from "./responses.ts";
import { incrementBodySchema, parse, prefixed, txnFrom } from "./txn-body.ts";
import { describeResults } from "./txn-results.ts";
import { pathOf, urlOf } from "./url.ts";

const INCREMENT = "/increment";
const PREFIX = "/v1/kv/";

export const txnQuery = queryReader({
  ...anyParams,
  fail: z.enum(["409"], "use 409, or leave it out").optional(),
});
export const deleteQuery = queryReader({
  ...anyParams,
  prefix: keyText({ bytesMin: 1 }).optional(),
  all: flag(),
});
export const incrementQuery = queryReader(anyParams);

/** Adds `POST /v1/txn` and `DELETE /v1/kv`. */
export function addTxnRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.post("/v1/txn", dataRoute(deps, txn));
  app.delete("/v1/kv", dataRoute(deps, deleteMany));
}

/** Whether a POST of a key is meant for a counter. */
export function isIncrement(request: FastifyRequest): boolean {
  return pathOf(urlOf(request)).replace(/\/$/, "").endsWith(INCREMENT);
}

async function txn(service: KvService, request: FastifyRequest): Promise<Answer> {
  const query = txnQuery(urlOf(request));
  refuseConditions(request);
  const txn = txnFrom(jsonFields(request));
  const mustSucceed = query.fail !== undefined;
  if (mustSucceed && txn.failure.length > 0) {
    throw invalid("fail=409 is for transactions that do nothing where they fail");
  }
  const result = await runTxn(service, request, { txn, timeout: query.timeout });
  const { revision } = result;
  const { succeeded, results } = txnIn(result);
  if (mustSucceed && !succeeded) {
    const text = "a compare does not hold, so nothing was done";
    const error = new ServiceError("TXN_FAILED", text, { details: { revision } });
    throw perhapsReplayed(error, result);
  }
  const body = { succeeded, revision, results: describeResults(results) };
  return { status: 200, headers: headersOf(result), body: JSON.stringify(body) };
}

async function deleteMany(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { prefix, all, timeout } = deleteQuery(urlOf(request));
  refuseConditions(request);
  noBody(request);
  if ((prefix === undefined) === !all) {
    throw invalid("name a prefix that is not empty, or say all=true");
  }
  const range = prefix === undefined ? prefixed("") : prefixedBytes(prefix);
  const operation = { type: "delete", ...range, returnPrevious: false } as const;
  const txn = { compares: [], success: [operation], failure: [] };
  const result = await runTxn(service, request, { txn, timeout });
  const [found] = txnIn(result).results;
  const deleted = found?.type === "delete" ? found.deleted : 0;
  const headers = { ...headersOf(result), "quorate-deleted": String(deleted) };
  return { status: 200, headers, body: JSON.stringify({ deleted, revision: result.revision }) };
}

/** `POST /v1/kv/<key>/increment`. */
export const increment: DataHandler = async (service, request) => {
  const url = urlOf(request);
  const { timeout } = incrementQuery(url);
  refuseConditions(request);
  const path = pathOf(url).replace(/\/$/, "").slice(0, -INCREMENT.length);
  const key = keyFromUrl(path, PREFIX);
  const { by, initial } = parse(incrementBodySchema, jsonFields(request));
  const operation = { type: "increment", key, by, initial } as const;
  const txn = { compares: [], success: [operation], failure: [] };
  const result = await runTxn(service, request, { txn, timeout });
  const [found] = txnIn(result).results;
  if (found?.type !== "increment") throw new ServiceError("INTERNAL", "another result");
  const { value, current } = found;
  const ofKey = { ...keyHeaders(current), ...lifeHeadersOf(service, current) };
  const headers = { ...headersOf(result), ...ofKey };
  const body = JSON.stringify({ value, ...describeMetadata(current) });
  return { status: 200, headers, body };
};

/** One that only reads asks the leader for no more than a read does. */
async function runTxn(
  service: KvService,
  request: FastifyRequest,
  { txn, timeout }: { readonly txn: Txn; readonly timeout: number | undefined },
): Promise<KvResult & { readonly ok: true }> {
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  if (isReadOnly(txn)) return applied(await service.readTxn(txn, timeoutMs));
  return applied(await service.write({ type: "txn", ...txn }, timeoutMs, idempotencyKey));
}

function prefixedBytes(prefix: ReturnType<ReturnType<typeof keyText>["parse"]>) {
  return prefixed(Buffer.from(prefix, "latin1").toString("utf8"));
}

function txnIn({ txn }: KvResult & { readonly ok: true }): TxnResult {
  if (txn === undefined) throw new ServiceError("INTERNAL", "a transaction without a result");
  return txn;
}

function headersOf(result: KvResult & { readonly ok: true }): Headers {
  const {
    etag: _,
    "quorate-version": __,
    ...headers
  } = writeHeaders(result) as Record<string, string>;
  return headers;
}
