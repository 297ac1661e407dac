/** A small client for a cluster: any node will do, and a write is never sent twice. */
import { type Answer, exchange, NoAnswer, type Question } from "./exchange.ts";

/** What a command comes to, as an exit code. */
export const EXIT = {
  done: 0,
  /** There is no such key. */
  missing: 1,
  usage: 2,
  /** It is certain that nothing was changed. */
  failed: 3,
  /** Nobody knows whether the write was applied. */
  unknown: 4,
} as const;

/** A command that came to nothing. The message is one clear line. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What a node says when it cannot do as it was asked. */
interface Problem {
  readonly code: string;
  readonly error: string;
  readonly outcome: "not_applied" | "unknown";
}

/** Longer than a server takes to give up by itself. */
const TIMEOUT_MS = 10_000;

/**
 * Asks one node after another until one answers, whatever the answer is. Goes on to the next one
 * only where it is certain that nothing was done: always for a read, and for a write where there
 * was no connection, or the node says that it did not apply it. Throws CommandError.
 */
export async function ask(endpoints: readonly string[], question: Question): Promise<Answer> {
  const failures: string[] = [];
  for (const endpoint of endpoints) {
    try {
      const answer = await exchange(endpoint, question, TIMEOUT_MS);
      if (answer.status < 500) return answer;
      const { code, error, outcome } = problemIn(answer);
      failures.push(`${endpoint} says ${code}: ${error}`);
      if (!mayAskAgain(question, outcome === "not_applied")) throw unknown(failures);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      failures.push(`${endpoint}: ${error.message}`);
      if (!mayAskAgain(question, !error.sent)) throw unknown(failures);
    }
  }
  throw new CommandError(failures.join("; "), EXIT.failed);
}

/** What is wrong, in words, from an answer that is none of success. */
export function problemIn({ status, body }: Answer): Problem {
  const found = parseObject(body);
  const { code, error, outcome } = found;
  return {
    code: typeof code === "string" ? code : `status ${status}`,
    error: typeof error === "string" ? error : "this is no answer of Quorate",
    outcome: outcome === "not_applied" ? outcome : "unknown",
  };
}

/** The JSON object in a text; an empty one where there is none. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // Whoever answered does not speak JSON.
  }
}

function mayAskAgain({ method }: Question, isCertainlyNotDone: boolean): boolean {
  return method === "GET" || isCertainlyNotDone;
}

function unknown(failures: readonly string[]): CommandError {
  const what = "nobody knows whether the write was applied: read the key before you try again";
  return new CommandError(`${failures.join("; ")}; ${what}`, EXIT.unknown);
}
