/** The client listener of a real node, asked with and without a network between. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text as readAll } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";
import { expect, vi } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { type ClientServerLimits, clientServerLimits } from "../../src/http/limits.ts";
import { createClientServer } from "../../src/http/server.ts";
import { ServiceHolder } from "../../src/http/service-holder.ts";
import { Lab, type LabNode, type LabOptions } from "../service/lab.ts";

export interface Question {
  readonly method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE" | "PATCH" | "OPTIONS";
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: string | Uint8Array | Readonly<Record<string, unknown>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** A listener in front of a node. */
export class Site {
  readonly app: FastifyInstance;
  readonly holder = new ServiceHolder();
  /** Told of bugs. */
  readonly fatal = vi.fn<(error: unknown) => void>();

  constructor(name: string, limits: Partial<ClientServerLimits> = {}) {
    this.app = createClientServer({
      about: {
        name,
        clientUrl: `http://${name}.test:4001`,
        version: "1.2.3",
        cluster: () => "test",
      },
      holder: this.holder,
      limits: { ...clientServerLimits, ...limits },
      fatal: this.fatal,
    });
  }

  /** In front of the leader of a cluster of one. */
  static async alone(options: SiteOptions = {}): Promise<{ site: Site; lab: Lab; node: LabNode }> {
    const lab = await Lab.start(["n1"], options.lab);
    const site = new Site("n1", options.limits);
    const node = await lab.leader();
    site.holder.serve(node.service);
    return { site, lab, node };
  }

  /** Without a network: the URL is resolved as browsers do. */
  async ask(url: string, question: Question = {}): Promise<Reply> {
    const { method = "GET", headers = {} } = question;
    const { payload, type } = encode(question);
    const reply = await this.app.inject({
      method,
      url,
      headers: { ...(type !== null && { "content-type": type }), ...headers },
      ...(payload !== null && { payload }),
    });
    return {
      status: reply.statusCode,
      headers: reply.headers as Record<string, string>,
      text: reply.payload,
      bytes: new Uint8Array(reply.rawPayload),
    };
  }

  async listen(): Promise<number> {
    if (!this.app.server.listening) await this.app.listen({ host: "127.0.0.1", port: 0 });
    return (this.app.server.address() as AddressInfo).port;
  }

  /** Over a network: the path is sent as it is. */
  async askOverTcp(path: string, question: Question = {}): Promise<Reply> {
    const port = await this.listen();
    const { method = "GET", headers = {} } = question;
    const { payload, type } = encode(question);
    const outgoing = httpRequest({ host: "127.0.0.1", port, method, path, agent: false });
    for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
    if (type !== null && headers["content-type"] === undefined) {
      outgoing.setHeader("content-type", type);
    }
    outgoing.end(payload ?? undefined);
    const [incoming] = await once(outgoing, "response");
    const text = await readAll(incoming);
    const received = incoming.headers as Record<string, string>;
    return { status: incoming.statusCode, headers: received, text, bytes: Buffer.from(text) };
  }

  /** A connection on which a test says what it likes. */
  async connect(): Promise<RawConnection> {
    const socket = connect(await this.listen(), "127.0.0.1");
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  async close(): Promise<void> {
    this.app.server.closeAllConnections();
    await this.app.close();
    expect(this.fatal).not.toHaveBeenCalled();
  }
}

export interface SiteOptions {
  readonly limits?: Partial<ClientServerLimits>;
  readonly lab?: LabOptions;
}

/** A TCP connection, and all that came back on it. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #ended: Promise<void>;
  #received = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#received += text;
    });
    socket.on("error", () => {}); // A reset is an end, too.
    this.#ended = once(socket, "close").then(() => {});
  }

  send(text: string | Uint8Array): void {
    this.#socket.write(text);
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.#socket.end();
  }

  /** All that came until the server closed the connection. */
  async untilClosed(): Promise<string> {
    await this.#ended;
    return this.#received;
  }

  /** Waits until so much has come that `pattern` is in it. */
  async until(pattern: RegExp): Promise<string> {
    await vi.waitFor(() => expect(this.#received).toMatch(pattern), 5_000);
    return this.#received;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** The headers of an answer that came over a raw connection, and its body. */
export function parseRaw(text: string) {
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const [, status] = must(/^HTTP\/1\.1 (\d{3})/.exec(head), `no answer: ${text}`);
  return { status: Number(status), head, body };
}

function encode({ body }: Question): { payload: string | Buffer | null; type: string | null } {
  if (body === undefined) return { payload: null, type: null };
  if (typeof body === "string") return { payload: body, type: null };
  if (body instanceof Uint8Array) return { payload: Buffer.from(body), type: null };
  return { payload: JSON.stringify(body), type: "application/json" };
}

/** The body of an error. */
export function errorIn(reply: Reply) {
  expect(reply.headers["content-type"]).toBe("application/json; charset=utf-8");
  const error = JSON.parse(reply.text) as {
    readonly code: string;
    readonly error: string;
    readonly retryable: boolean;
    readonly outcome: string;
    readonly leader: string | null;
    readonly term: number;
    readonly request_id: string;
    readonly details: Readonly<Record<string, unknown>>;
  };
  expect(Object.keys(error)).toEqual([
    "code",
    "error",
    "retryable",
    "outcome",
    "leader",
    "term",
    "request_id",
    "details",
  ]);
  expect(error.request_id).toBe(reply.headers["request-id"]);
  expect(error.error).toMatch(/^.{10,}$/);
  return error;
}

/** Status and code of an error. */
export function failureIn(reply: Reply) {
  const { code, outcome } = errorIn(reply);
  return { status: reply.status, code, outcome };
}
