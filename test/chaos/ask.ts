/** Requests of any kind, and strictly what their answers say of the outcome. */
import { type Agent, request } from "undici";
import type { Prng } from "../../src/lib/random.ts";
import { UnexpectedAnswer } from "./exchange.ts";

/** What a client asks for. */
export interface Question {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query, if it has one. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  /** For requests that wait for something: how long the client does, in milliseconds. */
  readonly patienceMs?: number;
}

export type Fields = Readonly<Record<string, unknown>>;

/**
 * What became of it. `ok`: done. `refused`: the state does not allow it, so it was not done.
 * `failed`: certainly not done, now and later. `unknown`: perhaps done, perhaps later.
 */
export type Outcome =
  | { readonly outcome: "ok"; readonly body: Fields; readonly isReplayed: boolean }
  | { readonly outcome: "refused"; readonly code: string }
  | { readonly outcome: "failed" | "unknown"; readonly why: string };

/** With the times right before the request and right after the answer, of one monotonic clock. */
export type Answer = Outcome & { readonly call: number; readonly end: number };

/** Where to ask, and how chance is drawn. */
export interface Ground {
  /** Where the nodes serve clients. */
  readonly urls: readonly string[];
  readonly agent: Agent;
  readonly random: Prng;
}

/** What the server is given; the client waits a little longer. */
const TIMEOUT = "1000ms";
const PATIENCE_MS = 1_300;
/** The node or the cluster cannot, now: the answer says whether anything was done. */
const CANNOT_NOW: ReadonlySet<number> = new Set([408, 429, 503, 504]);
const REFUSED: ReadonlySet<number> = new Set([404, 409, 410, 412]);
/** Another node, now and then, though this one serves well: in percent. */
const WANDER = 10;

/** One client: it goes to another node after a failure, and now and then anyway. */
export class Caller {
  readonly #ground: Ground;
  #url: string;

  constructor(ground: Ground) {
    this.#ground = ground;
    this.#url = ground.random.pick(ground.urls);
  }

  /** Asks once. Rejects with UnexpectedAnswer where an answer breaks the contract of the API. */
  async ask(question: Question): Promise<Answer> {
    const call = performance.now();
    const outcome = await ask(this.#ground.agent, this.#url, question);
    const isServed = outcome.outcome === "ok" || outcome.outcome === "refused";
    if (!isServed || this.#ground.random.chance(WANDER)) this.move();
    return { ...outcome, call, end: performance.now() };
  }

  /** The next question goes to any node. */
  move(): void {
    this.#url = this.#ground.random.pick(this.#ground.urls);
  }
}

async function ask(agent: Agent, url: string, question: Question): Promise<Outcome> {
  const { method, path, body, idempotencyKey, patienceMs = PATIENCE_MS } = question;
  const query = `${path.includes("?") ? "&" : "?"}timeout=${TIMEOUT}`;
  try {
    const response = await request(`${url}${path}${query}`, {
      method,
      body: body === undefined ? null : JSON.stringify(body),
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      dispatcher: agent,
      signal: AbortSignal.timeout(patienceMs),
    });
    const isReplayed = response.headers["idempotency-replayed"] === "true";
    return outcomeOf(response.statusCode, await response.body.text(), isReplayed);
  } catch (error) {
    if (error instanceof UnexpectedAnswer) throw error;
    return withoutAnswer(error);
  }
}

/** What an answer says. Throws UnexpectedAnswer where no node may say so. */
export function outcomeOf(status: number, text: string, isReplayed: boolean): Outcome {
  const body = parse(text);
  if (status === 200 || status === 201) return { outcome: "ok", body, isReplayed };
  const { code, outcome } = body;
  const why = `${status} ${String(code)}`;
  if (CANNOT_NOW.has(status) && outcome === "unknown") return { outcome, why };
  if (outcome !== "not_applied") throw new UnexpectedAnswer(`${status} with ${text}`);
  if (CANNOT_NOW.has(status)) return { outcome: "failed", why };
  if (!REFUSED.has(status)) throw new UnexpectedAnswer(`${status} with ${text}`);
  return { outcome: "refused", code: String(code) };
}

/** Only where no connection was made is it certain that the node knows nothing. */
export function withoutAnswer(error: unknown): Outcome {
  const { code, name } = error as { code?: string | number; name?: string };
  const why = typeof code === "string" ? code : (name ?? String(error));
  return { outcome: code === "ECONNREFUSED" ? "failed" : "unknown", why };
}

function parse(text: string): Fields {
  try {
    return JSON.parse(text) as Fields;
  } catch (cause) {
    throw new UnexpectedAnswer(`not JSON: ${text}`, { cause });
  }
}
