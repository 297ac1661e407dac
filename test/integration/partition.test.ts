/** Nodes that cannot hear each other: who may go on, and what happens when they meet again. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { call, get, keyUrl, put } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { until } from "./until.ts";

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start({ partitionable: true });
});
afterEach(() => cluster[Symbol.asyncDispose]());

test("a leader that is cut off steps down, and neither writes nor reads (E7, R1)", async () => {
  const old = await cluster.leader();
  const [follower] = await cluster.followers();
  if (follower === undefined) throw new Error("no follower");
  await put(old, "k", "before");
  cluster.isolate(old);

  const lost = call(`${keyUrl(old, "k")}?timeout=2s`, { method: "POST", body: { value: "lost" } });
  await until("it steps down", async () => (await old.status())?.role !== "leader");
  const next = await until("the others elect another", async () => {
    const found = (await follower.status())?.leader ?? null;
    return found !== old.name && found;
  });
  expect(next).not.toBe(old.name);
  await put(follower, "k", "after");

  const read = await call(`${keyUrl(old, "k")}?timeout=500ms`);
  expect(read.status).toBeGreaterThanOrEqual(500);
  expect(await lost).toMatchObject({ status: 504, body: { outcome: "unknown" } });

  cluster.heal();
  await cluster.ready();
  expect(await get(old, "k")).toBe("after");
});

test("a follower that was cut off comes back without an election (E5)", async () => {
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();
  if (follower === undefined) throw new Error("no follower");
  const term = (await leader.status())?.term;
  cluster.isolate(follower);
  await until("it misses its leader", async () => (await follower.status())?.leader === null);
  await put(leader, "k", "while it was away");

  cluster.heal();
  await until("it follows again", async () => (await follower.status())?.leader === leader.name);
  expect(await get(follower, "k")).toBe("while it was away");
  expect(await leader.status()).toMatchObject({ role: "leader", term });
});
