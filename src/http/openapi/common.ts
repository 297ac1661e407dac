/** What operations have in common: their headers, their errors, and the forms of their answers. */
import type { z } from "zod";
import type { ErrorCode } from "../../service/errors.ts";
import type { RequestHeader, ResponseHeader } from "./headers.ts";
import type { Success } from "./operation.ts";

/** Whatever is asked. */
export const ANY_ERRORS: readonly ErrorCode[] = [
  "INVALID_REQUEST",
  "INVALID_PARAM",
  "INCOMPLETE_BODY",
  "REQUEST_TIMEOUT",
  "URL_TOO_LONG",
  "EXPECTATION_FAILED",
  "HEADERS_TOO_LARGE",
  "INTERNAL",
];

/** Of a node that is not, or no more, part of the cluster. */
export const NOT_SERVED: readonly ErrorCode[] = [
  "NOT_READY",
  "SHUTTING_DOWN",
  "CORRUPT",
  "MEMBER_REMOVED",
];

const DATA_ERRORS: readonly ErrorCode[] = [
  ...ANY_ERRORS,
  ...NOT_SERVED,
  "NO_LEADER",
  "NOT_LEADER",
  "OVERLOADED",
];

export const READ_ERRORS: readonly ErrorCode[] = [
  ...DATA_ERRORS,
  "TOO_STALE",
  "READ_TIMEOUT",
  "REVISION_NOT_REACHED",
];

export const WRITE_ERRORS: readonly ErrorCode[] = [
  ...DATA_ERRORS,
  "COMMIT_TIMEOUT",
  "FORWARD_FAILED",
];

/** Of whatever names a key in its path. */
export const KEY_ERRORS: readonly ErrorCode[] = ["INVALID_KEY", "KEY_TOO_LONG", "ROUTE_NOT_FOUND"];
export const CONDITION_ERRORS: readonly ErrorCode[] = [
  "KEY_NOT_FOUND",
  "VERSION_MISMATCH",
  "PRECONDITION_FAILED",
];
export const BODY_ERRORS: readonly ErrorCode[] = [
  "INVALID_JSON",
  "UNSUPPORTED_MEDIA_TYPE",
  "VALUE_TOO_LARGE",
];
/** Of a body where there should be none. */
export const NO_BODY_ERRORS: readonly ErrorCode[] = ["UNSUPPORTED_MEDIA_TYPE", "VALUE_TOO_LARGE"];
export const PAST_ERRORS: readonly ErrorCode[] = ["REVISION_IN_FUTURE", "REVISION_COMPACTED"];

const ANY: readonly RequestHeader[] = ["Request-Id"];
export const REQUEST: readonly RequestHeader[] = [...ANY, "Quorate-Forward", "Quorate-Timeout-Ms"];
/** Of changes of the cluster, which every node passes on. */
export const CHANGE_REQUEST: readonly RequestHeader[] = [...ANY, "Quorate-Timeout-Ms"];
export const NAMED_WRITE: readonly RequestHeader[] = [...REQUEST, "Idempotency-Key"];
export const KEY_WRITE: readonly RequestHeader[] = [...NAMED_WRITE, "If-Match", "If-None-Match"];
export const KEY_READ: readonly RequestHeader[] = [
  ...REQUEST,
  "Accept",
  "If-Match",
  "If-None-Match",
  "Prefer",
  "Last-Event-ID",
];
export const NODE_REQUEST = ANY;

const STORE: readonly ResponseHeader[] = ["Quorate-Store-Revision", "Quorate-Consistency"];
export const READ_ANSWER: readonly ResponseHeader[] = [...STORE, "Quorate-Last-Contact-Ms"];
const KEY: readonly ResponseHeader[] = ["ETag", "Quorate-Version", "Quorate-Revision"];
export const KEY_ANSWER: readonly ResponseHeader[] = [...READ_ANSWER, ...KEY, "Quorate-Ttl-Ms"];
const REPLAY: readonly ResponseHeader[] = ["Idempotency-Replayed"];
export const PUT_ANSWER: readonly ResponseHeader[] = [
  ...STORE,
  ...KEY,
  ...REPLAY,
  "Quorate-Ttl-Ms",
];
export const DELETE_ANSWER: readonly ResponseHeader[] = [
  ...STORE,
  ...REPLAY,
  "Quorate-Version",
  "Quorate-Revision",
  "Quorate-Deleted",
];
export const TXN_ANSWER: readonly ResponseHeader[] = [...STORE, ...REPLAY, "Quorate-Revision"];

/** Of a counter. */
export const COUNT_ANSWER: readonly ResponseHeader[] = [...TXN_ANSWER, ...KEY, "Quorate-Ttl-Ms"];
export const REPLAYED_ANSWER = REPLAY;
/** A key that is not there, or is another one, is told with the state that says so. */
export const KEY_READ_ERRORS = {
  KEY_NOT_FOUND: [...READ_ANSWER, "Quorate-Version"],
  PRECONDITION_FAILED: KEY_ANSWER,
} as const satisfies Partial<Record<ErrorCode, readonly ResponseHeader[]>>;

const STREAM: readonly ResponseHeader[] = ["Quorate-Store-Revision", "X-Accel-Buffering"];

/** An answer of JSON. */
export function json(
  schema: z.ZodType,
  headers: readonly ResponseHeader[] = [],
  description = "it is done",
): Success {
  return { description, headers, content: { "application/json": schema } };
}

/** An answer of events, which goes on. */
export function events(text: z.ZodType): Success {
  return {
    description: "events, for as long as the client stays",
    headers: STREAM,
    content: { "text/event-stream": text },
  };
}

/** An answer that says only that there is nothing new. */
export function notModified(headers: readonly ResponseHeader[]): Success {
  const description = "the client has it already, or nothing has changed in the time to wait";
  return { description, headers, content: {} };
}
