/** Below requests: what is no HTTP, comes too slowly, or too often. */
import { once } from "node:events";
import { connect as dial } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Lab, LabNode } from "../service/lab.ts";
import { keyFor } from "../service/lab.ts";
import { parseRaw, type RawConnection, Site } from "./site.ts";

const LIMITS = {
  headersTimeoutMs: 300,
  requestTimeoutMs: 600,
  keepAliveTimeoutMs: 300,
  connectionsPerAddressMax: 6,
  requestsPerSocketMax: 3,
};
const PUT_HEAD = "PUT /keys/k/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

let site: Site;
let lab: Lab;
let node: LabNode;
const connections: RawConnection[] = [];

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone({ limits: LIMITS }));
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  await vi.waitFor(() => expect(connectionsNow()).resolves.toBe(0));
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function connectionsNow(): Promise<number> {
  return new Promise((resolve, reject) => {
    site.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

async function connect(): Promise<RawConnection> {
  const connection = await site.connect();
  connections.push(connection);
  return connection;
}

/** All that comes back for what is sent, until the server closes the connection. */
async function exchange(text: string | Uint8Array): Promise<string> {
  const connection = await connect();
  connection.send(text);
  return connection.untilClosed();
}

function errorIn(text: string) {
  const { status, head, body } = parseRaw(text);
  expect(head).toMatch(/content-type: application\/json/i);
  expect(head).toMatch(/quorate-node: n1/i);
  const { code, outcome, request_id: id } = JSON.parse(body) as Record<string, string>;
  expect(head).toMatch(new RegExp(`request-id: ${id}(\r\n|$)`, "i"));
  return { status, code, outcome };
}

describe("what is no request", () => {
  test.each([
    ["noise", Buffer.from("\u0000\u0001\u0002\r\n\r\n", "latin1")],
    ["a greeting of TLS", Buffer.from("160301020001000", "hex")],
    ["another protocol", "SSH-2.0-OpenSSH_9\r\n"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["an unknown method", "BREW /keys/k/ HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a line that ends wrongly", "GET /keys/k/ HTTP/1.1\nhost: x\n\n"],
    ["a header without a name", "GET /keys/k/ HTTP/1.1\r\n: x\r\n\r\n"],
    ["a space before the colon", "GET /keys/k/ HTTP/1.1\r\nhost : x\r\n\r\n"],
    ["a folded header", "GET /keys/k/ HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n"],
    ["two lengths", `${PUT_HEAD}content-length: 9\r\ncontent-length: 10\r\n\r\n`],
    ["a length that is none", `${PUT_HEAD}content-length: -1\r\n\r\n`],
    [
      "a length and chunks",
      `${PUT_HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["an unknown encoding", `${PUT_HEAD}transfer-encoding: chonked\r\n\r\n`],
    ["a chunk that is none", `${PUT_HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{"value"`],
  ])("%s", async (_name, text) => {
    const { revision } = node.store;
    expect(errorIn(await exchange(text))).toEqual({
      status: 400,
      code: "INVALID_REQUEST",
      outcome: "not_applied",
    });
    expect(node.store.revision).toBe(revision);
  });

  test("headers that are too large", async () => {
    const header = `x: ${"y".repeat(20_000)}\r\n`;
    const text = await exchange(`GET /keys/k/ HTTP/1.1\r\nhost: x\r\n${header}\r\n`);
    expect(errorIn(text)).toMatchObject({ status: 431, code: "HEADERS_TOO_LARGE" });
  });

  test("no host", async () => {
    const text = await exchange("GET /keys/k/ HTTP/1.1\r\nconnection: close\r\n\r\n");
    expect(errorIn(text)).toMatchObject({ status: 400, code: "INVALID_REQUEST" });
  });

  test("an expectation that nobody can meet", async () => {
    const text = await exchange(
      `${PUT_HEAD}expect: miracles\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    );
    expect(errorIn(text)).toMatchObject({ status: 417, code: "EXPECTATION_FAILED" });
  });
});

test("OPTIONS * is answered for the whole server", async () => {
  const text = await exchange("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  expect(parseRaw(text)).toMatchObject({ status: 204, body: "" });
});

describe("a body that is cut off", () => {
  test.each([
    ["by its length", `content-length: 30\r\n\r\n{"value":"after"}`],
    ["within a chunk", `transfer-encoding: chunked\r\n\r\n20\r\n{"value":"after"}`],
    ["before the last chunk", `transfer-encoding: chunked\r\n\r\n11\r\n{"value":"after"}\r\n`],
  ])("%s is never written", async (_name, rest) => {
    await site.ask("/keys/k/", { method: "PUT", body: { value: "before" } });
    const connection = await connect();
    connection.send(PUT_HEAD + rest);
    connection.end();
    expect(errorIn(await connection.untilClosed())).toEqual({
      status: 400,
      code: "INCOMPLETE_BODY",
      outcome: "not_applied",
    });
    expect((await site.ask("/keys/k/")).text).toBe('{"value":"before"}');
  });

  test("by a reset is never written", async () => {
    await site.ask("/keys/k/", { method: "PUT", body: { value: "before" } });
    const connection = await connect();
    connection.send(`${PUT_HEAD}content-length: 30\r\n\r\n{"value":"after"}`);
    await vi.waitFor(() => expect(connectionsNow()).resolves.toBe(1));
    connection.destroy();
    await vi.waitFor(() => expect(connectionsNow()).resolves.toBe(0));
    expect((await site.ask("/keys/k/")).text).toBe('{"value":"before"}');
  });
});

describe("a whole request before something that is none", () => {
  test("gets its own answer, or none: never that of the other (X9)", async () => {
    const put = vi.spyOn(node.service, "write").mockReturnValueOnce(new Promise(() => {}));
    const connection = await connect();
    const body = '{"value":"v"}';
    connection.send(`${PUT_HEAD}content-length: ${body.length}\r\n\r\n${body}`);
    await vi.waitFor(() => expect(put).toHaveBeenCalled());
    connection.send("BREW coffee\r\n\r\n");
    expect(await connection.untilClosed()).toBe("");
  });

  test("is answered first where it is done", async () => {
    const connection = await connect();
    connection.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
    await connection.until(/ok\n/);
    connection.send("BREW coffee\r\n\r\n");
    const text = await connection.untilClosed();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK[^]*HTTP\/1\.1 400 Bad Request[^]*INVALID_REQUEST/);
  });
});

describe("what comes slowly", () => {
  test("a connection that says nothing is closed", async () => {
    const connection = await connect();
    expect(errorIn(await connection.untilClosed())).toMatchObject({
      status: 408,
      code: "REQUEST_TIMEOUT",
    });
  });

  test("headers must come in time", async () => {
    const connection = await connect();
    connection.send("GET /keys/k/ HTTP/1.1\r\nhost: x\r\n");
    const timer = setInterval(() => connection.send("x: y\r\n"), 50);
    const text = await connection.untilClosed();
    clearInterval(timer);
    expect(errorIn(text)).toMatchObject({ status: 408, code: "REQUEST_TIMEOUT" });
  });

  test("a body must come in time, and is not written in part", async () => {
    const { revision } = node.store;
    const connection = await connect();
    connection.send(`${PUT_HEAD}content-length: 1000\r\n\r\n{"value":"`);
    const timer = setInterval(() => connection.send("x"), 50);
    const text = await connection.untilClosed();
    clearInterval(timer);
    expect(errorIn(text)).toMatchObject({
      status: 408,
      code: "REQUEST_TIMEOUT",
      outcome: "not_applied",
    });
    expect(node.store.revision).toBe(revision);
  });

  test("an idle connection is closed after a while", async () => {
    const connection = await connect();
    connection.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
    const text = await connection.untilClosed();
    expect(parseRaw(text)).toMatchObject({ status: 200, body: "ok\n" });
  });
});

describe("what comes too often", () => {
  test("connections of one address", async () => {
    for (let at = 0; at < LIMITS.connectionsPerAddressMax; at++) await connect();
    const { revision } = node.store;
    const refused = await connect();
    refused.send(`${PUT_HEAD}content-length: 13\r\n\r\n{"value":"no"}`);
    const text = await refused.untilClosed();
    expect(errorIn(text)).toEqual({ status: 503, code: "OVERLOADED", outcome: "not_applied" });
    expect(text).toMatch(/retry-after: 1\r\n/i);
    expect(text).toMatch(/connection: close\r\n/i);
    expect(text).toContain("this address has as many connections");
    // What comes over it is not even looked at.
    expect(node.store.revision).toBe(revision);
    connections.pop();
    connections.pop()?.destroy();
    await vi.waitFor(async () => expect(await connectionsNow()).toBe(5));
    const connection = await connect();
    connection.send("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(await connection.untilClosed()).toMatch(/200 OK/);
  });

  test("connections in all: each beyond is told why, and there is room again", async () => {
    const small = await Site.alone({ limits: { connectionsMax: 2 } });
    try {
      const kept = [await small.site.connect(), await small.site.connect()];
      for (let round = 0; round < 3; round++) {
        const text = await (await small.site.connect()).untilClosed();
        expect(errorIn(text)).toMatchObject({ status: 503, code: "OVERLOADED" });
        expect(text).toContain("this node has as many connections");
      }
      kept[0]?.destroy();
      await vi.waitFor(async () => {
        expect((await small.site.askOverTcp("/livez")).status).toBe(200);
      });
      kept[1]?.destroy();
    } finally {
      await small.site.close();
      await small.lab.close();
    }
  });

  test("who is refused, and does not go, is not kept for long", async () => {
    for (let at = 0; at < LIMITS.connectionsPerAddressMax; at++) await connect();
    const about = { port: await site.listen(), host: "127.0.0.1", allowHalfOpen: true };
    const stubborn = dial(about);
    stubborn.on("error", () => {}); // A reset is an end, too.
    stubborn.resume();
    await once(stubborn, "end");
    for (const connection of connections.splice(0)) connection.destroy();
    const began = performance.now();
    await vi.waitFor(() => expect(connectionsNow()).resolves.toBe(0), 5_000);
    expect(performance.now() - began).toBeLessThan(3_000);
    stubborn.destroy();
  });

  test("requests on one connection: the last one closes it", async () => {
    const connection = await connect();
    for (let at = 0; at < LIMITS.requestsPerSocketMax; at++) {
      connection.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
      await connection.until(new RegExp(`(ok\\n[^]*){${at + 1}}`));
    }
    const text = await connection.untilClosed();
    expect(text.match(/connection: keep-alive/gi)).toHaveLength(2);
    expect(text.match(/connection: close/gi)).toHaveLength(1);
  });
});

test("bodies that are received at once are bounded together", async () => {
  const small = await Site.alone({ limits: { receivingBytesMax: 10_000 } });
  try {
    const head = `${PUT_HEAD}content-length: 8000\r\n\r\n{"value":"${"x".repeat(6_000)}`;
    const first = await small.site.connect();
    first.send(head);
    const second = await small.site.connect();
    await vi.waitFor(async () => {
      // Whichever comes second is refused, and says so at once.
      second.send(head);
      await second.until(/503/);
    });
    expect(errorIn(await second.until(/details/))).toMatchObject({
      status: 503,
      code: "OVERLOADED",
      outcome: "not_applied",
    });
    first.destroy();
    second.destroy();
    const body = { value: "y".repeat(9_000) };
    await vi.waitFor(async () => {
      const reply = await small.site.ask("/keys/k/", { method: "PUT", body });
      expect(reply.status).toBe(200);
    });
    expect(small.node.store.get(keyFor("k"))?.version).toBe(1);
  } finally {
    await small.site.close();
    await small.lab.close();
  }
});

test("a body that is too large is answered although the client goes on sending", async () => {
  const patient = await Site.alone();
  try {
    const body = JSON.stringify({ value: "x".repeat(20 * 1024 * 1024) });
    const length = Buffer.byteLength(body);
    const connection = await patient.site.connect();
    connection.send(`${PUT_HEAD}content-length: ${length}\r\n\r\n${body}`);
    const text = await connection.until(/VALUE_TOO_LARGE/);
    expect(errorIn(text)).toMatchObject({ status: 413, code: "VALUE_TOO_LARGE" });
    // The connection is still good.
    connection.send("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(await connection.untilClosed()).toMatch(/ok\n$/);
  } finally {
    await patient.site.close();
    await patient.lab.close();
  }
});
