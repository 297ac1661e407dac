/** MIT 6.5840, lab 3B: agreement on commands, and what it costs. */
import { must } from "../../src/lib/assert.ts";
import { expect, test } from "vitest";
import type { SimNode } from "../sim/sim-node.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

const TWO_ELECTIONS_MS = 2 * ELECTION_TIMEOUT_MS;
const HALF_ELECTION_MS = ELECTION_TIMEOUT_MS / 2;
/** As many as each leader of the lab is given that no one else hears of. */
const BAD_ENTRIES = 50;

/** Hands the command to a node that leads; returns the number it will have if it is committed. */
function submitTo(cluster: Cluster, leader: SimNode): number {
  const taken = cluster.submit(leader, cluster.text());
  expect(taken).toHaveProperty("index");
  return cluster.commandCount + 1;
}

test("BasicAgree", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  for (let number = 1; number <= 3; number++) {
    expect(cluster.nCommitted(number)).toBe(0);
    expect(cluster.one(3)).toBe(number);
  }
});

test("RPCBytes", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const before = cluster.network.traffic.bytes;
  for (let i = 0; i < 10; i++) cluster.one(3, { text: cluster.text(5_000) });
  const bytes = cluster.network.traffic.bytes - before;
  expect(bytes).toBeGreaterThan(2 * 50_000);
  expect(bytes).toBeLessThanOrEqual(3 * 50_000 + 50_000);
});

test("FollowerFailure", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const first = cluster.checkOneLeader();
  cluster.disconnect(must(cluster.others(first)[0], "a follower"));
  cluster.one(2);
  cluster.run(ELECTION_TIMEOUT_MS);
  expect(cluster.one(2)).toBe(3);

  const leader = cluster.checkOneLeader();
  cluster.disconnect(...cluster.others(leader));
  expect(submitTo(cluster, leader)).toBe(4);
  cluster.run(TWO_ELECTIONS_MS);
  expect(cluster.nCommitted(4)).toBe(0);
});

test("LeaderFailure", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  cluster.disconnect(cluster.checkOneLeader());
  cluster.one(2);
  cluster.run(ELECTION_TIMEOUT_MS);
  expect(cluster.one(2)).toBe(3);

  cluster.disconnect(cluster.checkOneLeader());
  for (const node of cluster.nodes) cluster.submit(node, cluster.text());
  cluster.run(TWO_ELECTIONS_MS);
  expect(cluster.nCommitted(4)).toBe(0);
});

test("FailAgree", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const follower = must(cluster.others(cluster.checkOneLeader())[0], "a follower");
  cluster.disconnect(follower);
  cluster.one(2);
  cluster.one(2);
  cluster.run(ELECTION_TIMEOUT_MS);
  cluster.one(2);
  cluster.one(2);

  cluster.connect(follower);
  cluster.one(3);
  cluster.run(ELECTION_TIMEOUT_MS);
  expect(cluster.one(3)).toBe(7);
});

test("FailNoAgree", () => {
  const cluster = new Cluster({ seed: "a", nodes: 5 });
  cluster.one(5);
  const leader = cluster.checkOneLeader();
  const cut = cluster.others(leader).slice(0, 3);
  cluster.disconnect(...cut);
  expect(submitTo(cluster, leader)).toBe(2);
  cluster.run(TWO_ELECTIONS_MS);
  expect(cluster.nCommitted(2)).toBe(0);

  cluster.connect(...cut);
  const text = cluster.text();
  cluster.submit(cluster.checkOneLeader(), text);
  cluster.one(5);
  // The command of before may be lost or not.
  expect([2, 3]).toContain(cluster.applied.indexOf(text) + 1);
});

test("ConcurrentStarts", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  const leader = cluster.checkOneLeader();
  const told: string[] = [];
  const texts = Array.from({ length: 5 }, () => cluster.text());
  // All in one turn, on one try: nothing changes the term meanwhile.
  for (const text of texts) {
    cluster.submitAndWait(leader, text, ({ kind }) => told.push(kind));
  }
  cluster.until(() => cluster.nCommitted(5) === 3, HALF_ELECTION_MS);
  expect(told).toEqual(texts.map(() => "applied"));
  expect(cluster.applied).toEqual(texts);
});

test("Rejoin", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const first = cluster.checkOneLeader();
  cluster.disconnect(first);
  const bad = [1, 2, 3].map(() => cluster.text());
  for (const text of bad) cluster.submit(first, text);
  cluster.one(2);

  const second = cluster.checkOneLeader();
  cluster.disconnect(second);
  cluster.connect(first);
  cluster.one(2);
  cluster.connect(second);
  cluster.one(3);
  expect(cluster.applied.filter((text) => bad.includes(text))).toEqual([]);
});

test.each(["a", "b", "c", "d"])("Backup (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 5 });
  const submitBad = (leader: SimNode) => {
    for (let i = 0; i < BAD_ENTRIES; i++) submitTo(cluster, leader);
  };
  const submitGood = () => {
    const leader = cluster.checkOneLeader();
    for (let i = 0; i < BAD_ENTRIES; i++) submitTo(cluster, leader);
    cluster.run(HALF_ELECTION_MS);
    return leader;
  };
  cluster.one(5);
  const first = cluster.checkOneLeader();
  const [follower, ...majority] = cluster.others(first) as [SimNode, ...SimNode[]];
  cluster.disconnect(...majority);
  submitBad(first);
  cluster.run(HALF_ELECTION_MS);

  cluster.disconnect(first, follower);
  cluster.connect(...majority);
  submitGood();
  const second = cluster.checkOneLeader();
  const [other, last] = majority.filter((node) => node !== second) as [SimNode, SimNode];
  cluster.disconnect(other);
  submitBad(second);
  cluster.run(HALF_ELECTION_MS);

  cluster.disconnect(...cluster.nodes);
  cluster.connect(first, follower, other);
  submitGood();
  cluster.connect(second, last);
  const startedAt = cluster.events.now;
  const number = cluster.one(5);
  expect(number).toBe(1 + 2 * BAD_ENTRIES + 1);
  // Repair goes by terms, not by entries: it takes a few rounds, not fifty.
  expect(cluster.events.now - startedAt).toBeLessThan(HALF_ELECTION_MS);
});

test("Count", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  const requests = () => cluster.network.traffic.requests;
  const leader = cluster.checkOneLeader();
  expect(requests()).toBeGreaterThanOrEqual(1);
  expect(requests()).toBeLessThanOrEqual(30);

  cluster.one(3);
  const before = requests();
  for (let i = 0; i < 10; i++) submitTo(cluster, leader);
  expect(cluster.until(() => cluster.nCommitted(11) === 3, HALF_ELECTION_MS)).toBe(true);
  expect(requests() - before).toBeLessThanOrEqual((10 + 1 + 3) * 3);

  const idleFrom = requests();
  cluster.run(ELECTION_TIMEOUT_MS);
  const idle = requests() - idleFrom;
  expect(idle).toBeGreaterThan(0);
  expect(idle).toBeLessThanOrEqual(3 * 20);
});
