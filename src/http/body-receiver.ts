/** How request bodies come in: whole or not at all, and within bounds. */
import type { IncomingMessage } from "node:http";
import { ServiceError } from "../service/errors.ts";

/** A body, or why there is none. */
export type Received = Buffer | ServiceError;

/** Receives bodies, as long as all of those under way fit into the bounds. */
export class BodyReceiver {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Calls `done` once, with a body of at most `limit` bytes or with what is wrong with it. */
  receive(request: IncomingMessage, limit: number, done: (body: Received) => void): void {
    if (Number(request.headers["content-length"] ?? 0) > limit) return done(tooLarge(limit));
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (error: ServiceError | null) => {
      request.off("data", onData).off("end", onEnd).off("close", onCut).off("error", onCut);
      this.#bytes -= length;
      // What is still to come is forgotten as it comes, so that the client gets to see the answer.
      if (error !== null) request.resume();
      done(error ?? (chunks[0]?.length === length ? chunks[0] : Buffer.concat(chunks)));
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      this.#bytes += chunk.length;
      if (length > limit) finish(tooLarge(limit));
      else if (this.#bytes > this.#bytesMax) finish(tooMuch());
    };
    const onEnd = () => finish(null);
    const onCut = () => finish(cutOff());
    request.on("data", onData).on("end", onEnd).on("close", onCut).on("error", onCut);
  }
}

function tooMuch(): ServiceError {
  return new ServiceError("OVERLOADED", "this node is receiving too much at once");
}

function cutOff(): ServiceError {
  return new ServiceError("INCOMPLETE_BODY", "the request ended before its body was complete");
}

function tooLarge(limit: number): ServiceError {
  return new ServiceError("VALUE_TOO_LARGE", `the body is larger than ${limit} bytes`);
}
