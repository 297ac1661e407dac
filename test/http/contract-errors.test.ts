/** The table of errors (section 7): every code, its status, and what it says of a write. */
import { describe, expect, test } from "vitest";
import { STATUS_CODES } from "../../src/http/status-codes.ts";
import { type ErrorCode, ServiceError } from "../../src/service/errors.ts";

/** As the contract has them, and those that it leaves to what is usual. */
const TABLE: Readonly<Record<number, readonly ErrorCode[]>> = {
  400: [
    "INVALID_JSON",
    "INVALID_VALUE",
    "INVALID_KEY",
    "INVALID_PARAM",
    "INCOMPLETE_BODY",
    "INVALID_REQUEST",
    "REVISION_IN_FUTURE",
  ],
  404: ["KEY_NOT_FOUND", "ROUTE_NOT_FOUND", "LEASE_NOT_FOUND", "MEMBER_NOT_FOUND"],
  405: ["METHOD_NOT_ALLOWED"],
  406: ["NOT_ACCEPTABLE"],
  408: ["REQUEST_TIMEOUT"],
  409: [
    "VERSION_MISMATCH",
    "TXN_FAILED",
    "LOCK_HELD",
    "IDEMPOTENCY_CONFLICT",
    "LEASE_EXISTS",
    "NOT_A_NUMBER",
    "MEMBER_EXISTS",
    "UNSAFE_CHANGE",
    "CONFIG_CHANGE_IN_PROGRESS",
  ],
  410: ["REVISION_COMPACTED", "MEMBER_REMOVED"],
  412: ["PRECONDITION_FAILED"],
  413: ["VALUE_TOO_LARGE"],
  414: ["KEY_TOO_LONG", "URL_TOO_LONG"],
  415: ["UNSUPPORTED_MEDIA_TYPE"],
  417: ["EXPECTATION_FAILED"],
  429: ["TOO_MANY_WATCHERS"],
  431: ["HEADERS_TOO_LARGE"],
  500: ["INTERNAL"],
  503: [
    "NO_LEADER",
    "NOT_LEADER",
    "NOT_READY",
    "OVERLOADED",
    "TOO_STALE",
    "SHUTTING_DOWN",
    "CORRUPT",
  ],
  504: ["COMMIT_TIMEOUT", "FORWARD_FAILED", "REVISION_NOT_REACHED", "READ_TIMEOUT"],
};

/** Nobody knows what became of the write. */
const UNKNOWN: readonly ErrorCode[] = ["COMMIT_TIMEOUT", "FORWARD_FAILED", "INTERNAL"];

describe.each(Object.entries(TABLE))("%s", (status, codes) => {
  test.each(codes)("%s has this status (section 7)", (code) => {
    expect(STATUS_CODES[code]).toBe(Number(status));
  });
});

test("there is no other code (section 7)", () => {
  expect(Object.keys(STATUS_CODES).sort()).toEqual(Object.values(TABLE).flat().sort());
});

test.each(Object.keys(STATUS_CODES) as ErrorCode[])("%s says what became of a write", (code) => {
  const { outcome, retryable } = new ServiceError(code, "something went wrong");
  expect(outcome).toBe(UNKNOWN.includes(code) ? "unknown" : "not_applied");
  // What may have been applied is not to be repeated without a thought.
  if (outcome === "unknown") expect(retryable).toBe(false);
  if (STATUS_CODES[code] === 503) expect({ outcome, retryable }).toMatchObject({ retryable: true });
});
