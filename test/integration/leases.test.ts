/** Keys that end by themselves, over leaders that die and sleep (http-api.md, section 6). */
import { afterEach, beforeEach, expect, test } from "vitest";
import { call } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { Keeper } from "./keeper.ts";
import { settled } from "./retry.ts";
import { until } from "./until.ts";
import { WatchClient } from "./watch-client.ts";

/** How late a key may end, on a busy machine. */
const LATE_MS = 2_000;
/** A leader writes down the time so often: what its successor does not know of, a key gets anew. */
const UNTOLD_MS = 500;
const CHANGES = 5;

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start();
});
afterEach(() => cluster[Symbol.asyncDispose]());

interface Put {
  readonly key: string;
  readonly ttlMs: number;
}

/** When the put was sent and when it was confirmed: its time began between these two. */
async function putWithTtl(nodes: readonly Member[], { key, ttlMs }: Put) {
  const sentAt = performance.now();
  const body = { value: "v", ttl: ttlMs / 1_000 };
  const reply = await settled(nodes, `/v1/kv/${key}`, { method: "PUT", body });
  expect(reply).toMatchObject({ status: 201, attempts: 1 });
  return { sentAt, confirmedAt: performance.now() };
}

/** When a linearizable read found that it is gone. */
async function goneAt(nodes: () => readonly Member[], key: string): Promise<number> {
  const isGone = async () => (await settled(nodes(), `/v1/kv/${key}`)).status === 404;
  await until(`${key} is gone`, isGone, 45_000);
  return performance.now();
}

/** For how long no write was accepted after `trouble`, as a client sees it. */
async function leaderlessMs(nodes: readonly Member[], trouble: () => void): Promise<number> {
  const since = performance.now();
  trouble();
  await settled(nodes, "/v1/kv/probe", { method: "PUT", body: { value: "v" } });
  return performance.now() - since;
}

/** Kills the leader, waits for the next one, and has the killed one back. */
async function changeLeader(): Promise<number> {
  const leader = await cluster.leader();
  const others = await cluster.followers();
  const ms = await leaderlessMs(others, () => leader.process.signal("SIGKILL"));
  await leader.process.exited;
  leader.start();
  await cluster.ready();
  return ms;
}

/** After its last renewal, the key of a keeper ends like any other. */
async function endsInTime(keeper: Keeper, { key, ttlMs }: Put): Promise<void> {
  await keeper.stop();
  expect(keeper.isLost).toBe(false);
  const ended = await goneAt(() => cluster.running, key);
  expect(ended - keeper.sentAt).toBeGreaterThan(ttlMs);
  expect(ended - keeper.confirmedAt).toBeLessThan(ttlMs + LATE_MS);
}

test("five leader changes: no key goes early, and none begins anew (section 6, X8)", async () => {
  const put = { key: "ends", ttlMs: 24_000 };
  const kept = { key: "kept", ttlMs: 4_000 };
  const keeper = await Keeper.start({ nodes: cluster.members, ...kept });
  const { sentAt, confirmedAt } = await putWithTtl(cluster.members, put);
  const ending = goneAt(() => cluster.running, put.key);
  let withoutLeaderMs = 0;
  for (let change = 0; change < CHANGES; change++) withoutLeaderMs += await changeLeader();
  // A ttl that began anew with a leader would be over well after the bound below.
  expect(performance.now() - sentAt).toBeLessThan(put.ttlMs);
  await endsInTime(keeper, kept);
  const ended = await ending;
  expect(ended - sentAt).toBeGreaterThan(put.ttlMs);
  expect(ended - confirmedAt).toBeLessThan(
    put.ttlMs + withoutLeaderMs + CHANGES * UNTOLD_MS + LATE_MS,
  );
});

test("a leader that slept for longer than a ttl revokes nothing (X8, etcd #15247)", async () => {
  const sleeper = await cluster.leader();
  const others = await cluster.followers();
  const kept = { key: "kept", ttlMs: 3_000 };
  const put = { key: "ends", ttlMs: 7_000 };
  const keeper = await Keeper.start({ nodes: others, ...kept });
  const watch = new WatchClient(others, "/v1/watch?prefix=&events=expire&since=0");
  const { sentAt, confirmedAt } = await putWithTtl(others, put);
  const before = await call(`${sleeper.url}/v1/kv/${kept.key}`);

  const withoutLeaderMs = await leaderlessMs(others, () => sleeper.process.signal("SIGSTOP"));
  const ended = await goneAt(() => others, put.key);
  expect(ended - sentAt).toBeGreaterThan(put.ttlMs);
  expect(ended - confirmedAt).toBeLessThan(put.ttlMs + withoutLeaderMs + UNTOLD_MS + LATE_MS);

  // By all that it knows when it wakes, the kept key ended long ago.
  expect(performance.now() - confirmedAt).toBeGreaterThan(2 * kept.ttlMs);
  sleeper.process.signal("SIGCONT");
  const follows = async () => (await sleeper.status())?.role === "follower";
  await until("the woken node follows", follows);
  const target = keeper.renewals + 10;
  await until("the lease is renewed again and again", () => keeper.renewals >= target);
  for (const member of cluster.members) {
    const { status, body } = await call(`${member.url}/v1/kv/${kept.key}`);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { create_revision: before.body["create_revision"] },
    });
  }
  await endsInTime(keeper, kept);
  const expired = () => watch.messages.filter(({ event }) => event === "expire");
  await until("both ends were told", () => expired().length >= 2);
  await watch.close();
  expect(expired().map(({ data }) => data["key"])).toEqual([put.key, kept.key]);
});
