/** What operators ask for. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { KvService } from "../service/kv-service.ts";
import { compactBody } from "./body-schemas.ts";
import { checkFields, jsonFields } from "./body.ts";
import { applied, dataRoute, type RouteDeps } from "./data-routes.ts";
import { refuseConditions } from "./list-routes.ts";
import { invalid, queryReader } from "./query.ts";
import { mustLead } from "./redirect.ts";
import { anyParams, idempotencyKeyOf, timeoutOf } from "./request-options.ts";
import { type Answer, replayHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

export const compactQuery = queryReader(anyParams);

/** Adds `POST /v1/admin/compact`. */
export function addAdminRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.post("/v1/admin/compact", dataRoute(deps, compact));
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
