/** What operators ask for. */
import { compactQuery } from "../admin-routes.ts";
import { compactBody } from "../body-schemas.ts";
import { compacted } from "./answers.ts";
import { BODY_ERRORS, json, NAMED_WRITE, PAST_ERRORS, WRITE_ERRORS } from "./common.ts";
import type { Operation } from "./operation.ts";

export const adminOperations: readonly Operation[] = [
  {
    id: "compact",
    methods: ["post"],
    path: "/v1/admin/compact",
    tag: "administration",
    summary: "Forget what was before a revision",
    query: compactQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": compactBody },
    successes: { 200: json(compacted, ["Idempotency-Replayed"]) },
    errors: [...WRITE_ERRORS, ...BODY_ERRORS, ...PAST_ERRORS, "IDEMPOTENCY_CONFLICT"],
    example: { url: "/v1/admin/compact", body: { revision: 1 } },
  },
];
