/** Below requests: how many connections there may be, and what is no request at all. */
import {
  type IncomingMessage,
  STATUS_CODES as REASONS,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { ServiceError } from "../service/errors.ts";
import { asParserError } from "./errors.ts";
import type { Headers } from "./responses.ts";
import { STATUS_CODES } from "./status-codes.ts";

/** An answer outside of any route: its headers, all of them, and its body. */
export type AnswerTo = (error: ServiceError) => {
  readonly headers: Headers;
  readonly body: string;
};

/** Refuses connections of an address that has `max` of them. */
export function limitPerAddress(server: Server, max: number): void {
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? "";
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    socket.once("close", () => {
      const left = (counts.get(address) ?? 0) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
    if (count > max) socket.destroy();
  });
}

/** Answers `Expect: anything-but-100-continue`, which Node would do without a body. */
export function refuseExpectations(server: Server, answerTo: AnswerTo): void {
  server.on("checkExpectation", (_request: IncomingMessage, response: ServerResponse) => {
    const error = new ServiceError("EXPECTATION_FAILED", "only 100-continue can be expected");
    const { headers, body } = answerTo(error);
    response.writeHead(STATUS_CODES[error.code], { ...headers }).end(body);
  });
}

/**
 * Answers what is no HTTP request, and closes the connection. Where a whole request came before it
 * on the same connection and is still at work, the client would take the answer for that one's, and
 * a write for refused that may be applied (X9): then it only closes.
 */
export function answerParserError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  answerTo: AnswerTo,
): void {
  if (!socket.writable || isAtWork(socket)) {
    socket.destroy();
    return;
  }
  const found = asParserError(error);
  const status = STATUS_CODES[found.code];
  const { headers, body } = answerTo(found);
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** Whether something is owed to the client for a request that it has sent in full. */
function isAtWork(socket: Socket): boolean {
  // Node keeps the response that is next in line on the socket; there is no public way to it.
  const { _httpMessage: next } = socket as Socket & { _httpMessage?: ServerResponse | null };
  return next !== undefined && next !== null && (next.req.complete || next.headersSent);
}
