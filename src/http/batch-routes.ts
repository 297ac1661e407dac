/** Reading several keys at once, as they were at one revision. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Key } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { bodyKey } from "./body-key.ts";
import { batchBody, keyBody } from "./body-schemas.ts";
import { checkFields, type Fields, jsonFields } from "./body.ts";
import { dataRoute, leading, type RouteDeps } from "./data-routes.ts";
import { describe, describeLife } from "./describe.ts";
import { BATCH_BYTES_MAX, BATCH_KEYS_MAX } from "./limits.ts";
import { refuseConditions } from "./list-routes.ts";
import { invalid, queryReader, wholeNumber } from "./query.ts";
import { readOptions, readParams } from "./request-options.ts";
import { type Answer, readHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

export const batchQuery = queryReader({ ...readParams, revision: wholeNumber().optional() });

/** Adds `POST /v1/batch/get`. */
export function addBatchRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.post("/v1/batch/get", dataRoute(deps, getMany));
}

async function getMany(service: KvService, request: FastifyRequest): Promise<Answer> {
  const query = batchQuery(urlOf(request));
  refuseConditions(request);
  const fields = jsonFields(request);
  checkFields(fields, batchBody);
  const keys = keysIn(fields["keys"]);
  const options = await leading(service, request, readOptions(request.headers, query));
  const wanted = { keys, revision: query.revision ?? null, bytesMax: BATCH_BYTES_MAX };
  const reading = await service.getMany(wanted, options);
  const items = reading.found.map((found) =>
    found === null ? null : { ...describe(found), ...describeLife(service.lifeOf(found)) },
  );
  const headers = readHeaders(reading);
  const body = JSON.stringify({ items, revision: reading.revision });
  return { status: 200, headers, body };
}

function keysIn(keys: unknown): readonly Key[] {
  if (!Array.isArray(keys)) throw invalid('"keys" in the body must be an array');
  if (keys.length <= BATCH_KEYS_MAX) return keys.map(keyIn);
  throw invalid(`"keys" in the body has ${keys.length} keys, and ${BATCH_KEYS_MAX} at most can be`);
}

/** A key as text, or with its encoding. */
function keyIn(named: unknown): Key {
  if (typeof named === "string") return bodyKey(named, "utf8");
  if (typeof named !== "object" || named === null || Array.isArray(named)) throw noKey();
  const fields = named as Fields;
  checkFields(fields, keyBody);
  const { key, encoding = "utf8" } = fields;
  const isKnown = encoding === "utf8" || encoding === "base64";
  if (typeof key !== "string" || !isKnown) throw noKey();
  return bodyKey(key, encoding);
}

function noKey(): ServiceError {
  const text = 'a key must be a string, or {"key":"…","encoding":"base64"}';
  return new ServiceError("INVALID_KEY", text);
}
