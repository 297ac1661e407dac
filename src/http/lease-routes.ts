/** Leases: keys that live as long as somebody renews them. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { isKeySize, type Key, keyOf } from "../kv/key.ts";
import type { Lease } from "../kv/leases.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService, LeaseReading } from "../service/kv-service.ts";
import { leaseBody } from "./body-schemas.ts";
import { checkFields, jsonFields, noBody } from "./body.ts";
import { cursorBytes, damaged } from "./cursor.ts";
import { applied, dataRoute, noSuchLease, type RouteDeps } from "./data-routes.ts";
import { describeKey } from "./describe.ts";
import { leaseId, ttlMs } from "./lease-choice.ts";
import { LEASE_KEY_BYTES_MAX, LEASE_KEYS_MAX } from "./limits.ts";
import { refuseConditions } from "./list-routes.ts";
import { flag, invalid, queryReader, text, wholeNumber } from "./query.ts";
import { mustLead } from "./redirect.ts";
import { anyParams, idempotencyKeyOf, timeoutOf } from "./request-options.ts";
import { type Answer, replayHeaders } from "./responses.ts";
import { pathOf, urlOf } from "./url.ts";

const PREFIX = "/v1/leases/";

export const plainQuery = queryReader(anyParams);
export const getQuery = queryReader({
  ...anyParams,
  keys: flag(),
  limit: wholeNumber({ min: 1, max: LEASE_KEYS_MAX }).optional(),
  cursor: text().optional(),
});

/** Adds `/v1/leases` and `/v1/leases/<id>`. */
export function addLeaseRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.post("/v1/leases", dataRoute(deps, grant));
  const path = `${PREFIX}*`;
  app.get(path, dataRoute(deps, get));
  app.put(path, dataRoute(deps, renew));
  app.delete(path, dataRoute(deps, revoke));
}

async function grant(service: KvService, request: FastifyRequest): Promise<Answer> {
  const query = plainQuery(urlOf(request));
  refuseConditions(request);
  const fields = jsonFields(request);
  checkFields(fields, leaseBody);
  const id = fields["id"] === undefined ? 0 : leaseId(fields["id"]);
  const command = { type: "grant", id, ttlMs: ttlMs(fields["ttl"]) } as const;
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, query.timeout));
  const result = applied(await service.write(command, timeoutMs, idempotencyKey));
  const [lease] = result.leases ?? [];
  if (!lease) throw new ServiceError("INTERNAL", "a lease was granted, and is not there");
  const headers = { ...replayHeaders(result), location: `${PREFIX}${lease.id}` };
  return { status: 201, headers, body: JSON.stringify(describeLease(service, lease)) };
}

async function renew(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { timeout } = plainQuery(urlOf(request));
  const { id, timeoutMs } = await named(service, request, timeout);
  noBody(request);
  const lease = await service.renew(id, timeoutMs);
  if (lease === null) throw noSuchLease();
  return { status: 200, headers: {}, body: JSON.stringify(describeLease(service, lease)) };
}

async function get(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { keys, limit, cursor, timeout } = getQuery(urlOf(request));
  if (!keys && (limit ?? cursor) !== undefined) throw invalid('"limit" and "cursor" need "keys"');
  const { id, timeoutMs } = await named(service, request, timeout);
  const page = {
    after: cursor === undefined ? null : keyOfCursor(cursor),
    entries: keys ? (limit ?? LEASE_KEYS_MAX) : 0,
    bytes: LEASE_KEY_BYTES_MAX,
  };
  const found = await service.lease(id, page, timeoutMs);
  if (found === null) throw noSuchLease();
  const body = { ...describeLease(service, found.lease), ...(keys && describeKeys(found)) };
  return { status: 200, headers: {}, body: JSON.stringify(body) };
}

async function revoke(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { timeout } = plainQuery(urlOf(request));
  const { id, timeoutMs } = await named(service, request, timeout);
  noBody(request);
  const key = idempotencyKeyOf(request.headers);
  const result = applied(await service.write({ type: "revoke", id }, timeoutMs, key));
  const { deleted, revision } = result;
  return {
    status: 200,
    headers: replayHeaders(result),
    body: JSON.stringify({ deleted, revision }),
  };
}

async function named(
  service: KvService,
  request: FastifyRequest,
  timeout: number | undefined,
): Promise<{ id: number; timeoutMs: number }> {
  const text = pathOf(urlOf(request)).slice(PREFIX.length).replace(/\/$/, "");
  if (!/^[1-9]\d{0,15}$/.test(text) || !Number.isSafeInteger(Number(text))) throw noSuchLease();
  refuseConditions(request);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  return { id: Number(text), timeoutMs };
}

/** `cursor`: for the next page; null: those were the last keys. */
function describeKeys({ keys, more }: LeaseReading) {
  const names = keys.map((key) => {
    const { key: name, key_encoding: encoding } = describeKey(key);
    return encoding === undefined ? name : { key: name, key_encoding: encoding };
  });
  const last = keys.at(-1);
  return { keys: names, cursor: more && last !== undefined ? cursorOf(last) : null };
}

/** The key that the page ends with: the next one begins behind it, whatever has changed. */
function cursorOf(last: Key): string {
  return Buffer.from(last, "latin1").toString("base64url");
}

function keyOfCursor(cursor: string): Key {
  const bytes = cursorBytes(cursor);
  if (isKeySize(bytes.length)) return keyOf(bytes);
  throw damaged();
}

/** `deadline_ms`: in how many milliseconds it ends if nobody renews it. */
function describeLease(service: KvService, { id, ttlMs: ttl, deadline }: Lease) {
  const left = Math.max(0, deadline - service.raftStatus().clusterTime);
  return { id, ttl_ms: ttl, deadline_ms: left };
}
