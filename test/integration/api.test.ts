/** Three processes as their clients see them: any node will do, and all say the same. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, get, keyUrl, put } from "./client.ts";
import { Cluster, ELECTION_MAX_MS, serve } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";
import { Writers } from "./writers.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster[Symbol.asyncDispose]());

test("one node leads, and all agree on that", async () => {
  const leader = await cluster.leader();
  const everyoneAgrees = async () => {
    const statuses = await Promise.all(cluster.members.map((member) => member.status()));
    return statuses.every((status) => status?.leader === leader.name) && statuses;
  };
  const statuses = await until("all agree", everyoneAgrees);
  expect(new Set(statuses.map((status) => status?.term)).size).toBe(1);
  expect(statuses.filter((status) => status?.role === "leader")).toHaveLength(1);
});

describe.each(["n1", "n2", "n3"])("through %s", (name) => {
  test("a key is empty, is set, is read, is deleted", async () => {
    const url = keyUrl(cluster.member(name), `steps/${name}`);
    const missing = await call(url);
    expect(missing).toMatchObject({ status: 200, body: { value: "" } });
    expect(missing.headers).toMatchObject({ "quorate-version": "0", "quorate-node": name });

    const set = await call(url, { method: "POST", body: { value: "one" } });
    expect(set).toMatchObject({ status: 200, body: { value: "one" } });
    expect(set.headers["quorate-version"]).toBe("1");

    const found = await call(url);
    expect(found).toMatchObject({ status: 200, body: { value: "one" } });
    expect(found.headers["etag"]).toBe(set.headers["etag"]);

    const deleted = await call(url, { method: "DELETE" });
    expect(deleted).toMatchObject({ status: 200, body: { value: "" } });
    expect(deleted.headers["quorate-deleted"]).toBe("1");
    expect(await call(url)).toMatchObject({ status: 200, body: { value: "" } });
  });

  test("every answer names the leader's client URL", async () => {
    const leader = await cluster.leader();
    const find = async () => (await call(`${cluster.member(name).url}/v1/status`)).headers;
    const known = async () => (await find())["quorate-leader"] === leader.url;
    await until(`${name} knows where clients find the leader`, known);
  });

  test("who does not want to be forwarded is told where the leader is", async () => {
    const leader = await cluster.leader();
    const url = keyUrl(cluster.member(name), "redirected");
    const headers = { "quorate-forward": "never" };
    const reply = await call(url, { method: "POST", body: { value: "1" }, headers });
    if (leader.name === name) expect(reply.status).toBe(200);
    else expect(reply.headers["location"]).toBe(keyUrl(leader, "redirected"));
    if (leader.name !== name) expect(reply.status).toBe(307);
  });
});

test("a write through any node is seen by a read through any other, under load", async () => {
  const writers = new Writers(cluster.members, 8);
  const stale: string[] = [];
  let checked = 0;
  const end = performance.now() + 3_000;
  for (let round = 1; performance.now() < end; round++) {
    for (const from of cluster.members) {
      const value = `${from.name} ${round}`;
      await put(from, "freshness", value);
      const others = cluster.members.filter((member) => member !== from);
      const seen = await Promise.all(others.map((member) => get(member, "freshness")));
      stale.push(...seen.filter((found) => found !== value));
      checked += seen.length;
    }
  }
  await writers.stop();
  expect(stale).toEqual([]);
  expect(checked).toBeGreaterThan(50);
  expect([...writers.failures]).toEqual([]);
});

test("a follower that is stopped for a second does not even stand for election (E13)", async () => {
  const leader = await cluster.leader();
  const before = await leader.status();
  const followers = await cluster.followers();
  const campaigns = () => {
    const lines = followers.flatMap((follower) => follower.process.messages("info"));
    return lines.filter((line) => line.includes("candidate last=")).length;
  };
  const campaignsBefore = campaigns();
  for (const follower of followers) {
    follower.process.signal("SIGSTOP");
    const stoppedAt = performance.now();
    await until("a second has passed", () => performance.now() - stoppedAt > 1_000);
    follower.process.signal("SIGCONT");
    await put(follower, "after the pause", follower.name);
  }
  // The last election timeout that began before the pause is over then.
  const resumedAt = performance.now();
  await until("they would have", () => performance.now() - resumedAt > ELECTION_MAX_MS);
  expect(campaigns()).toBe(campaignsBefore);
  expect(await leader.status()).toMatchObject({ role: "leader", term: before?.term });
});

test("a second node of the same name is refused, and the first goes on", async () => {
  const [clientPort, peerPort] = await freePorts(2);
  const second = serve({
    name: "n2",
    "data-dir": `${cluster.folder}/second`,
    "client-listen": `127.0.0.1:${clientPort}`,
    "peer-listen": `127.0.0.1:${peerPort}`,
    "initial-cluster": cluster.initialCluster,
  });
  expect(await second.exited).toEqual({ code: 1, signal: null });
  expect(second.messages("fatal")).toEqual([
    expect.stringContaining("n2 runs already, with another data directory"),
  ]);
  await put(cluster.member("n2"), "still", "here");
  expect(cluster.running).toHaveLength(3);
});
