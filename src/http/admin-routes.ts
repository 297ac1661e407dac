/** What operators ask for. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { KvService } from "../service/kv-service.ts";
import { compactBody } from "./body-schemas.ts";
import { addBackupRoute } from "./backup-route.ts";
import { checkFields, jsonFields, noBody } from "./body.ts";
import { applied, dataRoute, leading, type RouteDeps } from "./data-routes.ts";
import { refuseConditions } from "./list-routes.ts";
import { invalid, queryReader, wholeNumber } from "./query.ts";
import { mustLead } from "./redirect.ts";
import {
  anyParams,
  idempotencyKeyOf,
  readOptions,
  readParams,
  refuseEvents,
  timeoutOf,
} from "./request-options.ts";
import { type Answer, readHeaders, replayHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

export const compactQuery = queryReader(anyParams);
export const snapshotQuery = queryReader(anyParams);
export const hashQuery = queryReader({ ...readParams, revision: wholeNumber().optional() });

/** Adds what is below `/v1/admin/`. */
export function addAdminRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.post("/v1/admin/compact", dataRoute(deps, compact));
  app.post("/v1/admin/snapshot", dataRoute(deps, snapshot));
  app.get("/v1/admin/hash", dataRoute(deps, hash));
  addBackupRoute(app, deps);
}

/** Writes a snapshot to the disk of this very node. */
async function snapshot(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { timeout } = snapshotQuery(urlOf(request));
  refuseConditions(request);
  noBody(request);
  const { index, bytes } = await service.saveSnapshot(timeoutOf(request.headers, timeout));
  return { status: 200, headers: {}, body: JSON.stringify({ index, bytes }) };
}

/** A number for all that is there at a revision, the same on every node. */
async function hash(service: KvService, request: FastifyRequest): Promise<Answer> {
  const query = hashQuery(urlOf(request));
  refuseConditions(request);
  refuseEvents(request.headers);
  const options = await leading(service, request, readOptions(request.headers, query));
  const reading = await service.hash(query.revision ?? null, options);
  const { revision, found } = reading;
  const { compactRevision } = service.storeStatus();
  const body = { revision, hash: found, compact_revision: compactRevision };
  return { status: 200, headers: readHeaders(reading), body: JSON.stringify(body) };
}

/** Forgets what was before a revision, which itself can be read from then on as the oldest. */
async function compact(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { timeout } = compactQuery(urlOf(request));
  refuseConditions(request);
  const fields = jsonFields(request);
  checkFields(fields, compactBody);
  const { revision } = fields;
  if (typeof revision !== "number" || !Number.isSafeInteger(revision) || revision < 1) {
    throw invalid('"revision" in the body must be a whole number from 1 on');
  }
  const idempotencyKey = idempotencyKeyOf(request.headers);
  const timeoutMs = await mustLead(service, request, timeoutOf(request.headers, timeout));
  const result = applied(
    await service.write({ type: "compact", revision }, timeoutMs, idempotencyKey),
  );
  const body = { compact_revision: revision, revision: result.revision };
  return { status: 200, headers: replayHeaders(result), body: JSON.stringify(body) };
}
