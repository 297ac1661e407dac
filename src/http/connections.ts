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

/** How many connections there may be: in all, and of one address. */
export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
}

/** For how long a connection that is refused is kept, for the client to read why. */
const REFUSED_MS = 1_000;
/** How many of these there may be: what comes beyond them is closed without a word. */
const REFUSED_MAX = 512;

/**
 * Refuses connections beyond the limits, with an answer before any request. They never get to the
 * parser of requests: what comes over them is not looked at, so nothing of it is done.
 */
export function limitConnections(
  server: Server,
  limits: ConnectionLimits,
  answerTo: AnswerTo,
): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  server.maxConnections = limits.connectionsMax + REFUSED_MAX;
  const counts = new Map<string, number>();
  let all = 0;
  let refused = 0;
  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? "";
    const count = counts.get(address) ?? 0;
    const isFull = all >= limits.connectionsMax;
    if (isFull || count >= limits.connectionsPerAddressMax) {
      if (refused >= REFUSED_MAX) return socket.destroy();
      refused += 1;
      socket.once("close", () => {
        refused -= 1;
      });
      const who = isFull ? "this node" : "this address";
      const error = new ServiceError("OVERLOADED", `${who} has as many connections as it may`);
      return refuse(socket, rawAnswer(error, answerTo));
    }
    all += 1;
    counts.set(address, count + 1);
    socket.once("close", () => {
      all -= 1;
      const left = (counts.get(address) ?? 0) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
    for (const listener of listeners) listener.call(server, socket);
  });
}

/** Says why, and closes the connection: soon, whether or not anybody reads it. */
function refuse(socket: Socket, answer: string): void {
  const timer = setTimeout(() => socket.destroy(), REFUSED_MS);
  socket.once("close", () => clearTimeout(timer));
  // A client that is gone already has closed it.
  socket.on("error", () => socket.destroy());
  socket.end(answer);
  // With something unread, it would be reset, and the client might never see the answer.
  socket.resume();
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
  socket.end(rawAnswer(asParserError(error), answerTo), () => socket.destroy());
}

/** The whole answer to a connection that ends with it. */
function rawAnswer(error: ServiceError, answerTo: AnswerTo): string {
  const status = STATUS_CODES[error.code];
  const { headers, body } = answerTo(error);
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** Whether something is owed to the client for a request that it has sent in full. */
function isAtWork(socket: Socket): boolean {
  // Node keeps the response that is next in line on the socket; there is no public way to it.
  const { _httpMessage: next } = socket as Socket & { _httpMessage?: ServerResponse | null };
  return next !== undefined && next !== null && (next.req.complete || next.headersSent);
}
