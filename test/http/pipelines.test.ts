/** Many requests on one connection, sent before the first is answered. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PIPELINED_MAX } from "../../src/http/limits.ts";
import type { Lab, LabNode } from "../service/lab.ts";
import { Site } from "./site.ts";

const REQUESTS = 200;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;

let site: Site;
let lab: Lab;
let node: LabNode;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
  const value = "v".repeat(1024 * 1024);
  for (let at = 0; at < 3; at++) {
    await site.ask(`/v1/kv/large/${at}`, { method: "PUT", body: { value } });
  }
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

test("for whom does not read, no more answers are made than fit", async () => {
  const list = vi.spyOn(node.service, "list");
  const socket = connect(await site.listen(), "127.0.0.1");
  await once(socket, "connect");
  socket.pause();
  socket.write(get("/v1/kv?prefix=large/").repeat(REQUESTS));
  await vi.waitFor(() => expect(list).toHaveBeenCalled());
  // Time enough for all of them, if they were begun.
  for (let round = 0; round < 20; round++) await site.askOverTcp("/keys/k/");
  // Some that are made fit into the buffers of the system.
  expect(list.mock.calls.length).toBeLessThan(REQUESTS / 4);
  const { length } = list.mock.calls;
  socket.destroy();
  await vi.waitFor(async () => expect(await connections()).toBe(0));
  expect(list.mock.calls.length - length).toBeLessThanOrEqual(PIPELINED_MAX);
  list.mockRestore();
});

test("for whom does read, all are answered, in their order", async () => {
  const connection = await site.connect();
  const ids = Array.from({ length: REQUESTS }, (_, at) => `request-${at}`);
  const head = "GET /keys/k/ HTTP/1.1\r\nhost: x\r\nrequest-id:";
  connection.send(ids.map((id) => `${head} ${id}\r\n\r\n`).join(""));
  const text = await connection.until(new RegExp(`request-${REQUESTS - 1}[^]*\\{"value":""\\}$`));
  const answered = [...text.matchAll(/request-id: (request-\d+)/g)].map(([, id]) => id);
  expect(answered).toEqual(ids);
  connection.destroy();
});

test("requests that wait share a listener, and no warning tells of many", async () => {
  const warned = vi.fn<(warning: Error) => void>();
  process.on("warning", warned);
  const connection = await site.connect();
  connection.send(get("/v1/kv/k?since=9007199254740991&wait=60s").repeat(PIPELINED_MAX));
  await vi.waitFor(() => expect(node.service.watches.count).toBe(PIPELINED_MAX));
  connection.destroy();
  await vi.waitFor(() => expect(node.service.watches.count).toBe(0));
  process.off("warning", warned);
  expect(warned.mock.calls.map(([{ name }]) => name)).toEqual([]);
});

function connections(): Promise<number> {
  return new Promise((done, fail) => {
    site.app.server.getConnections((error, count) => (error === null ? done(count) : fail(error)));
  });
}
