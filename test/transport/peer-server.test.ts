/** What the peer listener does with bodies and connections that are not in order (9.3, 9.4). */
import { execFile } from "node:child_process";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { MalformedError } from "../../src/lib/bytes.ts";
import { encodeMessages } from "../../src/transport/codec.ts";
import { MESSAGES_BODY_BYTES_MAX, SNAPSHOT_BODY_BYTES_MAX } from "../../src/transport/protocol.ts";
import { heartbeatOf } from "./arbitrary.ts";
import { Lab, type RunningServer, until } from "./peers.ts";

const lab = new Lab();
afterEach(() => lab.close());

const identity = [
  "quorate-protocol: 1",
  "quorate-cluster: c1",
  "quorate-from: n1",
  "quorate-to: n2",
  "quorate-incarnation: n1-first",
  "quorate-since: 0",
  "quorate-life: 0",
  "quorate-peer-url: http://127.0.0.1:1",
];
const msgpack = "content-type: application/msgpack";
const body = Buffer.from(encodeMessages([heartbeatOf(1, 1)]));

/** A connection on which nothing has been said yet, and what comes back on it. */
class Wire {
  readonly socket: Socket;
  answer = "";
  closed = false;

  constructor(server: RunningServer) {
    this.socket = connect(server.port, "127.0.0.1");
    this.socket.on("data", (bytes) => {
      this.answer += bytes.toString("latin1");
    });
    this.socket.on("error", () => this.socket.destroy());
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  get status(): number {
    return Number(this.answer.slice(9, 12));
  }

  head(path: string, headers: readonly string[]): this {
    const lines = [`POST ${path} HTTP/1.1`, "host: n2", ...headers];
    this.socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Until the server has answered, or hung up. */
  async answered(): Promise<this> {
    await until(() => this.closed || this.answer.includes("\r\n\r\n"), "an answer");
    this.socket.destroy();
    return this;
  }
}

const path = "/raft/v1/messages";
const post = (server: RunningServer, headers: readonly string[], bytes: Uint8Array) =>
  new Wire(server)
    .head(path, [...identity, ...headers, `content-length: ${bytes.length}`])
    .bytes(bytes)
    .answered();

describe("bodies", () => {
  test("a good one is delivered", async () => {
    const server = await lab.server();
    expect((await post(server, [msgpack], body)).status).toBe(204);
    expect(server.received).toEqual([heartbeatOf(1, 1)]);
  });

  test.each([
    ["garbage", 400, [msgpack], Buffer.from("garbage")],
    ["nothing", 400, [msgpack], Buffer.alloc(0)],
    ["one that is cut off", 400, [msgpack], body.subarray(0, -1)],
    ["one that goes on", 400, [msgpack], Buffer.concat([body, body])],
    ["JSON", 415, ["content-type: application/json"], Buffer.from("{}")],
    ["text", 415, ["content-type: text/plain"], body],
    ["a form", 415, ["content-type: multipart/form-data; boundary=x"], body],
    ["a type after a tab", 415, ["content-type: application/json\t; application/msgpack"], body],
    ["no type at all", 415, [], body],
    ["compressed bytes", 400, [msgpack, "content-encoding: gzip"], Buffer.from([0x1f, 0x8b, 8])],
  ])("%s", async (_what, status, headers, bytes) => {
    const server = await lab.server();
    const wire = await post(server, headers, bytes);
    expect(wire.status).toBe(status);
    expect(wire.answer).toMatch(/\r\n\r\n\{"code":"[A-Z_]+","error":".+"\}$/);
    expect(server.received).toEqual([]);
  });

  test("one whose length is said to be too large, before it is sent", async () => {
    const server = await lab.server();
    const length = (bytes: number) => `content-length: ${bytes}`;
    const headers = [...identity, msgpack, length(MESSAGES_BODY_BYTES_MAX + 1)];
    expect((await new Wire(server).head(path, headers).answered()).status).toBe(413);
    const chunk = [...identity, msgpack, length(SNAPSHOT_BODY_BYTES_MAX + 1)];
    expect((await new Wire(server).head("/raft/v1/snapshot", chunk).answered()).status).toBe(413);
    const hello = [...identity, msgpack, length(2000)];
    expect((await new Wire(server).head("/raft/v1/hello", hello).answered()).status).toBe(413);
  });

  test("one without a length that turns out too large", async () => {
    const server = await lab.server();
    const headers = [...identity, msgpack, "transfer-encoding: chunked"];
    const wire = new Wire(server).head("/raft/v1/hello", headers);
    wire.bytes(Buffer.from(`800\r\n${"x".repeat(0x800)}\r\n`));
    expect((await wire.answered()).status).toBe(413);
  });

  test("one that never comes, as the sender hangs up", async () => {
    const server = await lab.server();
    const headers = [...identity, msgpack, `content-length: ${body.length}`];
    const wire = new Wire(server).head(path, headers).bytes(body.subarray(0, 10));
    await until(() => server.posts === 1, "the request has begun");
    wire.socket.destroy();
    expect((await post(server, [msgpack], body)).status).toBe(204);
    expect(server.received).toHaveLength(1);
  });

  test("a header twice, with two lengths, or with a length and chunks", async () => {
    const server = await lab.server();
    const twice = ["quorate-from: n1", msgpack];
    expect((await post(server, twice, body)).status).toBe(400);
    expect((await post(server, [msgpack, "content-length: 3"], body)).status).toBe(400);
    expect((await post(server, [msgpack, "transfer-encoding: chunked"], body)).status).toBe(400);
    expect(server.received).toEqual([]);
  });

  test("unknown routes and methods", async () => {
    const server = await lab.server();
    const headers = [...identity, msgpack, "content-length: 0"];
    const wire = await new Wire(server).head("/raft/v1/other", headers).answered();
    expect(wire.status).toBe(404);
    expect(wire.answer).toContain('{"code":"ROUTE_NOT_FOUND"');
    const get = new Wire(server);
    get.socket.write(`GET ${path} HTTP/1.1\r\nhost: n2\r\n${identity.join("\r\n")}\r\n\r\n`);
    expect((await get.answered()).status).toBe(404);
  });
});

describe("connections", () => {
  const limits = { headersTimeoutMs: 150, requestTimeoutMs: 300 };

  test("one that says nothing is closed", async () => {
    const wire = new Wire(await lab.server({ limits }));
    await until(() => wire.closed, "closed");
  });

  test("one that says its headers byte by byte is closed", async () => {
    const wire = new Wire(await lab.server({ limits }));
    wire.socket.write(`POST ${path} HTTP/1.1\r\nhost: n2\r\n`);
    const drip = setInterval(() => wire.socket.write("x-a: b\r\n"), 20);
    await until(() => wire.closed, "closed").finally(() => clearInterval(drip));
    expect(wire.status).toBe(408);
  });

  test("one that says its body byte by byte is closed, and nothing is delivered", async () => {
    const server = await lab.server({ limits });
    const headers = [...identity, msgpack, "content-length: 100000"];
    const wire = new Wire(server).head(path, headers);
    const drip = setInterval(() => wire.bytes(Uint8Array.of(0x90)), 20);
    await until(() => wire.closed, "closed").finally(() => clearInterval(drip));
    expect(wire.status).toBe(408);
    expect(server.received).toEqual([]);
  });

  test("slow ones are in nobody's way", async () => {
    const server = await lab.server({ limits: { headersTimeoutMs: 60_000 } });
    const slow = Array.from({ length: 100 }, () => new Wire(server));
    for (const wire of slow) wire.socket.write("POST ");
    expect((await post(server, [msgpack], body)).status).toBe(204);
    for (const wire of slow) wire.socket.destroy();
  });

  test("one too many is turned away", async () => {
    const server = await lab.server({ limits: { connectionsMax: 2 } });
    const wires = [new Wire(server), new Wire(server)];
    const accepted = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_e, n) => resolve(n)));
    await expect.poll(accepted).toBe(2);
    const third = new Wire(server);
    await until(() => third.closed, "turned away");
    expect(wires.map(({ closed }) => closed)).toEqual([false, false]);
    for (const wire of wires) wire.socket.destroy();
  });

  test("close does not wait for those that are open", async () => {
    const server = await lab.server();
    const headers = [...identity, msgpack, "content-length: 100000"];
    const wire = new Wire(server).head(path, headers);
    await until(() => server.posts === 1, "the request has begun");
    await server.app.close();
    await until(() => wire.closed, "closed");
  });
});

describe("a handler", () => {
  test("may find that the contents of a chunk are malformed", async () => {
    const server = await lab.server({
      handlers: {
        onMessages: () => {
          throw new MalformedError("not so");
        },
      },
    });
    expect((await post(server, [msgpack], body)).answer).toContain('{"code":"MALFORMED"');
  });

  test.each(["onMessages", "onForward", "onReadIndex"])(
    "with a bug ends the process: %s",
    async (handler) => {
      const script = join(import.meta.dirname, "broken-handler.ts");
      const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>(
        (resolve) => {
          const child = execFile(process.execPath, [script, handler], (_error, _stdout, text) => {
            resolve({ code: child.exitCode, stderr: text });
          });
        },
      );
      expect(stderr).toContain(`AssertionError: ${handler} is broken`);
      expect(code).toBe(1);
    },
  );
});
