/** What the client makes of nodes that die, hang, or say no (reliability: X1, X3, X4). */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPEAT_MAX_MS } from "../../src/client/caller.ts";
import { QuorateError } from "../../src/client/index.ts";
import { CERTAIN_MS } from "../../src/kv/remembered.ts";
import { until } from "../integration/until.ts";
import { behindProxy, clientOf, clusterAndClient, deadUrls, failureOf, urlsOf } from "./faces.ts";

let site: Awaited<ReturnType<typeof clusterAndClient>>;

beforeAll(async () => {
  site = await clusterAndClient();
});

afterAll(() => site.end());

/** A server that answers all requests alike. */
async function answering(status: number, body: string) {
  let count = 0;
  const server: Server = createServer((request, response) => {
    count += 1;
    request.resume();
    response.writeHead(status, { "quorate-node": "n1" }).end(body);
  });
  const url = await listen(server);
  return { url, count: () => count, server };
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("X1: kill -9 of the leader amid 500 increments: exactly 500 in the end", async () => {
  const { cluster } = site;
  const leader = await cluster.leader();
  const others = urlsOf(cluster).filter((url) => url !== leader.url);
  const endpoints = [...(await deadUrls(1)), leader.url, ...others];
  const client = clientOf({ endpoints, timeoutMs: 20_000 });
  const values: number[] = [];
  let begun = 0;
  const work = async () => {
    while (begun < 500) {
      begun += 1;
      values.push((await client.increment("count")).value);
    }
  };
  const workers = Promise.all(Array.from({ length: 8 }, work));
  await until("150 increments", () => values.length >= 150, 30_000);
  await leader.kill();
  await workers;
  expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, at) => at + 1));
  expect(await client.get("count")).toMatchObject({ value: "500", version: 500 });
  const statuses = await client.status();
  expect(statuses.map(({ error }) => error?.code)).toEqual([
    "UNREACHABLE",
    "UNREACHABLE",
    undefined,
    undefined,
  ]);
  leader.start();
  await cluster.ready();
});

test("X4: an answer that is lost is asked for again, and the write is applied once", async () => {
  const [first, second] = site.cluster.members;
  const { proxy, endpoint } = await behindProxy(first);
  const client = clientOf({ endpoints: [endpoint, second?.url ?? ""] });
  expect(await client.increment("lossy")).toMatchObject({ value: 1 });
  proxy.loseAnswers("");
  expect(await client.increment("lossy")).toMatchObject({ value: 2, version: 2 });
  expect(await site.client.get("lossy")).toMatchObject({ value: "2" });
});

test("X3: whom nobody can reach is told UNREACHABLE, and that nothing was applied", async () => {
  const client = clientOf({ endpoints: await deadUrls(3) });
  const error = await failureOf(client.put("a", "b"));
  expect(error).toMatchObject({ code: "UNREACHABLE", outcome: "not_applied", retryable: true });
  expect(error).toMatchObject({ status: 0 });
  expect(await failureOf(client.get("a"))).toMatchObject({ code: "UNREACHABLE" });
  const events = client.watch({ prefix: "" });
  expect(await failureOf(events.next())).toMatchObject({ code: "UNREACHABLE" });
});

test("X3: where a node took a write and is silent, the outcome is unknown", async () => {
  const server = createTcpServer((socket) => socket.on("error", () => {}).resume());
  const mute = await listen(server);
  const client = clientOf({ endpoints: [mute], timeoutMs: 300 });
  const error = await failureOf(client.put("a", "b"));
  expect(error).toMatchObject({ code: "NO_ANSWER", outcome: "unknown" });
  expect(await failureOf(client.get("a"))).toMatchObject({ outcome: "not_applied" });
  const other = clientOf({ endpoints: [mute, ...urlsOf(site.cluster)] });
  expect(await other.put("a", "b")).toMatchObject({ created: true });
  server.close();
});

test("X1: a write of which nobody knows is repeated only while it is remembered", async () => {
  const server = createTcpServer((socket) => socket.on("error", () => {}).resume());
  let attempts = 0;
  server.on("connection", () => {
    attempts += 1;
  });
  const client = clientOf({ endpoints: [await listen(server)], timeoutMs: 300_000 });
  const begun = performance.now();
  expect(await failureOf(client.put("a", "b"))).toMatchObject({
    code: "NO_ANSWER",
    outcome: "unknown",
  });
  expect(performance.now() - begun).toBeLessThanOrEqual(REPEAT_MAX_MS + 500);
  expect(attempts).toBeGreaterThan(1);
  // What is sent by then may arrive as much later.
  expect(2 * REPEAT_MAX_MS).toBeLessThanOrEqual(CERTAIN_MS);
  server.close();
});

test("whoever is no Quorate is not taken for it", async () => {
  const server = createServer((_, response) => response.end("{}"));
  const client = clientOf({ endpoints: [await listen(server)] });
  const error = await failureOf(client.put("a", "b"));
  expect(error).toMatchObject({ code: "BAD_ANSWER", outcome: "unknown", status: 200 });
  server.close();
});

test("retries are a tenth of the requests in the long run, however many fail", async () => {
  const code = { code: "OVERLOADED", error: "too much", outcome: "not_applied", retryable: true };
  const { url, count, server } = await answering(503, JSON.stringify(code));
  // Time enough for all the retries that there may be.
  const client = clientOf({ endpoints: [url], timeoutMs: 20_000 });
  const calls = Array.from({ length: 300 }, () => client.put("a", "b").catch((error) => error));
  const errors = await Promise.all(calls);
  for (const error of errors) expect(error).toBeInstanceOf(QuorateError);
  expect(errors[0]).toMatchObject({ code: "OVERLOADED", outcome: "not_applied" });
  expect(count()).toBeGreaterThanOrEqual(300 + 100);
  expect(count()).toBeLessThanOrEqual(300 + 100 + 30);
  server.close();
});

test("nobody waits for a lock of a cluster that is not there", async () => {
  const client = clientOf({ endpoints: await deadUrls(3), timeoutMs: 300 });
  const begun = performance.now();
  const error = await failureOf(client.lock("l", { waitMs: 60_000 }));
  expect(error).toMatchObject({ code: "UNREACHABLE", outcome: "not_applied" });
  expect(performance.now() - begun).toBeLessThan(10_000);
});
