/** Calls: their answers, and the honest word about whether the peer may have acted (N8, X4). */
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { Index, NodeId, Term } from "../../src/raft/types.ts";
import type { CallRefused } from "../../src/transport/call-codec.ts";
import type { HttpTransport } from "../../src/transport/http-transport.ts";
import { PeerCallError } from "../../src/transport/peer-link.ts";
import { FORWARD_COUNT_MAX } from "../../src/transport/protocol.ts";
import { n1, n2, n3 } from "./arbitrary.ts";
import { Lab, until } from "./peers.ts";

const lab = new Lab();
afterEach(() => lab.close());

const term = 7 as Term;
const put = [Uint8Array.of(1), Uint8Array.of(2, 3)];

function connected(url: string, plan: Parameters<Lab["transport"]>[0] = {}): HttpTransport {
  const { transport } = lab.transport(plan);
  transport.setPeers(new Map([[n2, url]]));
  return transport;
}

/** How the call failed. It must. */
async function failure(call: Promise<unknown>): Promise<PeerCallError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof PeerCallError) return error;
  throw new Error("not a PeerCallError", { cause: error });
}

/** Counts requests by their first lines, over all connections. */
function countRequests(socket: Socket, on: (count: number) => void): void {
  let count = 0;
  socket.on("data", (bytes) => {
    const found = bytes.toString("latin1").split("POST ").length - 1;
    for (let i = 0; i < found; i++) on(++count);
  });
}

describe("answers", () => {
  test("forward: where the leader put them", async () => {
    const seen: unknown[] = [];
    const server = await lab.server({
      handlers: {
        onForward: (from, proposals) => {
          seen.push(from, proposals);
          const positions = [3, 4].map((index) => ({ index: index as Index, term }));
          return Promise.resolve({ type: "taken", term, positions });
        },
      },
    });
    const reply = await connected(server.url).calls.forward(n2, put, 1000);
    expect(reply).toEqual({
      type: "taken",
      term,
      positions: [
        { index: 3, term },
        { index: 4, term },
      ],
    });
    expect(seen).toEqual([n1, put]);
  });

  test("forward and read index: not the leader", async () => {
    const refused: CallRefused = { type: "refused", reason: "not_leader", leader: n3, term };
    const answer = () => Promise.resolve(refused);
    const server = await lab.server({ handlers: { onForward: answer, onReadIndex: answer } });
    const { calls } = connected(server.url);
    expect(await calls.forward(n2, put, 1000)).toEqual(refused);
    expect(await calls.readIndex(n2, 1000)).toEqual(refused);
  });

  test("read index, by a lease where that will do", async () => {
    const server = await lab.server({
      handlers: {
        onReadIndex: (_from, mayLease) =>
          Promise.resolve({ type: "confirmed", term, index: 12 as Index, byLease: mayLease }),
      },
    });
    const { calls } = connected(server.url);
    const confirmed = { type: "confirmed", term, index: 12 };
    expect(await calls.readIndex(n2, 1000)).toEqual({ ...confirmed, byLease: false });
    const leased = await calls.readIndex(n2, 1000, { mayLease: true });
    expect(leased).toEqual({ ...confirmed, byLease: true });
  });

  test("digests, of what was asked for and in the light of the last verdict", async () => {
    const seen: unknown[] = [];
    const answer = { chain: "0123456789abcdef", page: null };
    const server = await lab.server({
      handlers: {
        onDigest: (from, asked) => {
          seen.push(from, asked);
          return Promise.resolve(answer);
        },
      },
    });
    const verdict = { round: 3, chain: null, page: "fedcba9876543210" };
    const about = { term, round: 4, place: 12, start: Uint8Array.of(0xff), revision: 9 };
    const question = { ...about, verdict };
    expect(await connected(server.url).calls.digest(n2, question, 1000)).toEqual(answer);
    expect(seen).toEqual([n1, question]);
  });

  test("hello, even from a node that is no member", async () => {
    const clientUrl = "http://n2.example:4001";
    const about = { name: n2, incarnation: "n2-first", fresh: false, clientUrl };
    const server = await lab.server({
      admission: { admit: () => "no" },
      handlers: {
        onHello: ({ from, incarnation }) => {
          const knownIncarnation = from === n1 ? incarnation : null;
          return Promise.resolve({ ...about, knownIncarnation, silentMs: 17 });
        },
      },
    });
    const reply = await connected(server.url).calls.hello(n2, 1000);
    expect(reply).toEqual({ ...about, knownIncarnation: "n1-first", silentMs: 17 });
  });

  test("many at once, each its own", async () => {
    const server = await lab.server({
      handlers: {
        onForward: async (_from, [first]) => {
          const index = first?.[0] ?? 0;
          await new Promise((resolve) => setTimeout(resolve, index % 3));
          return { type: "taken", term, positions: [{ index: index as Index, term }] };
        },
      },
    });
    const { calls } = connected(server.url, { limits: { callConnectionsMax: 4 } });
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const replies = await Promise.all(
      numbers.map((i) => calls.forward(n2, [Uint8Array.of(i)], 5000)),
    );
    const indexes = replies.map((r) => (r.type === "taken" ? r.positions[0]?.index : null));
    expect(indexes).toEqual(numbers);
  });

  test("more proposals than a peer takes at once are a bug of the caller", async () => {
    const server = await lab.server();
    const many = Array.from({ length: FORWARD_COUNT_MAX + 1 }, () => Uint8Array.of(1));
    expect(() => connected(server.url).calls.forward(n2, many, 1000)).toThrow("too many proposals");
  });
});

describe("certainly nothing happened (sent: false)", () => {
  test("nobody listens", async () => {
    const { calls } = connected(await lab.deadUrl());
    expect(await failure(calls.forward(n2, put, 1000))).toMatchObject({ sent: false, peer: n2 });
  });

  test("the name means nothing", async () => {
    const { calls } = connected("http://no-such-host.invalid:5001");
    expect(await failure(calls.forward(n2, put, 5000))).toMatchObject({ sent: false });
  });

  test("no address is known", async () => {
    const { calls } = connected(await lab.deadUrl());
    expect(await failure(calls.forward("n9" as NodeId, put, 1000))).toMatchObject({ sent: false });
  });

  test("the transport is closed", async () => {
    const server = await lab.server();
    const transport = connected(server.url);
    await transport.close();
    expect(await failure(transport.calls.readIndex(n2, 1000))).toMatchObject({ sent: false });
  });

  test("the peer refuses this node", async () => {
    const server = await lab.server({ admission: { admit: () => "no" } });
    const error = await failure(connected(server.url).calls.forward(n2, put, 1000));
    expect(error).toMatchObject({ sent: false, refusal: "WRONG_INCARNATION" });
    expect(error.message).toBe("n2: knows n1 with another data directory");
  });

  test("the peer cannot read it", async () => {
    const old = await lab.raw((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"));
    });
    const error = await failure(connected(old.url).calls.forward(n2, put, 1000));
    expect(error).toMatchObject({ sent: false, refusal: null });
  });

  test("it never got its turn, and leaves the connection in order", async () => {
    let answer = (): void => {};
    let asked = 0;
    const server = await lab.server({
      handlers: {
        onReadIndex: async () => {
          asked += 1;
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
          return { type: "confirmed", term, index: 12 as Index, byLease: false };
        },
      },
    });
    let connections = 0;
    server.app.server.on("connection", () => {
      connections += 1;
    });
    const { calls } = connected(server.url, { limits: { callConnectionsMax: 1 } });
    const first = calls.readIndex(n2, 10_000);
    await until(() => asked === 1, "the first is under way");
    expect(await failure(calls.forward(n2, put, 20))).toMatchObject({ sent: false });
    answer();
    expect(await first).toMatchObject({ type: "confirmed" });
    expect(await calls.forward(n2, put, 1000)).toMatchObject({ type: "taken" });
    expect(server.posts).toBe(2);
    expect(connections).toBe(1);
  });
});

describe("nobody knows (sent: true)", () => {
  test("the connection was cut after the request was sent", async () => {
    const server = await lab.raw((socket) => socket.once("data", () => socket.destroy()));
    const error = await failure(connected(server.url).calls.forward(n2, put, 1000));
    expect(error).toMatchObject({ sent: true, refusal: null });
  });

  test("the connection was cut in the middle of a large request", async () => {
    const server = await lab.raw((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const large = [new Uint8Array(8 * 1024 * 1024)];
    const error = await failure(connected(server.url).calls.forward(n2, large, 5000));
    expect(error.sent).toBe(true);
  });

  test("the answer was cut off", async () => {
    const server = await lab.raw((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"));
    });
    expect(await failure(connected(server.url).calls.forward(n2, put, 1000))).toMatchObject({
      sent: true,
    });
  });

  test("there was no answer in time", async () => {
    const server = await lab.hung();
    const error = await failure(connected(server.url).calls.forward(n2, put, 50));
    expect(error).toMatchObject({ sent: true, message: "n2: no answer within 50 ms" });
  });

  test.each([
    ["makes no sense", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"],
    ["is of a broken server", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"],
    [
      "leads elsewhere",
      "HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ],
    ["is no HTTP", "hello\r\n\r\n"],
  ])("the answer %s", async (_what, answer) => {
    const server = await lab.raw((socket) => socket.once("data", () => socket.write(answer)));
    const error = await failure(connected(server.url).calls.forward(n2, put, 1000));
    expect(error).toMatchObject({ sent: true, refusal: null });
  });

  test("a call is under way when the transport closes", async () => {
    const server = await lab.hung();
    const transport = connected(server.url);
    const call = failure(transport.calls.forward(n2, put, 10_000));
    await until(() => (server.sockets[0]?.bytesRead ?? 0) > 0, "it is sent");
    await transport.close();
    expect(await call).toMatchObject({ sent: true });
  });
});

describe("nothing is ever sent twice (X4)", () => {
  const ok = "HTTP/1.1 204 No Content\r\n\r\n";

  test("where a kept connection dies under the second request", async () => {
    let requests = 0;
    const server = await lab.raw((socket) => {
      countRequests(socket, (nth) => {
        requests += 1;
        if (nth === 1) socket.write(ok);
        else socket.resetAndDestroy();
      });
    });
    const { calls } = connected(server.url);
    for (let call = 1; call <= 6; call++) {
      await failure(calls.forward(n2, put, 1000)); // An empty answer is no answer, so all fail.
      expect(requests).toBe(call);
    }
    expect(server.sockets).toHaveLength(3);
  });

  test("where the server closes each connection as soon as it has answered", async () => {
    let requests = 0;
    const server = await lab.raw((socket) => {
      countRequests(socket, () => {
        requests += 1;
        socket.write(ok);
        setImmediate(() => socket.destroy());
      });
    });
    const { calls } = connected(server.url, { limits: { callConnectionsMax: 1 } });
    for (let call = 1; call <= 50; call++) {
      const before = requests;
      const { sent, message } = await failure(calls.forward(n2, put, 1000));
      expect(requests - before).toBeLessThanOrEqual(1);
      if (requests > before) expect({ sent, message }).toMatchObject({ sent: true });
    }
    expect(requests).toBeGreaterThan(10);
  });

  test("where connections come and go under many calls at once", async () => {
    const seen = new Map<string, number>();
    let n = 0;
    const server = await lab.raw((socket) => {
      socket.on("data", (bytes) => {
        for (const [id = ""] of bytes.toString("latin1").matchAll(/call-\d+!/g)) {
          seen.set(id, (seen.get(id) ?? 0) + 1);
        }
        n += 1;
        if (n % 3 === 0) socket.resetAndDestroy();
        else socket.write(ok);
      });
    });
    const { calls } = connected(server.url, { limits: { callConnectionsMax: 3 } });
    const ids = Array.from({ length: 200 }, (_, i) => `call-${i}!`);
    const sent = await Promise.all(
      ids.map(async (id) => (await failure(calls.forward(n2, [Buffer.from(id)], 5000))).sent),
    );
    for (const [i, id] of ids.entries()) {
      expect(seen.get(id) ?? 0).toBeLessThanOrEqual(1);
      if (sent[i] === false) expect(seen.has(id)).toBe(false);
    }
    expect(seen.size).toBeGreaterThan(100);
  });
});
