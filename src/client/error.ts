/** What a client is told where a request came to nothing, or to nobody knows what. */

/** `not_applied`: certainly nothing was changed, now and later. `unknown`: nobody knows. */
export type Outcome = "not_applied" | "unknown";

export interface ErrorFacts {
  readonly code: string;
  readonly outcome: Outcome;
  readonly retryable: boolean;
  /** Left out: no node answered. */
  readonly status?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The only error of the client, but for a TypeError where it is used wrongly and the reason of an
 * AbortSignal. The message is one line.
 */
export class QuorateError extends Error {
  override readonly name = "QuorateError";
  /**
   * As the servers say it, such as `VERSION_MISMATCH`. Of the client itself: `UNREACHABLE` (no
   * endpoint takes connections), `NO_ANSWER` (none came in time, or the connection broke),
   * `BAD_ANSWER` (whoever answered is no Quorate), `LOCK_LOST`, `LEASE_LOST` (they could not be
   * renewed in time) and `CLOSED` (the client is).
   */
  readonly code: string;
  readonly outcome: Outcome;
  /** Whether the same may succeed a little later. The client has tried that already. */
  readonly retryable: boolean;
  /** Of HTTP; 0: no node answered. */
  readonly status: number;
  /** What else there is to know, as the servers name it, such as `version` and `mod_revision`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.code = facts.code;
    this.outcome = facts.outcome;
    this.retryable = facts.retryable;
    this.status = facts.status ?? 0;
    this.details = facts.details ?? {};
  }
}

/** Statuses that another attempt, or another node, may not meet again. */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

/** Whether another attempt may fare better, on another node or a little later. */
export function isPassing({ code, status }: QuorateError): boolean {
  // A node that was removed says so for ever; the others go on.
  if (code === "MEMBER_REMOVED") return true;
  return code !== "CLOSED" && (status === 0 || PASSING.has(status));
}

/** The error in an answer, whoever it is from. */
export function errorIn(status: number, body: string): QuorateError {
  const { code, error, outcome, retryable, details } = parseObject(body);
  if (typeof code !== "string" || typeof error !== "string") return badAnswer(status);
  return new QuorateError(`${code}: ${error}`, {
    code,
    outcome: outcome === "not_applied" ? outcome : "unknown",
    retryable: retryable === true,
    status,
    details: isObject(details) ? details : {},
  });
}

/** Somebody else answered. */
export function badAnswer(status: number): QuorateError {
  const message = `an answer of status ${status} that is none of Quorate`;
  return new QuorateError(message, {
    code: "BAD_ANSWER",
    outcome: "unknown",
    retryable: false,
    status,
  });
}

/** The JSON object in a text; an empty one where there is none. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {}; // Whoever answered does not speak JSON, and the caller says so.
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
