/** Locks with fencing tokens. */
import { createHash, randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { KvService } from "../service/kv-service.ts";
import type { HeldLock } from "../service/locks.ts";
import { lockBody, lockRenewalBody } from "./body-schemas.ts";
import { checkFields, type Fields, jsonFields, noBody } from "./body.ts";
import { dataRoute, type RouteDeps } from "./data-routes.ts";
import { textOf } from "./describe.ts";
import { whenGone } from "./gone.ts";
import { keyFromUrl } from "./key-path.ts";
import { ttlMs } from "./lease-choice.ts";
import { refuseConditions } from "./list-routes.ts";
import { duration, invalid, queryReader, wholeNumber } from "./query.ts";
import { mustLead } from "./redirect.ts";
import { anyParams, idempotencyKeyOf, timeoutOf } from "./request-options.ts";
import { type Answer, type Headers, replayHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

const PREFIX = "/v1/locks/";
/** A lock is waited for by a request that is under way. */
const WAIT_MAX_S = 60;
const OWNER_CHARS_MAX = 256;
/** Of a name that is made up: more than anybody guesses. */
const OWNER_BYTES = 12;

export const plainQuery = queryReader(anyParams);
export const releaseQuery = queryReader({ ...anyParams, token: wholeNumber().optional() });

/** Adds `/v1/locks/<name>`. */
export function addLockRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const path = `${PREFIX}*`;
  app.get(path, dataRoute(deps, get));
  app.post(path, dataRoute(deps, acquire));
  app.put(path, dataRoute(deps, renew));
  app.delete(path, dataRoute(deps, release));
}

async function acquire(service: KvService, request: FastifyRequest): Promise<Answer> {
  const name = nameIn(request);
  const { timeout } = plainQuery(urlOf(request));
  const fields = jsonFields(request);
  checkFields(fields, lockBody);
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const wish = {
    name,
    owner: ownerIn(fields, idempotencyKey),
    ttlMs: ttlMs(fields["ttl"]),
    waitMs: waitMs(fields),
    idempotencyKey,
    timeoutMs: await mustLead(service, request, timeoutOf(request.headers, timeout)),
  };
  const gone = new AbortController();
  const stopListening = whenGone(request.raw.socket, () => gone.abort());
  try {
    const held = await service.locks.acquire(wish, gone.signal);
    return { ...answer(held), headers: replayHeadersOf(held) };
  } finally {
    stopListening();
  }
}

async function renew(service: KvService, request: FastifyRequest): Promise<Answer> {
  const name = nameIn(request);
  const { timeout } = plainQuery(urlOf(request));
  const fields = jsonFields(request);
  checkFields(fields, lockRenewalBody);
  const token = fields["token"];
  if (typeof token !== "number" || !Number.isSafeInteger(token) || token < 1) {
    throw invalid('"token" must be the token that came with the lock');
  }
  const ttl = ttlMs(fields["ttl"]);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  return answer(await service.locks.renew({ name, token, timeoutMs }, ttl));
}

async function release(service: KvService, request: FastifyRequest): Promise<Answer> {
  const name = nameIn(request);
  const { token, timeout } = releaseQuery(urlOf(request));
  noBody(request);
  if (token === undefined)
    throw invalid("say which: ?token= and the token that came with the lock");
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  const result = await service.locks.release({ name, token, timeoutMs, idempotencyKey });
  const body = JSON.stringify({ released: result.released });
  return { status: 200, headers: replayHeadersOf(result), body };
}

async function get(service: KvService, request: FastifyRequest): Promise<Answer> {
  const name = nameIn(request);
  const { timeout } = plainQuery(urlOf(request));
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  const { holder, waiting } = await service.lockState(name, timeoutMs);
  const body = { name, holder: holder === null ? null : describeLock(holder), waiting };
  return { status: 200, headers: {}, body: JSON.stringify(body) };
}

function answer(held: HeldLock): Answer {
  return { status: 200, headers: {}, body: JSON.stringify(describeLock(held)) };
}

function replayHeadersOf({ isReplay }: { readonly isReplay: boolean }): Headers {
  return replayHeaders(isReplay ? { replayed: true } : {});
}

function describeLock({ key, token, owner }: HeldLock) {
  return { token, owner, key: textOf(key) };
}

/** Locks have tokens, and no ETags. */
function nameIn(request: FastifyRequest): string {
  refuseConditions(request);
  return textOf(keyFromUrl(urlOf(request), PREFIX));
}

/**
 * Whoever gives no name is nobody that could come again, unless by the name of the request: then it
 * is the same on whichever node it comes again.
 */
function ownerIn({ owner }: Fields, idempotencyKey: string | null): string {
  if (owner === undefined) {
    if (idempotencyKey === null) return randomBytes(OWNER_BYTES).toString("hex");
    const digest = createHash("sha256").update(idempotencyKey).digest();
    return digest.subarray(0, OWNER_BYTES).toString("hex");
  }
  const isName = typeof owner === "string" && owner !== "" && owner.isWellFormed();
  if (isName && owner.length <= OWNER_CHARS_MAX) return owner;
  throw invalid(`"owner" must be a text of 1 to ${OWNER_CHARS_MAX} characters`);
}

/** In seconds, or as a time such as `5s`. */
function waitMs({ wait }: Fields): number {
  if (wait === undefined) return 0;
  const bounds = { minMs: 0, maxMs: WAIT_MAX_S * 1_000 };
  const ms = typeof wait === "number" ? wait * 1_000 : duration(bounds).safeParse(wait).data;
  if (ms !== undefined && ms >= 0 && ms <= bounds.maxMs) return Math.ceil(ms);
  throw invalid(`"wait" must be a number of seconds, at most ${WAIT_MAX_S}`);
}
