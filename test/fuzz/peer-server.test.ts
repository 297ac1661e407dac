/**
 * The listener for peers under damaged requests from somebody who knows all names: nothing but what
 * decodes reaches the node, and everything else is refused (D2, E15, SEC2).
 */
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { identityHeaders } from "../../src/transport/identity.ts";
import { MEDIA_TYPE, PATHS } from "../../src/transport/protocol.ts";
import { n1, n2 } from "../transport/arbitrary.ts";
import { identityOf, Lab, type RunningServer } from "../transport/peers.ts";
import { Mutator } from "./mutator.ts";
import { peerTargets } from "./peer-targets.ts";
import { assertPrototypesAreClean, HeapWatch } from "./runner.ts";
import { assertSafeNumbers, type Target } from "./target.ts";

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 6);
const SEED = process.env["FUZZ_SEED"] ?? "ci";
const KNOWN: ReadonlySet<number> = new Set([200, 204, 400, 403, 404, 408, 409, 412, 413, 415, 431]);
const SOCKETS = 8;

const lab = new Lab();
let server: RunningServer;
const sound = Object.values(PATHS);
const paths = [...sound, "/raft/v1/", "/", "//raft/v1/messages", "/raft/v2/hello"];
const bodies: Record<string, Target> = Object.fromEntries(
  peerTargets.slice(0, 10).map((target) => [target.name, target]),
);
/** What belongs where; a read-index and a hello are empty questions. */
const belongs: Record<string, string> = {
  [PATHS.messages]: "messages",
  [PATHS.forward]: "forward",
  [PATHS.snapshot]: "snapshot chunk",
  [PATHS.digest]: "question for digests",
};

beforeAll(async () => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 400, keepAliveTimeoutMs: 300 };
  server = await lab.server({ limits });
});

afterAll(() => lab.close());

/** Mostly with all headers in order, so that the body is looked at. */
function headersOf(mutator: Mutator): Record<string, string> {
  const { random } = mutator;
  const headers: Record<string, string> = {
    "content-type": MEDIA_TYPE,
    ...identityHeaders(identityOf(n1), n2, 0),
  };
  if (random.chance(80)) return headers;
  const name = random.pick(Object.keys(headers));
  if (random.chance(30)) delete headers[name];
  else headers[name] = random.pick(["", "n2", "n3", "2", "x".repeat(200), "a b", "\u00e9"]);
  return headers;
}

/** A path, and a body that mostly belongs there. */
function questionOf(mutator: Mutator): { readonly path: string; readonly body: Uint8Array } {
  const { random } = mutator;
  const path = random.pick(random.chance(90) ? sound : paths);
  const fitting = random.chance(80) ? (belongs[path] ?? "question") : "";
  const target = bodies[fitting] ?? random.pick(Object.values(bodies));
  return { path, body: target.next(mutator) };
}

function checkReceived(): void {
  for (const message of server.received) {
    assert(message.to === n2 && /^n\d$|^2$/.test(message.from), "the body said who speaks");
    assertSafeNumbers(message);
  }
  server.received.length = 0;
}

test(
  `damaged bodies for ${SECONDS} s`,
  async () => {
    const mutator = new Mutator(new Prng(`${SEED}/peer`));
    const heap = new HeapWatch();
    const counts = new Map<number, number>();
    const endsAt = performance.now() + SECONDS * 1_000;
    while (performance.now() < endsAt) {
      for (let left = 50; left > 0; left--) {
        const { path: url, body } = questionOf(mutator);
        const payload = Buffer.from(body);
        const reply = await server.app.inject({
          method: mutator.random.pick(["POST", "POST", "POST", "POST", "PUT", "GET"]),
          url,
          headers: headersOf(mutator),
          payload,
        });
        const { statusCode } = reply;
        assert(KNOWN.has(statusCode), () => `${statusCode} at ${url}: ${payload.toString("hex")}`);
        counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1);
      }
      checkReceived();
      assertPrototypesAreClean();
      heap.look();
    }
    heap.end();
    console.info(JSON.stringify(Object.fromEntries(counts)));
    for (const status of [200, 204, 400, 404, 412]) expect(counts.get(status)).toBeGreaterThan(0);
  },
  SECONDS * 1_000 + 20_000,
);

function rawRequest(mutator: Mutator): Uint8Array {
  const { random } = mutator;
  const { path, body } = questionOf(mutator);
  const length = random.chance(90) ? body.length : random.pick([0, 1, 2 ** 31, 2 ** 53]);
  const lines = Object.entries(headersOf(mutator)).map(([name, value]) => `${name}: ${value}`);
  const first = `POST ${path} HTTP/1.1`;
  const head = [first, "host: x", `content-length: ${length}`, ...lines].join("\r\n");
  const bytes = Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), body]);
  return random.chance(40) ? mutator.bytes(bytes, bytes) : bytes;
}

async function exchange(bytes: Uint8Array): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    received += text;
  });
  socket.on("error", () => socket.destroy()); // A reset is an answer, too.
  socket.end(bytes);
  await once(socket, "close");
  return received;
}

test(
  `damaged bytes on connections for ${SECONDS} s`,
  async () => {
    const mutator = new Mutator(new Prng(`${SEED}/peer-raw`));
    const heap = new HeapWatch();
    const endsAt = performance.now() + SECONDS * 1_000;
    let connections = 0;
    let answers = 0;
    const client = async () => {
      while (performance.now() < endsAt) {
        const bytes = Buffer.from(rawRequest(mutator));
        const text = await exchange(bytes);
        connections += 1;
        if (text === "") continue;
        answers += 1;
        const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
        assert(KNOWN.has(status), () => `status ${status}: ${bytes.toString("latin1")}`);
        if (connections % 50 === 0) heap.look();
      }
    };
    await Promise.all(Array.from({ length: SOCKETS }, client));
    heap.end();
    checkReceived();
    assertPrototypesAreClean();
    console.info(`${connections} connections, ${answers} answers`);
    expect(answers).toBeGreaterThan(connections / 2);
    const { transport } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    expect((await transport.calls.hello(n2, 2_000)).name).toBe(n2);
  },
  SECONDS * 1_000 + 20_000,
);
