/** How the document describes answers: every status, with its headers and its body. */
import type { z } from "zod";
import type { ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from "zod-openapi";
import type { ErrorCode } from "../../service/errors.ts";
import { STATUS_CODES } from "../status-codes.ts";
import { NODE_HEADERS, RESPONSE_HEADERS, type ResponseHeader } from "./headers.ts";
import type { Operation } from "./operation.ts";
import { errorOf } from "./status-answers.ts";

const JSON_TYPE = "application/json";

/** Of a write that the state refused: the same request is refused so again, for a while. */
const REMEMBERED: ReadonlySet<ErrorCode> = new Set([
  "KEY_NOT_FOUND",
  "VERSION_MISMATCH",
  "PRECONDITION_FAILED",
  "REVISION_COMPACTED",
  "REVISION_IN_FUTURE",
  "LEASE_NOT_FOUND",
  "LEASE_EXISTS",
  "NOT_A_NUMBER",
  "TXN_FAILED",
  "VALUE_TOO_LARGE",
]);

/** An answer that an operation may have. */
export interface DescribedAnswer {
  readonly status: number;
  readonly description: string;
  readonly headers: readonly ResponseHeader[];
  /** By media type; none: there is no body. */
  readonly content: Readonly<Record<string, z.ZodType>>;
  /** Of an error; none: it is a success. */
  readonly codes: readonly ErrorCode[];
}

/** Every answer that the operation may have, by its status. */
export function answersOf(operation: Operation): readonly DescribedAnswer[] {
  const successes = Object.entries(operation.successes).map(([status, success]) => {
    const headers = [...NODE_HEADERS, ...success.headers];
    return { ...success, status: Number(status), headers, codes: [] };
  });
  const failures = [...errorsOf(operation)].map(([status, codes]) => {
    return failure(operation, status, codes);
  });
  return [...successes, ...failures].sort((a, b) => a.status - b.status);
}

/** The headers of answers, as operations refer to them. */
export function answerHeaders() {
  const described = Object.entries(RESPONSE_HEADERS).map(([name, description]) => {
    return [name, { description, schema: { type: "string" as const } }] as const;
  });
  return Object.fromEntries(described);
}

/** All answers of an operation; `hasBody`: they have bodies, as those to HEAD have not. */
export function responsesOf(
  operation: Operation,
  { hasBody }: { readonly hasBody: boolean },
): ZodOpenApiResponsesObject {
  const responses: Record<string, ZodOpenApiResponseObject> = {};
  for (const answer of answersOf(operation)) {
    const { status, description, headers } = answer;
    responses[status] = {
      description,
      headers: Object.fromEntries(
        headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
      ),
      ...(hasBody && { content: contentOf(answer) }),
    };
  }
  return responses as ZodOpenApiResponsesObject;
}

/** The statuses of errors, each with the codes that come with it. */
function errorsOf({ errors }: Operation): ReadonlyMap<number, readonly ErrorCode[]> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(errors)) {
    const status = STATUS_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  // What needs a leader can be told not to go on to it.
  if (errors.includes("NOT_LEADER")) byStatus.set(307, ["NOT_LEADER"]);
  return byStatus;
}

function failure(
  { headers: asked, errorHeaders = {} }: Operation,
  status: number,
  codes: readonly ErrorCode[],
): DescribedAnswer {
  const told = new Set<ResponseHeader>(NODE_HEADERS);
  if (status === 307) told.add("Location");
  if (status === 429 || status === 503) told.add("Retry-After");
  const isNamed = asked.includes("Idempotency-Key");
  if (isNamed && codes.some((code) => REMEMBERED.has(code))) told.add("Idempotency-Replayed");
  for (const code of codes) for (const name of errorHeaders[code] ?? []) told.add(name);
  const headers = [...told];
  const content = { [JSON_TYPE]: errorOf(codes) };
  return { status, description: codes.join(", "), headers, content, codes };
}

/** Errors are described by reference: hundreds of schemas of their own would take long to make. */
function contentOf({ content, codes }: DescribedAnswer) {
  if (codes.length === 0) {
    const described = Object.entries(content).map(([type, schema]) => [type, { schema }]);
    return Object.fromEntries(described);
  }
  const error = { $ref: "#/components/schemas/Error" };
  const schema = { allOf: [error, { properties: { code: { enum: codes } } }] };
  return { [JSON_TYPE]: { schema } };
}
