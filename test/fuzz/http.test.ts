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
import { assertPrototypesAreClean, HeapWatch } from "./runner.ts";

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 8);
const SEED = process.env["FUZZ_SEED"] ?? "ci";
const REFUSALS: ReadonlySet<number> = new Set(Object.values(STATUS_CODES));
const ANSWERS: ReadonlySet<number> = new Set([200, 201, 204, 304]);
/** What a single sound node never has reason to say. */
const NEVER: ReadonlySet<number> = new Set([500, 503]);
const SOCKETS = 16;

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
  const isKnown = ANSWERS.has(status) || (REFUSALS.has(status) && !NEVER.has(status));
  assert(isKnown, () => `status ${status}: ${what}`);
}

/** Asks without a network, and checks answer and store. */
async function ask(request: RandomRequest): Promise<number> {
  const { method, path: url, body: payload } = request;
  const headers = Object.fromEntries(request.headers);
  const what = JSON.stringify(request).slice(0, 2_000);
  const before = node.store.digest;
  const { revision } = node.store;
  const reply = await site.app.inject({ method: method as "GET", url, headers, payload });
  assertStatus(reply.statusCode, what);
  if (reply.statusCode < 400) return reply.statusCode;
  assert(reply.payload !== "" || method === "HEAD", () => `a refusal without a word: ${what}`);
  if (reply.payload === "") return reply.statusCode;
  const { code, outcome } = JSON.parse(reply.payload) as { code: string; outcome: string };
  assert(Object.hasOwn(STATUS_CODES, code), () => `unknown code ${code}: ${what}`);
  if (outcome === "not_applied") {
    assert(node.store.revision === revision, () => `refused, and yet applied: ${what}`);
    // A condition that does not hold goes through the log; what is malformed must not.
    const isJudged = [404, 409, 412].includes(reply.statusCode);
    assert(isJudged || node.store.digest === before, () => `refused, yet in the log: ${what}`);
  }
  return reply.statusCode;
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
        const status = await ask(randomRequest(mutator)).catch((cause: unknown) => {
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
  });
  socket.on("error", () => socket.destroy()); // A reset is an answer, too.
  socket.write(bytes);
  if (isEnded) socket.end();
  else socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  await once(socket, "close");
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
          return Buffer.from(rawRequest(mutator, randomRequest(mutator)));
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
  },
  SECONDS * 1_000 + 20_000,
);

function openConnections(): Promise<number> {
  return new Promise((done, fail) => {
    site.app.server.getConnections((error, count) => (error === null ? done(count) : fail(error)));
  });
}
