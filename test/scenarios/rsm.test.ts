/** MIT 6.5840, lab 4A: commands through the log into the store, and what their callers are told. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { SimNode } from "../sim/sim-node.ts";
import { keyFor } from "./clients.ts";
import { Cluster, ELECTION_TIMEOUT_MS, type Told } from "./harness.ts";

const COUNTER = keyFor("k");
const RETURN_MS = 1_000;

/** How often the one key was written, which is its version: a counter that everybody keeps. */
function countAt(node: SimNode): number {
  return must(node.life, "it runs").store.get(COUNTER)?.version ?? 0;
}

function counts(cluster: Cluster): number[] {
  return cluster.nodes.map((node) => (node.isUp ? countAt(node) : 0));
}

function submitMany(cluster: Cluster, node: SimNode, count: number): Told[] {
  const told: Told[] = [];
  for (let i = 0; i < count; i++) {
    cluster.submitAndWait(node, cluster.text(), (outcome) => told.push(outcome));
  }
  return told;
}

/** The counts that the callers were told. */
function counted(told: readonly Told[]): number[] {
  return told.flatMap((each) =>
    each.kind === "applied" ? [each.result.current?.version ?? 0] : [],
  );
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

test("RSM Basic", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  for (const number of upTo(10)) {
    expect(cluster.one(3)).toBe(number);
    expect(counts(cluster)).toEqual([number, number, number]);
  }
});

test("RSM Concurrent", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  const told = submitMany(cluster, cluster.checkOneLeader(), 50);
  cluster.until(() => counts(cluster).every((count) => count === 50), RETURN_MS);
  expect(counts(cluster)).toEqual([50, 50, 50]);
  expect(counted(told)).toEqual(upTo(50));
});

test("RSM LeaderFailure", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const leader = cluster.checkOneLeader();
  cluster.disconnect(leader);
  cluster.one(2);
  cluster.connect(leader);
  cluster.one(3);
  expect(counts(cluster)).toEqual([3, 3, 3]);
});

test("RSM Partition", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  cluster.one(3);
  const leader = cluster.checkOneLeader();
  cluster.disconnect(leader);
  const told = submitMany(cluster, leader, 100);
  cluster.run(ELECTION_TIMEOUT_MS);
  cluster.one(2);
  cluster.connect(leader);
  cluster.one(3);
  // Who waits is told that it is lost when another command has taken the place, and not earlier.
  for (let i = 0; i < 100; i++) cluster.one(3);
  expect(cluster.until(() => told.length === 100, RETURN_MS)).toBe(true);
  expect(told.filter(({ kind }) => kind !== "lost" && kind !== "refused")).toEqual([]);
  expect(counts(cluster)).toEqual([103, 103, 103]);
});

test("RSM RestartReplay", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  for (let i = 0; i < 100; i++) cluster.one(3);
  for (const node of cluster.nodes) cluster.crash(node);
  for (const node of cluster.nodes) cluster.restart(node);
  const isReplayed = () => counts(cluster).every((count) => count === 100);
  expect(cluster.until(isReplayed, 2 * ELECTION_TIMEOUT_MS)).toBe(true);
  expect(cluster.one(3)).toBe(101);
  expect(counts(cluster)).toEqual([101, 101, 101]);
});

test("RSM Snapshot", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3, snapshotEntries: 10 });
  for (let i = 0; i < 100; i++) {
    cluster.one(3);
    if (i % 10 === 0) cluster.compact();
    expect(cluster.logBytes()).toBeLessThanOrEqual(2 * 1_000);
  }
  for (const node of cluster.nodes) cluster.crash(node);
  for (const node of cluster.nodes) cluster.restart(node);
  expect(cluster.one(3)).toBe(101);
  expect(counts(cluster)).toEqual([101, 101, 101]);
});
