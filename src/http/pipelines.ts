/**
 * Requests that a client sends one after another on a connection, before the first is answered.
 * All of them can come in one packet: were all begun at once, a few kilobytes would ask for
 * gigabytes of answers, which nobody has to read.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/** Has at most `max` requests of a connection at work; the next wait, and are not lost. */
export function limitPipelines(app: FastifyInstance, max: number): void {
  const pipelines = new WeakMap<Socket, Pipeline>();
  app.addHook("onRequest", ({ raw: { socket } }, { raw: response }, done) => {
    const pipeline = pipelines.get(socket) ?? new Pipeline(socket, max);
    pipelines.set(socket, pipeline);
    pipeline.enter(response, done);
  });
}

/** The requests of one connection that are not answered yet. */
class Pipeline {
  readonly #socket: Socket;
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #atWork = 0;

  constructor(socket: Socket, max: number) {
    this.#socket = socket;
    this.#max = max;
  }

  /** Calls `begin` when it is the request's turn; never, if the connection is closed before. */
  enter(response: ServerResponse, begin: () => void): void {
    const start = () => {
      this.#atWork += 1;
      response.once("close", () => this.#leave());
      begin();
    };
    if (this.#atWork < this.#max) start();
    else this.#waiting.push(start);
  }

  #leave(): void {
    this.#atWork -= 1;
    // What was not begun on a connection that is gone, nobody waits for.
    if (!this.#socket.destroyed) this.#waiting.shift()?.();
  }
}
