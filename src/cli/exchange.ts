/**
 * One HTTP request over a connection of its own, with certainty about one thing: whether the server
 * can have seen any of it.
 *
 * Below `fetch`, which hides that, and which would turn the key `..` into another path.
 */
import { request } from "node:http";

export interface Question {
  readonly method: "GET" | "POST" | "DELETE";
  /** Sent as it is. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** There was no answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** False: there was not even a connection. True: the server may have acted on the request. */
  readonly sent: boolean;

  constructor(cause: Error, sent: boolean) {
    super(cause.message, { cause });
    this.sent = sent;
  }
}

/** The answer, whatever its status. `timeoutMs` is for all of it. Rejects with NoAnswer. */
export function exchange(origin: string, question: Question, timeoutMs: number): Promise<Answer> {
  const { method, path, body } = question;
  const text = body === undefined ? null : JSON.stringify(body);
  const headers = {
    accept: "application/json",
    ...(text !== null && {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    }),
  };
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, "");
    let sent = false;
    const fail = (error: Error) => {
      clearTimeout(deadline);
      reject(new NoAnswer(error, sent));
    };
    const outgoing = request({ host, port, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", fail);
      incoming.on("end", () => {
        clearTimeout(deadline);
        const { statusCode: status = 0, headers: received } = incoming;
        resolve({ status, headers: received, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    const deadline = setTimeout(() => {
      outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    outgoing.on("socket", (socket) => {
      socket.once("connect", () => {
        sent = true;
      });
    });
    outgoing.on("error", fail);
    outgoing.end(text ?? undefined);
  });
}
