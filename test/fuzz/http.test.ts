/**
 * The listener for clients in front of a real node, under damaged requests: every answer is one
 * that the API knows, what was refused has changed nothing, and the node goes on (N7, SEC8, X3).
 */
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { STATUS_CODES } from "../../src/http/status-codes.ts";
import type { Lab, LabNode } from "../service/lab.ts";
import { Site } from "../http/site.ts";
import { Mutator } from "./mutator.ts";
import { type RandomRequest, randomRequest, rawRequest } from "./requests.ts";
import { assertPrototypesAreClean, HeapWatch, STALL_MS } from "./runner.ts";

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 8);
const SEED = process.env["FUZZ_SEED"] ?? "ci";
const REFUSALS: ReadonlySet<number> = new Set(Object.values(STATUS_CODES));
const ANSWERS: ReadonlySet<number> = new Set([200, 201, 204, 304]);
/** Only bugs say it. A disk that is slow for a moment may cost even a lone node its leader. */
const BUG = 500;
const SOCKETS = 16;
/** What is a bug happens every time. */
const TRIES = 4;
/** Longer than anything that is asked for waits. */
const EXCHANGE_MS = 10_000;
const ERROR_FIELDS = [
  ["code", "error", "retryable", "outcome", "leader", "term", "request_id", "details"],
].flat();

let site: Site;
let lab: Lab;
let node: LabNode;

beforeAll(async () => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 400, keepAliveTimeoutMs: 300 };
  ({ site, lab, node } = await Site.alone({ limits }));
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function assertStatus(status: number, what: string): void {
  const isKnown = ANSWERS.has(status) || (REFUSALS.has(status) && status !== BUG);
  assert(isKnown, () => `status ${status}: ${what}`);
}

/** What section 7 of the HTTP API says of every error. */
function assertError(payload: string, what: string): { code: string; outcome: string } {
  const error = JSON.parse(payload) as { code: string; outcome: string };
  const fields = Object.keys(error).join();
  assert(fields === ERROR_FIELDS.join(), () => `an error of ${fields}: ${what}`);
  assert(Object.hasOwn(STATUS_CODES, error.code), () => `unknown code ${error.code}: ${what}`);
  return error;
}

/** An answer's status, and what is wrong unless something else came between; null: nothing. */
interface Asked {
  readonly status: number;
  readonly suspicion: string | null;
}

/** Asks, and again where something looks wrong: a lease that ended, or a machine that was busy. */
async function askAgain(request: RandomRequest): Promise<number> {
  for (let left = TRIES; ; left--) {
    const before = performance.eventLoopUtilization();
    const { status, suspicion } = await ask(request);
    const { active } = performance.eventLoopUtilization(before);
    if (active <= STALL_MS && suspicion === null) return status;
    const why = suspicion ?? `${active} ms of work`;
    assert(left > 0, () => `${why}: ${JSON.stringify(request).slice(0, 2_000)}`);
  }
}

/** Asks without a network, and checks answer and store. */
async function ask(request: RandomRequest): Promise<Asked> {
  const { method, path: url, body: payload } = request;
  const headers = Object.fromEntries(request.headers);
  const what = JSON.stringify(request).slice(0, 2_000);
  const { digest, revision } = node.store;
  const reply = await site.app.inject({ method: method as "GET", url, headers, payload });
  const { statusCode: status } = reply;
  assertStatus(status, what);
  if (status < 400) return { status, suspicion: null };
  assert(reply.payload !== "" || method === "HEAD", () => `a refusal without a word: ${what}`);
  // That it is not ready is told in words, to whoever watches over it.
  const isTold = reply.payload === "" || (status === 503 && url.startsWith("/readyz"));
  if (isTold) return { status, suspicion: null };
  const { code, outcome } = assertError(reply.payload, what);
  // Who wants a lock stands in the row for it, and leaves again.
  if (outcome !== "not_applied" || code === "LOCK_HELD") return { status, suspicion: null };
  if (node.store.revision !== revision) return { status, suspicion: "refused, and yet applied" };
  // A condition that does not hold goes through the log; what is malformed must not.
  const isJudged = [404, 409, 412].includes(status);
  const isInLog = !isJudged && node.store.digest !== digest;
  return { status, suspicion: isInLog ? "refused, yet in the log" : null };
}

test(
  `damaged requests for ${SECONDS} s, one after another`,
  async () => {
    const mutator = new Mutator(new Prng(`${SEED}/inject`));
    const heap = new HeapWatch();
    const counts = new Map<number, number>();
    const endsAt = performance.now() + SECONDS * 1_000;
    let requests = 0;
    while (performance.now() < endsAt) {
      for (let left = 50; left > 0; left--) {
        const status = await askAgain(randomRequest(mutator)).catch((cause: unknown) => {
          if (isOfTheClient(cause)) return 0;
          throw cause;
        });
        counts.set(status, (counts.get(status) ?? 0) + 1);
        requests += 1;
      }
      assertPrototypesAreClean();
      heap.look();
    }
    heap.end();
    console.info(`${requests} requests: ${JSON.stringify(Object.fromEntries(counts))}`);
    expect(counts.get(200)).toBeGreaterThan(0);
    expect(counts.get(400)).toBeGreaterThan(0);
    expect(counts.get(503) ?? 0).toBeLessThan(requests / 2);
    expect(site.fatal).not.toHaveBeenCalled();
  },
  SECONDS * 1_000 + 20_000,
);

/** What the injector itself refuses to send was never a request. */
function isOfTheClient(error: unknown): boolean {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return name === "TypeError" && typeof code === "string" && /^ERR_(HTTP|INVALID)/.test(code);
}

/** Sends bytes on a connection of its own, and returns all that comes back until it is closed. */
async function exchange(port: number, bytes: Uint8Array, isEnded: boolean): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    received += text;
    // A stream that has begun has no end.
    if (/text\/event-stream[^]*event: progress/.test(received)) socket.destroy();
  });
  socket.on("error", () => socket.destroy()); // A reset is an answer, too.
  const timer = setTimeout(() => socket.destroy(), EXCHANGE_MS);
  socket.write(bytes);
  if (isEnded) socket.end();
  else socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  await once(socket, "close");
  clearTimeout(timer);
  return received;
}

/** Every answer on a connection: each begins with a status line that the API knows. */
function assertAnswers(text: string, request: string): number {
  if (text === "") return 0;
  assert(/^HTTP\/1\.1 \d{3} /.test(text), () => `not an answer: ${text.slice(0, 200)}`);
  const statuses = [...text.matchAll(/(?:^|\r\n\r\n|[}\n]|)HTTP\/1\.1 (\d{3}) /g)].map(([, s]) =>
    Number(s),
  );
  for (const status of statuses) if (status !== 100) assertStatus(status, request);
  return statuses.length;
}

test(
  `damaged bytes on connections for ${SECONDS} s`,
  async () => {
    const mutator = new Mutator(new Prng(`${SEED}/raw`));
    const port = await site.listen();
    const heap = new HeapWatch();
    const endsAt = performance.now() + SECONDS * 1_000;
    let connections = 0;
    let answers = 0;
    const client = async () => {
      while (performance.now() < endsAt) {
        const count = mutator.random.between(1, 3);
        const requests = Array.from({ length: count }, () => {
          return Buffer.from(rawRequest(mutator, randomRequest(mutator, "some")));
        });
        const bytes = Buffer.concat(requests);
        const text = await exchange(port, bytes, mutator.random.chance(30));
        answers += assertAnswers(text, bytes.toString("latin1").slice(0, 2_000));
        connections += 1;
        if (connections % 50 === 0) heap.look();
      }
    };
    await Promise.all(Array.from({ length: SOCKETS }, client));
    heap.end();
    assertPrototypesAreClean();
    console.info(`${connections} connections, ${answers} answers`);
    expect(answers).toBeGreaterThan(connections / 2);
    expect(site.fatal).not.toHaveBeenCalled();
    const reply = await site.askOverTcp("/livez");
    expect(reply.status).toBe(200);
    await expect.poll(() => openConnections()).toBeLessThanOrEqual(1);
    await expect.poll(() => node.service.watches.count).toBe(0);
  },
  SECONDS * 1_000 + 20_000,
);

function openConnections(): Promise<number> {
  return new Promise((done, fail) => {
    site.app.server.getConnections((error, count) => (error === null ? done(count) : fail(error)));
  });
}
