/** The network between nodes does what a nemesis asks of it, and no more. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PeerProxy } from "../integration/peer-proxy.ts";
import { until } from "../integration/until.ts";

const GREETING = "POST / HTTP/1.1\r\nquorate-from: n1\r\n\r\n";

let server: Server;
let proxy: PeerProxy;
let near: Socket;
/** What came through the proxy to the server, and back to the client. */
let asked: string;
let answered: string;

beforeEach(async () => {
  asked = "";
  answered = "";
  server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      asked += chunk.toString();
      socket.write(`<${chunk.length}>`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = new PeerProxy((server.address() as AddressInfo).port);
  near = connect(await proxy.listen(), "127.0.0.1");
  near.on("error", () => near.destroy());
  near.on("data", (chunk: Buffer) => {
    answered += chunk.toString();
  });
  near.write(GREETING);
  await until("the greeting is answered", () => answered !== "");
  asked = "";
  answered = "";
});

afterEach(() => {
  near.destroy();
  proxy.close();
  server.close();
});

/** However it comes to that: `once` would reject at a reset. */
function isClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

test("lost answers: what is asked arrives, and nothing comes back", async () => {
  proxy.loseAnswers("n1");
  near.write("one");
  await until("it arrives", () => asked === "one");
  expect(proxy.hears("n1")).toBe(true);
  expect(answered).toBe("");
});

test("lost requests: nothing arrives; the connection stays until it is healed", async () => {
  proxy.loseRequests("n1");
  near.write("one");
  expect(proxy.hears("n1")).toBe(false);
  const closed = isClosed(near);
  proxy.heal();
  await closed;
  expect(asked).toBe("");
});

test("slow: everything arrives, late and in order, even when it is fast again", async () => {
  proxy.slowDown({ minMs: 60, maxMs: 120 });
  const startedAt = performance.now();
  const letters = "abcdefghijklmnopqrstuvwxyz";
  for (const letter of letters) {
    near.write(letter);
    if (letter === "m") proxy.slowDown(null);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until("all arrived", () => asked.length === letters.length);
  expect(asked).toBe(letters);
  expect(performance.now() - startedAt).toBeGreaterThan(55);
});

test("reset: the connections break at once", async () => {
  const closed = isClosed(near);
  proxy.reset();
  await closed;
});
