/** MIT 6.5840, lab 3C: what nodes know after a crash, also over a bad network. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { SimNode } from "../sim/sim-node.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

const SEEDS = ["a", "b", "c"];
const ROUNDS = 1_000;
const KEPT_ALIVE = 3;

function restartAll(cluster: Cluster, nodes: readonly SimNode[]): void {
  for (const node of nodes) cluster.crash(node);
  for (const node of nodes) cluster.restart(node);
}

/** Gives every node that runs a command of its own; returns one that took it, if any did. */
function submitEverywhere(cluster: Cluster): SimNode | null {
  let leader: SimNode | null = null;
  for (const node of cluster.nodes) {
    if (!node.isUp) continue;
    const taken = cluster.submit(node, cluster.text());
    if (taken !== null && typeof taken !== "string") leader = node;
  }
  return leader;
}

/** Mostly too short for a commit, sometimes long enough for an election to begin. */
function runAWhile(cluster: Cluster): void {
  const { random } = cluster;
  cluster.run(random.chance(10) ? random.below(ELECTION_TIMEOUT_MS / 2) : random.below(13));
}

test.each(SEEDS)("Persist1 (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 3 });
  cluster.one(3);
  restartAll(cluster, cluster.nodes);
  cluster.one(3);

  const first = cluster.checkOneLeader();
  cluster.restart(first);
  cluster.one(3);

  const second = cluster.checkOneLeader();
  cluster.crash(second);
  cluster.one(2);
  cluster.restart(second);
  // It has caught up before more is agreed on.
  expect(cluster.until(() => cluster.nCommitted(4) === 3, ELECTION_TIMEOUT_MS)).toBe(true);

  const follower = must(cluster.others(cluster.checkOneLeader())[0], "a follower");
  cluster.crash(follower);
  cluster.one(2);
  cluster.restart(follower);
  expect(cluster.one(3)).toBe(6);
});

test.each(SEEDS)("Persist2 (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 5 });
  let number = 0;
  for (let round = 0; round < 5; round++) {
    expect(cluster.one(5)).toBe(++number);
    const leader = cluster.nodes.indexOf(cluster.checkOneLeader());
    const after = [1, 2, 3, 4].map((i) => cluster.node(leader + i)) as Four;
    const [a, b, c, d] = after;
    cluster.disconnect(a, b);
    expect(cluster.one(3)).toBe(++number);

    cluster.disconnect(cluster.node(leader), c, d);
    restartAll(cluster, [a, b]);
    cluster.run(ELECTION_TIMEOUT_MS);
    cluster.restart(c);
    expect(cluster.one(3)).toBe(++number);
    cluster.connect(d, cluster.node(leader));
  }
  expect(cluster.one(5)).toBe(16);
});

type Four = [SimNode, SimNode, SimNode, SimNode];

test.each(SEEDS)("Persist3 (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 3 });
  cluster.one(3);
  const leader = cluster.checkOneLeader();
  const [cut, crashed] = cluster.others(leader) as [SimNode, SimNode];
  cluster.disconnect(cut);
  cluster.one(2);

  cluster.crash(leader);
  cluster.crash(crashed);
  cluster.connect(cut);
  cluster.restart(leader);
  expect(cluster.one(2)).toBe(3);
  cluster.restart(crashed);
  expect(cluster.one(3)).toBe(4);
});

test.each(SEEDS)("Figure8 (%s)", (seed) => {
  // Entries of older terms reach others before the one that begins the leader's own.
  const cluster = new Cluster({ seed, nodes: 5, appendEntriesMax: 1 });
  cluster.one(1);
  let crashes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const leader = submitEverywhere(cluster);
    runAWhile(cluster);
    if (leader !== null) {
      cluster.crash(leader);
      crashes += 1;
    }
    const alive = cluster.nodes.filter((node) => cluster.isRunning(node));
    const node = cluster.random.pick(cluster.nodes);
    if (alive.length < KEPT_ALIVE && !cluster.isRunning(node)) cluster.restart(node);
  }
  expect(crashes).toBeGreaterThan(10);
  for (const node of cluster.nodes) if (!cluster.isRunning(node)) cluster.restart(node);
  cluster.one(5);
});

test.each(SEEDS)("UnreliableAgree (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 5, unreliable: true });
  const texts: string[] = [];
  const submit = (): void => {
    const text = cluster.text();
    texts.push(text);
    const attempt = (): void => {
      const [leader] = cluster.leaders();
      if (leader === undefined) return cluster.events.after(50, attempt);
      cluster.submitAndWait(leader, text, ({ kind }) => {
        if (kind !== "applied") cluster.events.after(50, attempt);
      });
    };
    attempt();
  };
  for (let round = 1; round < 50; round++) {
    for (let i = 0; i < 4; i++) submit();
    cluster.one(1);
  }
  cluster.network.setReliable(true);
  const areThere = () => texts.every((text) => cluster.applied.includes(text));
  expect(cluster.until(areThere, ELECTION_TIMEOUT_MS)).toBe(true);
  cluster.one(5);
  expect(cluster.commandCount).toBe(49 * 5 + 1);
});

test.each(SEEDS)("Figure8Unreliable (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 5, unreliable: true, appendEntriesMax: 1 });
  cluster.one(1);
  let cuts = 0;
  for (let round = 0; round < ROUNDS; round++) {
    if (round === 200) cluster.network.longReordering = true;
    const leader = submitEverywhere(cluster);
    runAWhile(cluster);
    const isHit = cluster.random.chance(50);
    if (leader !== null && cluster.isConnected(leader) && isHit) {
      cluster.disconnect(leader);
      cuts += 1;
    }
    const connected = cluster.nodes.filter((node) => cluster.isConnected(node));
    if (connected.length < KEPT_ALIVE) cluster.connect(cluster.random.pick(cluster.nodes));
  }
  // Most of the time too few are connected for there to be a leader.
  expect(cuts).toBeGreaterThan(3);
  cluster.connect(...cluster.nodes);
  // The network stays bad, as in the lab.
  cluster.one(5);
});
