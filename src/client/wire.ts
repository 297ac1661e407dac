/**
 * One HTTP request to one node, with certainty about one thing: whether the node can have seen it.
 *
 * Below `fetch`, which hides that, and which would turn the key `..` into another path. Connections
 * are kept, and do not keep a process alive.
 */
import { Agent, type Dispatcher } from "undici";
import { badAnswer, errorIn, QuorateError } from "./error.ts";

export interface Question {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as it is. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** An answer of success. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An answer whose body comes bit by bit. */
export interface Opened {
  /** By their names in small letters. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** They stop coming while nobody asks for the next. NO_ANSWER, where they break off. */
  readonly pieces: AsyncGenerator<Uint8Array, void, void>;
}

/** A connection that takes longer will not come. Less than the shortest attempt takes. */
const CONNECT_MS = 900;
/** A watch says something every 15 seconds at least, and a backup all the time. */
const SILENCE_MAX_MS = 45_000;
/** On every answer of a node. */
const NODE_HEADER = "quorate-node";

export class Wire {
  readonly #agent = new Agent({ connect: { timeout: CONNECT_MS }, headersTimeout: 0 });

  /**
   * The answer of success. Rejects with the signal's reason, or with a QuorateError: what the node
   * says, UNREACHABLE where there was no connection, and else NO_ANSWER.
   */
  async ask(origin: string, question: Question, signal: AbortSignal): Promise<Answer> {
    const options = { ...question, origin, signal, bodyTimeout: 0 };
    try {
      const response = await this.#agent.request(options);
      const body = await response.body.text();
      const status = checkedStatus(response, body);
      return { status, body };
    } catch (error) {
      throw asNoAnswer(origin, error, signal);
    }
  }

  /**
   * The pieces of an answer without an end; they stop coming while nobody asks for the next. As
   * `ask`, and rejects with NO_ANSWER when the node is silent or gone.
   */
  async *stream(
    origin: string,
    question: Question,
    signals: { readonly opening: AbortSignal; readonly whole: AbortSignal },
  ): AsyncGenerator<Uint8Array, void, void> {
    const signal = AbortSignal.any([signals.opening, signals.whole]);
    const { pieces } = await this.open(origin, question, signal);
    yield new Uint8Array(); // It is open.
    yield* pieces;
  }

  /** The head of an answer that may be long. As `ask`; the signal ends its body, too. */
  async open(origin: string, question: Question, signal: AbortSignal): Promise<Opened> {
    const options = { ...question, origin, signal, bodyTimeout: SILENCE_MAX_MS };
    try {
      const response = await this.#agent.request(options);
      if (response.statusCode !== 200) checkedStatus(response, await response.body.text());
      checkedStatus(response, "");
      const { headers, body } = response;
      return { headers, pieces: piecesOf(origin, body, signal) };
    } catch (error) {
      throw asNoAnswer(origin, error, signal);
    }
  }

  /** Ends all connections, and whatever is under way on them. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

async function* piecesOf(
  origin: string,
  body: AsyncIterable<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const piece of body) yield piece as Uint8Array;
  } catch (error) {
    throw asNoAnswer(origin, error, signal);
  }
}

/** The status, if it is one of success and of a node. Throws QuorateError. */
function checkedStatus({ statusCode, headers }: Dispatcher.ResponseData, body: string): number {
  if (statusCode >= 400) throw errorIn(statusCode, body);
  if (statusCode >= 300 || headers[NODE_HEADER] === undefined) throw badAnswer(statusCode);
  return statusCode;
}

function asNoAnswer(origin: string, error: unknown, signal: AbortSignal): unknown {
  if (error instanceof QuorateError) return error;
  if (signal.aborted) return signal.reason;
  if (!(error instanceof Error)) return error;
  const isUnsent = wasNoConnection(error);
  return new QuorateError(`${origin}: ${messageOf(error)}`, {
    code: isUnsent ? "UNREACHABLE" : "NO_ANSWER",
    outcome: isUnsent ? "not_applied" : "unknown",
    retryable: true,
    cause: error,
  });
}

/** A name with several addresses fails with an error for each. */
function wasNoConnection(error: Error): boolean {
  if (error instanceof AggregateError) return error.errors.every(wasNoConnection);
  const { code, syscall } = error as NodeJS.ErrnoException;
  const isDialling = syscall === "connect" || syscall === "getaddrinfo";
  return isDialling || code === "UND_ERR_CONNECT_TIMEOUT";
}

function messageOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(", ") : error.message;
}
