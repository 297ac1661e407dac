/** Every way in which a request can fail, and what each says about a write. */

/**
 * What a failed request did to the store. `not_applied`: certainly nothing, now and later.
 * `unknown`: nobody here knows; a write may have been applied, or may yet be.
 */
export type FailureOutcome = "not_applied" | "unknown";

interface Meaning {
  readonly outcome: FailureOutcome;
  /** Whether the same request may succeed a little later. */
  readonly retryable: boolean;
}

const REFUSED: Meaning = { outcome: "not_applied", retryable: false };
const LATER: Meaning = { outcome: "not_applied", retryable: true };
/** To repeat such a write is the client's decision: it may be applied twice. */
const UNKNOWN: Meaning = { outcome: "unknown", retryable: false };

const MEANINGS = {
  // The request makes no sense as it is.
  INVALID_REQUEST: REFUSED,
  INVALID_JSON: REFUSED,
  INVALID_VALUE: REFUSED,
  INVALID_KEY: REFUSED,
  INVALID_PARAM: REFUSED,
  INCOMPLETE_BODY: REFUSED,
  KEY_TOO_LONG: REFUSED,
  URL_TOO_LONG: REFUSED,
  HEADERS_TOO_LARGE: REFUSED,
  VALUE_TOO_LARGE: REFUSED,
  ROUTE_NOT_FOUND: REFUSED,
  METHOD_NOT_ALLOWED: REFUSED,
  NOT_ACCEPTABLE: REFUSED,
  UNSUPPORTED_MEDIA_TYPE: REFUSED,
  EXPECTATION_FAILED: REFUSED,
  REQUEST_TIMEOUT: LATER,
  // The store says no.
  KEY_NOT_FOUND: REFUSED,
  VERSION_MISMATCH: REFUSED,
  PRECONDITION_FAILED: REFUSED,
  REVISION_COMPACTED: REFUSED,
  REVISION_IN_FUTURE: REFUSED,
  LEASE_NOT_FOUND: REFUSED,
  MEMBER_NOT_FOUND: REFUSED,
  MEMBER_EXISTS: REFUSED,
  UNSAFE_CHANGE: REFUSED,
  CONFIG_CHANGE_IN_PROGRESS: LATER,
  MEMBER_REMOVED: LATER,
  LEASE_EXISTS: REFUSED,
  NOT_A_NUMBER: REFUSED,
  TXN_FAILED: REFUSED,
  LOCK_HELD: LATER,
  IDEMPOTENCY_CONFLICT: REFUSED,
  // The node or the cluster cannot, now.
  NO_LEADER: LATER,
  NOT_LEADER: LATER,
  NOT_READY: LATER,
  OVERLOADED: LATER,
  TOO_MANY_WATCHERS: LATER,
  TOO_STALE: LATER,
  SHUTTING_DOWN: LATER,
  CORRUPT: LATER,
  READ_TIMEOUT: LATER,
  REVISION_NOT_REACHED: LATER,
  // Nobody knows.
  COMMIT_TIMEOUT: UNKNOWN,
  FORWARD_FAILED: UNKNOWN,
  INTERNAL: UNKNOWN,
} as const satisfies Record<string, Meaning>;

export type ErrorCode = keyof typeof MEANINGS;

/** What else there is to say, as it goes into the answer. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>;

/** A request that came to nothing, or to nobody knows what. The message is one clear sentence. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    about: { details?: ErrorDetails; cause?: Error } = {},
  ) {
    super(message, about.cause === undefined ? {} : { cause: about.cause });
    this.code = code;
    this.details = about.details ?? {};
  }

  get outcome(): FailureOutcome {
    return MEANINGS[this.code].outcome;
  }

  get retryable(): boolean {
    return MEANINGS[this.code].retryable;
  }
}

/** Under this idempotency key something else was asked for: certainly, nothing was done now. */
export function usedForAnother(): ServiceError {
  const text = "this Idempotency-Key was used for another request";
  return new ServiceError("IDEMPOTENCY_CONFLICT", text);
}

/** No reply can be remembered for a new key: certainly, nothing was done. */
export function tooManyReplies(): ServiceError {
  const text =
    "the cluster remembers as many idempotency keys as it can: " +
    "try again in a minute, or without one";
  return new ServiceError("OVERLOADED", text);
}
