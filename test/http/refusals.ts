/** Bad input, refused as section 7 of the HTTP API says: told clearly, and nothing done. */
import { once } from "node:events";
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { text as readAll } from "node:stream/consumers";
import { expect } from "vitest";
import { STATUS_CODES } from "../../src/http/status-codes.ts";
import type { ErrorCode } from "../../src/service/errors.ts";
import type { Lab, LabNode } from "../service/lab.ts";
import { errorIn, type Question, type Reply, Site } from "./site.ts";

/** How a request is to be refused. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly says?: RegExp;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly outcome?: "unknown";
  readonly retryable?: true;
}

interface ReplyOnSocket extends Reply {
  /** It came over the connection of the answer before. */
  readonly isSameSocket: boolean;
  /** The request had left in full when the answer came. */
  readonly isSent: boolean;
}

const KEY = "/keys/k/";
const KEPT = '{"value":"before"}';

/** A node of its own, with one key, that is asked over one connection. */
export class Refusals {
  readonly site: Site;
  readonly lab: Lab;
  readonly node: LabNode;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;

  private constructor(parts: { site: Site; lab: Lab; node: LabNode }, port: number) {
    ({ site: this.site, lab: this.lab, node: this.node } = parts);
    this.#port = port;
  }

  static async start(): Promise<Refusals> {
    // As many requests as there are cases may come over the one connection.
    const parts = await Site.alone({ limits: { requestsPerSocketMax: 1_000_000 } });
    const refusals = new Refusals(parts, await parts.site.listen());
    await refusals.ask(KEY, { method: "PUT", body: { value: "before" } });
    return refusals;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.site.close();
    await this.lab.close();
  }

  /** The answer to a request whose path goes out as it is. */
  async ask(path: string, question: Question = {}): Promise<ReplyOnSocket> {
    const { method = "GET", headers = {}, body } = question;
    const isPlain = typeof body === "string" || body instanceof Uint8Array;
    const payload = isPlain || body === undefined ? body : JSON.stringify(body);
    const outgoing = httpRequest({
      agent: this.#agent,
      host: "127.0.0.1",
      port: this.#port,
      method,
      path,
      headers: {
        ...(payload !== undefined && { "content-type": "application/json" }),
        ...(payload !== undefined && { "content-length": Buffer.byteLength(payload) }),
        ...headers,
      },
    });
    outgoing.end(payload);
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    const text = await readAll(incoming);
    return {
      status: incoming.statusCode ?? 0,
      headers: incoming.headers as Record<string, string>,
      text,
      bytes: Buffer.from(text),
      isSameSocket: outgoing.reusedSocket,
      isSent: outgoing.writableFinished,
    };
  }

  /**
   * Asserts that a request is refused so, with every field of an error, that the store is as it
   * was, and that the connection goes on.
   */
  async expect(path: string, question: Question, refusal: Refusal): Promise<void> {
    const { revision } = this.node.store;
    const what = `${question.method ?? "GET"} ${path.slice(0, 200)}`;
    const reply = await this.ask(path, question);
    const error = errorIn(reply);
    const { code, outcome = "not_applied", retryable = false } = refusal;
    expect({ status: reply.status, ...error }, what).toMatchObject({
      status: STATUS_CODES[code],
      code,
      outcome,
      retryable,
      leader: "n1",
      term: expect.any(Number),
      details: refusal.details ?? expect.any(Object),
    });
    if (refusal.says !== undefined) expect(error.error, what).toMatch(refusal.says);
    expect(error.error.length, what).toBeLessThan(600);
    expect(this.node.store.revision, what).toBe(revision);
    const next = await this.ask(KEY);
    // This client leaves a connection where it was answered before it had sent everything.
    const isSameSocket = next.isSameSocket || !reply.isSent;
    expect({ text: next.text, isSameSocket }, what).toEqual({ text: KEPT, isSameSocket: true });
  }
}

/** Values that are wrong for each kind of parameter, as they stand in a URL. */
export const WRONG = {
  wholeNumber: [
    ["", "-1", "%2B1", "+1", "1+", "%201", "1.5", "1e3", "0x10", "1_000", "1,000", "one", "NaN"],
    ["Infinity", "null", "true", "%D9%A1", "9007199254740992", "99999999999999999", "1%00"],
  ].flat(),
  duration: [
    ["", "5", "-1s", "1h", "1S", "1%20s", "1e3ms", "s", ".5s", "5.s", "%2B5s", "1s1s", "NaNs"],
    ["Infinitys", "9999999999ms", "1%00s", "%ff", "%zz", "%"],
  ].flat(),
  flag: ["TRUE", "True", "yes", "no", "on", "2", "-1", "null", "true%20", "+true"],
} as const;
