/**
 * Requests to a cluster: any node will do, and what fails is tried again where that is safe.
 *
 * A read may always be repeated. A write is repeated with the idempotency key that it carries: the
 * cluster applies it once, however often it comes. The leader is not looked for: every node passes
 * writes on, in one hop.
 */
import { randomUUID } from "node:crypto";
import { badAnswer, isPassing, type Outcome, QuorateError } from "./error.ts";
import { pause } from "./pause.ts";
import { pauseMs, RetryBudget } from "./retry-budget.ts";
import { type Answer, type Opened, type Question, Wire } from "./wire.ts";

export interface CallerOptions {
  /** The client URLs of nodes. */
  readonly endpoints: readonly string[];
  /** For a request with all its retries. */
  readonly timeoutMs: number;
}

/** What a call may say. */
export interface CallOptions {
  /** For this request with all its retries, instead of the client's own. At most five minutes. */
  readonly timeoutMs?: number | undefined;
  /** Ends it early; it rejects with the signal's reason. A write may yet be applied. */
  readonly signal?: AbortSignal | undefined;
}

/** What is asked, and what a repetition of it would mean. */
export interface Call extends Question {
  /**
   * `read`: changes nothing. `write`: gets an idempotency key. `same`: is the same when it is done
   * twice, such as a renewal. `once`: must not reach a node twice.
   */
  readonly kind: "read" | "write" | "same" | "once";
  /** How long the node itself may take beyond what it takes for others, such as for a lock. */
  readonly waitMs?: number;
}

/** An attempt gets half of the time that is left, but not less than this. */
const ATTEMPT_MIN_MS = 1_000;
/** The longest that a server takes as a timeout. */
const SERVER_TIMEOUT_MAX_MS = 60_000;
const TIMEOUT_MAX_MS = 300_000;
/**
 * A write is not sent again later than so long after an attempt of which nobody knows: half of the
 * time for which a cluster remembers idempotency keys for certain.
 */
export const REPEAT_MAX_MS = 30_000;
/** Of an attempt of a write, so that there is time for another one. */
const WRITE_ATTEMPT_MAX_MS = REPEAT_MAX_MS / 2;

/** One call, on its way. */
interface Journey {
  readonly call: Call;
  /** No attempt takes longer. */
  endsAt: number;
  readonly signal: AbortSignal | undefined;
  readonly failures: QuorateError[];
}

export class Caller {
  readonly endpoints: readonly string[];
  readonly #timeoutMs: number;
  readonly #wire = new Wire();
  readonly #budget = new RetryBudget();
  readonly #closing = new AbortController();
  /** Counts up; its remainder is the place of the endpoint that is asked first. */
  #turn = 0;

  /** Throws TypeError. */
  constructor({ endpoints, timeoutMs }: CallerOptions) {
    this.endpoints = endpoints.map(originOf);
    if (endpoints.length === 0) throw new TypeError("name at least one endpoint");
    this.#timeoutMs = checkedTimeout(timeoutMs);
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /**
   * The answer of success. Rejects with QuorateError; its outcome is `unknown` where that of an
   * attempt was, and no later one settled it.
   */
  async call(call: Call, options: CallOptions = {}): Promise<Answer> {
    const { timeoutMs = this.#timeoutMs, signal } = options;
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw closed("not_applied");
    const key = call.kind === "write" ? { "idempotency-key": randomUUID() } : {};
    const journey: Journey = {
      call: { ...call, headers: { ...call.headers, ...key } },
      endsAt: performance.now() + checkedTimeout(timeoutMs) + (call.waitMs ?? 0),
      signal,
      failures: [],
    };
    this.#budget.earn();
    for (;;) {
      const turn = this.#turn;
      const begun = performance.now();
      try {
        return await this.#attempt(journey);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof QuorateError)) throw error;
        journey.failures.push(error);
        if (call.kind === "write" && error.outcome === "unknown") {
          journey.endsAt = Math.min(journey.endsAt, begun + REPEAT_MAX_MS);
        }
        if (isPassing(error)) this.#turnFrom(turn);
        await this.#beforeNext(journey, error);
      }
    }
  }

  /** The same, with the body read as JSON. */
  async ask<Body>(call: Call, options?: CallOptions): Promise<Body> {
    return jsonIn<Body>(await this.call(call, options));
  }

  /** The answer of one endpoint, without any other attempt. */
  async askOne<Body>(
    endpoint: string,
    question: Question,
    { timeoutMs = this.#timeoutMs, signal }: CallOptions = {},
  ): Promise<Body> {
    const origin = originOf(endpoint);
    const timeout = new AbortController();
    const ms = checkedTimeout(timeoutMs);
    const timer = setTimeout(() => timeout.abort(lateness(origin)), ms);
    try {
      const all = [timeout.signal, this.#closing.signal, ...(signal === undefined ? [] : [signal])];
      return jsonIn<Body>(await this.#wire.ask(origin, question, AbortSignal.any(all)));
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The pieces of a stream from the endpoint whose turn it is, the first of them empty, when it is
   * open. Rejects with QuorateError, after one attempt, and when the stream breaks.
   */
  async *stream(question: Question, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const turn = this.#turn;
    const endpoint = this.#current;
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(lateness(endpoint)), this.#timeoutMs);
    const whole = AbortSignal.any([signal, this.#closing.signal]);
    try {
      const signals = { opening: opening.signal, whole };
      for await (const chunk of this.#wire.stream(endpoint, question, signals)) {
        clearTimeout(timer);
        yield chunk;
      }
    } finally {
      clearTimeout(timer);
      // Also where the reader gives it up: the node may have said that it is cut off.
      if (!whole.aborted) this.#turnFrom(turn);
    }
  }

  /**
   * A long answer, of the first endpoint that gives one: each is asked once, and has `timeoutMs` to
   * begin. Rejects with QuorateError, and so do the pieces where they break off.
   */
  async open(question: Question, { timeoutMs, signal }: CallOptions = {}): Promise<Opened> {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw closed("not_applied");
    const ms = checkedTimeout(timeoutMs ?? this.#timeoutMs);
    for (let left = this.endpoints.length; ; left--) {
      const turn = this.#turn;
      const endpoint = this.#current;
      const opening = new AbortController();
      const timer = setTimeout(() => opening.abort(lateness(endpoint)), ms);
      const all = [opening.signal, this.#closing.signal, ...(signal === undefined ? [] : [signal])];
      try {
        return await this.#wire.open(endpoint, question, AbortSignal.any(all));
      } catch (error) {
        if (!(error instanceof QuorateError) || !isPassing(error) || left === 1) throw error;
        this.#turnFrom(turn);
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Ends all that is under way: it rejects with the code CLOSED. */
  async close(): Promise<void> {
    this.#closing.abort(closed("unknown"));
    await this.#wire.close();
  }

  get #current(): string {
    const endpoint = this.endpoints[this.#turn % this.endpoints.length];
    if (endpoint === undefined) throw new TypeError("name at least one endpoint");
    return endpoint;
  }

  /** Goes on to the next endpoint, once for all who find that this one fails. */
  #turnFrom(turn: number): void {
    if (this.#turn === turn) this.#turn += 1;
  }

  async #attempt({ call, endsAt, signal }: Journey): Promise<Answer> {
    const endpoint = this.#current;
    const waitMs = call.waitMs ?? 0;
    const left = Math.max(1, endsAt - performance.now());
    const limit = waitMs + Math.max((left - waitMs) / 2, ATTEMPT_MIN_MS);
    const most = call.kind === "write" ? WRITE_ATTEMPT_MAX_MS : Number.POSITIVE_INFINITY;
    const ms = Math.ceil(Math.min(left, limit, most));
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(lateness(endpoint)), ms);
    // A little less, so that the node's own words arrive.
    const serverMs = Math.max(1, Math.min(Math.floor(ms * 0.9), SERVER_TIMEOUT_MAX_MS));
    const { method, path, body } = call;
    const headers = { ...call.headers, "quorate-timeout-ms": String(serverMs) };
    const question = { method, path, headers, ...(body !== undefined && { body }) };
    try {
      const all = [timeout.signal, this.#closing.signal, ...(signal === undefined ? [] : [signal])];
      return await this.#wire.ask(endpoint, question, AbortSignal.any(all));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits as long as it should before another attempt. Throws where there shall be none. */
  async #beforeNext({ failures, call, endsAt, signal }: Journey, error: QuorateError) {
    const isRefused = error.code === "UNREACHABLE";
    const mayRepeat = call.kind === "once" ? isRefused : isPassing(error);
    const lastOnes = failures.slice(-this.endpoints.length);
    const areAllRefused =
      lastOnes.length === this.endpoints.length &&
      lastOnes.every(({ code }) => code === "UNREACHABLE");
    if (!mayRepeat || areAllRefused) throw summary(failures, call);
    if (isRefused) return; // That cost the cluster nothing.
    const ms = pauseMs(failures.length);
    const isLate = performance.now() + ms >= endsAt;
    if (isLate || !this.#budget.spend()) throw summary(failures, call);
    await pause(ms, signal);
  }
}

/**
 * The last failure decides. But where it is one of those that pass, nothing is certain after an
 * attempt of which nobody knows. The others are settled: what the cluster refuses, it refuses under
 * this idempotency key for good.
 */
function summary(failures: readonly QuorateError[], { kind }: Call): QuorateError {
  const last = failures.at(-1);
  if (last === undefined) throw new TypeError("there was no failure");
  const isSettled = kind === "write" && !isPassing(last) && last.code !== "CLOSED";
  const decisive = isSettled ? [last] : failures;
  const isUnknown = kind !== "read" && decisive.some(({ outcome }) => outcome === "unknown");
  const { code, retryable, status, details } = last;
  const outcome = isUnknown ? "unknown" : "not_applied";
  if (failures.length === 1 && outcome === last.outcome) return last;
  const message = [...new Set(failures.map((failure) => failure.message))].join("; ");
  return new QuorateError(message, { code, outcome, retryable, status, details, cause: last });
}

function jsonIn<Body>({ status, body }: Answer): Body {
  try {
    return JSON.parse(body) as Body;
  } catch {
    throw badAnswer(status); // On its way somebody has changed it.
  }
}

function lateness(endpoint: string): QuorateError {
  const facts = { code: "NO_ANSWER", outcome: "unknown", retryable: true } as const;
  return new QuorateError(`${endpoint}: no answer in time`, facts);
}

function closed(outcome: Outcome): QuorateError {
  return new QuorateError("the client is closed", { code: "CLOSED", outcome, retryable: false });
}

function checkedTimeout(ms: number): number {
  if (ms > 0 && ms <= TIMEOUT_MAX_MS) return ms;
  throw new TypeError(`timeoutMs must be more than 0 and at most ${TIMEOUT_MAX_MS}, not ${ms}`);
}

function originOf(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.origin;
  throw new TypeError(`an endpoint is a URL such as http://127.0.0.1:4001, not ${endpoint}`);
}
