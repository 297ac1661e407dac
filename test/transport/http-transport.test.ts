/** Messages to real servers: order, batches, bounds, failures (L12, L16, N6). */
import { once } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Transport } from "../../src/node/ports.ts";
import type { Message } from "../../src/raft/message.ts";
import type { Index, NodeId, Term } from "../../src/raft/types.ts";
import { transportLimits } from "../../src/transport/http-transport.ts";
import { isPeerUrl } from "../../src/transport/identity.ts";
import { appendOf, heartbeatOf, n2, n3 } from "./arbitrary.ts";
import { Lab, until } from "./peers.ts";

const lab = new Lab();
afterEach(() => lab.close());

const append = (prev: number, bytes = 10) => appendOf(prev, [new Uint8Array(bytes)]);
const prevOf = (m: Message) => (m.type === "append" ? m.prevIndex : -1);

test("is the Transport that a node wants", () => {
  const port: Transport = lab.transport().transport;
  expect(() => port.send("nobody" as NodeId, [append(1)])).not.toThrow();
});

test("everything arrives, in order, and many messages share a request", async () => {
  const server = await lab.server();
  const { transport, onUnreachable } = lab.transport();
  transport.setPeers(new Map([[n2, server.url]]));
  for (let turn = 0; turn < 100; turn++) {
    for (let i = 0; i < 5; i++) transport.send(n2, [append(turn * 5 + i)]);
    await new Promise(setImmediate);
  }
  await until(() => server.received.length === 500, "all received");
  expect(server.received.map(prevOf)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  expect(server.posts).toBeLessThan(100);
  expect(transport.stats().get(n2)).toMatchObject({ messages: 500, dropped: 0, failures: 0 });
  expect(onUnreachable).not.toHaveBeenCalled();
});

test("what is sent in one turn is one request", async () => {
  const server = await lab.server();
  const { transport } = lab.transport();
  transport.setPeers(new Map([[n2, server.url]]));
  transport.send(n2, [append(1)]);
  transport.send(n2, [append(2), heartbeatOf(0, 1)]);
  await until(() => server.received.length === 3, "all received");
  expect(server.posts).toBe(1);
});

test("one request at a time, however slow the peer", async () => {
  let underWay = 0;
  let most = 0;
  const slow = await lab.raw((socket) => {
    socket.on("data", (bytes) => {
      if (!bytes.includes("POST ")) return;
      underWay += 1;
      most = Math.max(most, underWay);
      setTimeout(() => {
        underWay -= 1;
        socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      }, 5);
    });
  });
  const { transport } = lab.transport();
  transport.setPeers(new Map([[n2, slow.url]]));
  const stats = () => transport.stats().get(n2);
  for (let i = 0; (stats()?.requests ?? 0) < 10; i++) {
    transport.send(n2, [append(i)]);
    await new Promise(setImmediate);
  }
  await until(() => stats()?.queued === 0 && underWay === 0, "all answered");
  expect(most).toBe(1);
  expect(slow.sockets).toHaveLength(1);
  expect(stats()?.failures).toBe(0);
});

test("a large entry fits, with its batch to itself", async () => {
  const server = await lab.server();
  const { transport } = lab.transport({ limits: { batchBytesMax: 1000 } });
  transport.setPeers(new Map([[n2, server.url]]));
  transport.send(n2, [append(1), append(2, 16 * 1024 * 1024), append(3)]);
  await until(() => server.received.length === 3, "all received");
  expect(server.received.map(prevOf)).toEqual([1, 2, 3]);
  expect(server.posts).toBe(3);
});

describe("a peer that is not well", () => {
  test("delays nobody else while it hangs, and its queue is bounded", async () => {
    const hung = await lab.hung();
    const server = await lab.server({ id: n3 });
    const limits = { messageTimeoutMs: 60_000, outbox: { messages: 50, bytes: 2_000_000 } };
    const { transport } = lab.transport({ limits });
    transport.setPeers(
      new Map([
        [n2, hung.url],
        [n3, server.url],
      ]),
    );
    for (let i = 0; i < 500; i++) {
      transport.send(n2, [{ ...append(i, 1000), to: n2 }]);
      transport.send(n3, [{ ...append(i, 1000), to: n3 }]);
      await new Promise(setImmediate);
    }
    await until(() => server.received.length === 500, "the healthy peer has all");
    const { requests, queued, messages, dropped, failures } = transport.stats().get(n2) ?? {};
    expect({ requests, queued, failures }).toEqual({ requests: 1, queued: 50, failures: 0 });
    expect((messages ?? 0) + (queued ?? 0) + (dropped ?? 0)).toBe(500);
  });

  test("is reported for each request that failed, and asked ever less often", async () => {
    const url = await lab.deadUrl();
    const { transport, onUnreachable } = lab.transport({
      limits: { backoffMinMs: 20, backoffMaxMs: 80 },
    });
    transport.setPeers(new Map([[n2, url]]));
    const start = performance.now();
    while (performance.now() - start < 600) {
      transport.send(n2, [heartbeatOf(0, 1)]);
      await new Promise(setImmediate);
    }
    const { failures = 0 } = transport.stats().get(n2) ?? {};
    expect(onUnreachable.mock.calls.length).toBe(failures);
    expect(new Set(onUnreachable.mock.calls.flat())).toEqual(new Set([n2]));
    // Without waits there would be hundreds, with the longest from the start about ten.
    expect(failures).toBeGreaterThan(3);
    expect(failures).toBeLessThan(25);
  });

  test("loses the batch that it does not answer in time, and no more", async () => {
    const hung = await lab.hung();
    const { transport, onUnreachable } = lab.transport({ limits: { messageTimeoutMs: 50 } });
    transport.setPeers(new Map([[n2, hung.url]]));
    transport.send(n2, [append(1)]);
    await until(() => hung.sockets.length > 0, "the first batch is under way");
    transport.send(n2, [append(2)]);
    await until(() => onUnreachable.mock.calls.length === 1, "the first batch is given up");
    // Its connection is not used again: an answer to the old request may still come there.
    await until(() => hung.sockets.length === 2, "the second batch goes over another connection");
    expect(transport.stats().get(n2)).toMatchObject({ requests: 2, messages: 2, failures: 1 });
  });

  test("is spoken to again as soon as it is back", async () => {
    const first = await lab.server();
    const { transport, onUnreachable } = lab.transport();
    transport.setPeers(new Map([[n2, first.url]]));
    transport.send(n2, [append(1)]);
    await until(() => first.received.length === 1, "it is up");
    await first.app.close();
    transport.send(n2, [append(2)]);
    await until(() => onUnreachable.mock.calls.length > 0, "it is down");
    const second = await lab.server({ port: first.port });
    transport.send(n2, [append(3)]);
    await until(() => second.received.length > 0, "it is back");
    expect(second.received.map(prevOf)).toEqual([3]);
  });

  test("is waited for but shortly, where it was well in between", async () => {
    const waits: number[] = [];
    const below = (bound: number) => {
      waits.push(bound);
      return 0;
    };
    const url = await lab.deadUrl();
    const { transport, onUnreachable } = lab.transport({ random: { below } });
    transport.setPeers(new Map([[n2, url]]));
    const fail = async (times: number) => {
      onUnreachable.mockClear();
      for (let i = 1; i <= times; i++) {
        transport.send(n2, [append(i)]);
        await until(() => onUnreachable.mock.calls.length === i, "one more failure");
      }
    };
    await fail(3);
    const server = await lab.server({ port: Number(new URL(url).port) });
    transport.send(n2, [append(9)]);
    await until(() => server.received.length === 1, "well in between");
    await server.app.close();
    await fail(2);
    const [first, second, third] = waits;
    expect(third).toBeGreaterThan(second ?? 0);
    expect(waits).toEqual([first, second, third, first, second]);
  });

  test("may answer as much as it likes", async () => {
    const chatty = await lab.raw((socket) => {
      const head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
      const piece = `10000\r\n${"x".repeat(0x10000)}\r\n`;
      socket.once("data", () => {
        socket.write(head);
        const more = () => {
          while (!socket.destroyed && socket.write(piece));
        };
        socket.on("drain", more);
        more();
      });
    });
    const { transport, onUnreachable } = lab.transport({ limits: { messageTimeoutMs: 60_000 } });
    transport.setPeers(new Map([[n2, chatty.url]]));
    transport.send(n2, [append(1)]);
    await until(() => onUnreachable.mock.calls.length === 1, "the answer is cut off");
  });

  test("cannot be resolved: nobody else notices (N9)", async () => {
    const server = await lab.server({ id: n3 });
    const { transport } = lab.transport();
    transport.setPeers(
      new Map([
        [n2, "http://no-such-host.invalid:5001"],
        [n3, server.url],
      ]),
    );
    for (let i = 0; i < 20; i++) {
      transport.send(n2, [append(i)]);
      transport.send(n3, [{ ...append(i), to: n3 }]);
      await until(() => server.received.length === i + 1, "received");
    }
  });
});

describe("addresses", () => {
  test("a peer that moved is found at its new address", async () => {
    const before = await lab.hung();
    const after = await lab.server();
    const { transport } = lab.transport({ limits: { messageTimeoutMs: 60_000 } });
    transport.setPeers(new Map([[n2, before.url]]));
    transport.send(n2, [append(1)]);
    await until(() => before.sockets.length === 1, "the old address was tried");
    const cut = once(before.sockets[0] ?? after.app.server, "close");
    transport.setPeers(new Map([[n2, after.url]]));
    transport.send(n2, [append(2)]);
    await until(() => after.received.length === 1, "received");
    await cut;
    expect(after.received.map(prevOf)).toEqual([2]);
  });

  test("a peer that stays keeps its connection, one that is removed does not", async () => {
    const server = await lab.server();
    const { transport } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    transport.send(n2, [append(1)]);
    await until(() => server.received.length === 1, "received");
    const connections = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_e, n) => resolve(n)));
    expect(await connections()).toBe(1);
    transport.setPeers(
      new Map([
        [n2, server.url],
        [n3, "http://127.0.0.1:1"],
      ]),
    );
    transport.send(n2, [append(2)]);
    await until(() => server.received.length === 2, "received");
    expect(await connections()).toBe(1);
    transport.setPeers(new Map());
    transport.send(n2, [append(3)]);
    await expect.poll(connections).toBe(0);
    expect(server.received).toHaveLength(2);
    expect(transport.stats().size).toBe(0);
  });

  test.each([
    ["that is removed", () => new Map<NodeId, string>()],
    ["that moved", () => new Map([[n2, "http://127.0.0.1:1"]])],
  ])("a call to a peer %s ends in its answer", async (_what, next) => {
    let answer = () => {};
    const isAsked = vi.fn<() => void>();
    const server = await lab.server({
      handlers: {
        onReadIndex: async () => {
          isAsked();
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
          return { type: "confirmed", term: 7 as Term, index: 12 as Index, byLease: false };
        },
      },
    });
    const { transport } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    const called = transport.calls.readIndex(n2, 10_000);
    await until(() => isAsked.mock.calls.length === 1, "asked");
    transport.setPeers(next());
    answer();
    expect(await called).toMatchObject({ type: "confirmed", index: 12 });
    const connections = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_e, n) => resolve(n)));
    await expect.poll(connections).toBe(0);
  });

  test("a call to a peer that is removed ends with the transport at the latest", async () => {
    const hung = await lab.hung();
    const { transport } = lab.transport();
    transport.setPeers(new Map([[n2, hung.url]]));
    const called = transport.calls.readIndex(n2, 60_000).catch((error: unknown) => error);
    await until(() => hung.sockets.length === 1, "asked");
    transport.setPeers(new Map());
    await transport.close();
    expect(await called).toMatchObject({ name: "PeerCallError", sent: true });
  });

  test("an address that is none does no harm", () => {
    const { transport } = lab.transport();
    transport.setPeers(new Map([[n2, "not an address"]]));
    transport.send(n2, [append(1)]);
    expect(transport.stats().size).toBe(0);
  });

  test.each([
    ["http://10.0.0.1:5001", true],
    ["http://node-2.example:5001/", true],
    ["https://[::1]:5001", true],
    ["10.0.0.1:5001", false],
    ["ftp://10.0.0.1", false],
    ["http://10.0.0.1/path", false],
    ["http://10.0.0.1/?q", false],
    ["http://user:secret@10.0.0.1", false],
    ["http://10.0.0.1:5001\r\n", false],
    ["http://10.0.0.1\n:5001", false],
    [" http://10.0.0.1:5001", false],
    ["", false],
  ])("is %s one? %s", (url, expected) => {
    expect(isPeerUrl(url)).toBe(expected);
  });
});

test("close cuts all, at once and for good", async () => {
  const hung = await lab.hung();
  const { transport, onUnreachable } = lab.transport({ limits: { messageTimeoutMs: 60_000 } });
  transport.setPeers(new Map([[n2, hung.url]]));
  transport.send(n2, [append(1)]);
  await until(() => hung.sockets.length === 1, "under way");
  await transport.close();
  await transport.close();
  transport.setPeers(new Map([[n2, hung.url]]));
  transport.send(n2, [append(2)]);
  expect(transport.stats().size).toBe(0);
  expect(onUnreachable).not.toHaveBeenCalled();
});

test("the limits follow the heartbeat", () => {
  expect(transportLimits(50)).toMatchObject({ messageTimeoutMs: 500, backoffMaxMs: 250 });
});
