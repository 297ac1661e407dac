/** Clients that never read, that give up, and too many of them: one real node (K8, section 7). */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clientServerLimits } from "../../src/http/limits.ts";
import { watchLimits } from "../../src/watch/limits.ts";
import { call, put } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { until } from "./until.ts";
import { WatchClient } from "./watch-client.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Much less than what would be held for clients that never read, and more than a heap's breath. */
const GROWTH_MAX_BYTES = 256 * MIB;
/** All that may be unread, and as much again for how it is made. */
const UNSENT_GROWTH_MAX_BYTES = 2 * clientServerLimits.unsentBytesMax;
/** For which anybody else may have to wait, on a busy machine. */
const PATIENCE_MS = 2_000;

let cluster: Cluster;
let node: Member;
const sockets: Socket[] = [];

beforeAll(async () => {
  cluster = await Cluster.start({ size: 1 });
  node = await cluster.leader();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await until("all connections are closed", () => connections() === 0);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** A connection that sends this, and reads nothing. */
async function deaf(text: string, localAddress = "127.0.0.2"): Promise<Socket> {
  const { port } = new URL(node.url);
  const socket = connect({ host: "127.0.0.1", port: Number(port), localAddress });
  socket.on("error", () => {}); // A reset is an end, too.
  sockets.push(socket);
  await once(socket, "connect");
  socket.pause();
  socket.write(text);
  return socket;
}

function get(path: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`;
}

/** Bytes of memory that the node has. */
function memory(): number {
  const status = readFileSync(`/proc/${node.process.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB;
}

/** Connections that the node has with the clients of this file: others come from 127.0.0.1. */
function connections(): number {
  const port = Number(new URL(node.url).port).toString(16).toUpperCase().padStart(4, "0");
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
  // Local address, remote address, and whether it is established, or was closed by the other only.
  const wanted = new RegExp(
    `^ *\\d+: 0100007F:${port} (?!0100007F)[0-9A-F]{8}:[0-9A-F]{4} (01|08) `,
  );
  return lines.filter((line) => wanted.test(line)).length;
}

/** Somebody else writes and reads, and does not have to wait. */
async function expectServed(): Promise<void> {
  const startedAt = performance.now();
  await put(node, "other", "v");
  expect((await call(`${node.url}/keys/other/`)).body).toEqual({ value: "v" });
  expect(performance.now() - startedAt).toBeLessThan(PATIENCE_MS);
}

describe("clients that never read", () => {
  test("watches of a busy prefix hold little, and are closed in the end (K8)", async () => {
    const reader = new WatchClient([node], "/v1/watch?prefix=busy/");
    await until("the reader watches", () => reader.messages.length > 0);
    // Each has a selection of its own, so that none shares what it is told with another.
    for (const prefix of ["b", "bu", "bus", "busy", "busy/"]) {
      for (const events of ["put", "put,delete", "put,expire"]) {
        await deaf(get(`/v1/watch?prefix=${prefix}&events=${events}`));
      }
    }
    const before = memory();
    const value = "v".repeat(64 * KIB);
    for (let round = 0; round < 40; round++) {
      const batch = Array.from({ length: 16 }, (_, at) => put(node, `busy/${at}`, value));
      await Promise.all(batch);
    }
    // All of it for each of them would be 600 MiB; the history itself has 40.
    expect(memory() - before).toBeLessThan(GROWTH_MAX_BYTES);
    await expectServed();
    const puts = () => reader.messages.filter(({ event }) => event === "put");
    await until("the reader is told everything", () => puts().length === 640);
    const stalled = 2 * watchLimits.stallMs;
    await until("those who never read are closed", () => connections() === 0, stalled);
    await expectServed();
    await reader.close();
  }, 120_000);

  test("watches that share nothing hold no more together than answers may (K8)", async () => {
    const name = "w".repeat(150);
    // One byte of these is six of JSON: for all of them, 900 MiB.
    const value = "\u0001".repeat(MIB);
    for (let at = 1; at <= name.length; at++) {
      await deaf(get(`/v1/watch?prefix=${name.slice(0, at)}`));
    }
    const before = memory();
    await put(node, name, value);
    let most = 0;
    const isFull = async () => (await call(`${node.url}/keys/other/`)).status === 503;
    await until("there is no room for more", isFull, 30_000);
    for (let round = 0; round < 50; round++) {
      await put(node, "other", "v");
      most = Math.max(most, memory());
    }
    expect(most - before).toBeLessThan(UNSENT_GROWTH_MAX_BYTES);
    for (const socket of sockets.splice(0)) socket.destroy();
    await until("their connections are closed", () => connections() === 0);
    await expectServed();
  }, 60_000);

  test("large answers that are asked for all at once are not made all at once", async () => {
    const value = "v".repeat(MIB);
    for (let at = 0; at < 4; at++) await put(node, `large/${at}`, value);
    const before = memory();
    const asked = [get("/v1/kv?prefix=large/"), get("/v1/kv/large/0?raw")];
    for (const each of asked) {
      for (let at = 0; at < 4; at++) await deaf(each.repeat(400));
    }
    let most = 0;
    for (let round = 0; round < 20; round++) {
      await expectServed();
      most = Math.max(most, memory());
    }
    expect(connections()).toBe(8);
    // All of them would be 3 GiB.
    expect(most - before).toBeLessThan(GROWTH_MAX_BYTES);
  });
});

test("long polls that are given up are forgotten", async () => {
  await put(node, "polled", "v");
  for (let at = 0; at < 200; at++) await deaf(get("/v1/kv/polled?since=9007199254740991&wait=60s"));
  expect(connections()).toBe(200);
  for (const socket of sockets.splice(0)) socket.destroy();
  await until("their connections are closed", () => connections() === 0);
  await expectServed();
});

describe("connections beyond the cap", () => {
  const { connectionsMax, connectionsPerAddressMax } = clientServerLimits;

  test("of one address: closed, and there is room again when others leave", async () => {
    const ended = await hold(connectionsPerAddressMax + 50, "127.0.0.2");
    await until("those beyond are closed", () => ended() === 50);
    await expectServed();
    for (const socket of sockets.splice(0)) socket.destroy();
    await until("the others left", () => connections() === 0);
    const again = await hold(50, "127.0.0.2");
    await expectServed();
    expect(again()).toBe(0);
  });

  test("of all: closed, the node stays responsive, and recovers", async () => {
    // Through one connection that was there before.
    await expectServed();
    const perAddress = connectionsPerAddressMax - 24;
    const addresses = Math.ceil(connectionsMax / perAddress) + 1;
    const counts: (() => number)[] = [];
    for (let at = 0; at < addresses; at++) {
      counts.push(await hold(perAddress, `127.0.1.${at + 1}`));
    }
    const beyond = addresses * perAddress - connectionsMax;
    const ended = () => counts.reduce((sum, count) => sum + count(), 0);
    await until("those beyond are closed", () => ended() >= beyond);
    for (const socket of sockets.splice(0)) socket.destroy();
    await until("the others left", () => connections() === 0, 20_000);
    await expectServed();
  });
});

/** Opens connections that are good, and idle. Returns how many of them have ended. */
async function hold(count: number, localAddress: string): Promise<() => number> {
  let ended = 0;
  for (let at = 0; at < count; at += 100) {
    const batch = Array.from({ length: Math.min(100, count - at) }, async () => {
      const socket = await deaf(get("/livez"), localAddress);
      socket.once("close", () => {
        ended += 1;
      });
      socket.resume();
    });
    await Promise.all(batch);
  }
  return () => ended;
}
