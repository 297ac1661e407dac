/** MIT 6.5840, lab 3C: clients go on while nodes are cut off, crash and come back all the time. */
import { expect, test } from "vitest";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

const CLIENTS = 3;
const ROUNDS = 20;
const ROUND_MS = ELECTION_TIMEOUT_MS * 0.7;
const PATIENCE_MS = 400;

/** Submits one command after the other; returns what it was told is done, and how to end it. */
function startClient(cluster: Cluster, pauseMs: number) {
  const values: string[] = [];
  let isOver = false;
  const act = (): void => {
    if (isOver) return;
    const text = cluster.text();
    for (const node of cluster.nodes) {
      cluster.submitAndWait(node, text, ({ kind }) => {
        if (kind === "applied") values.push(text);
      });
    }
    cluster.events.after(cluster.random.between(pauseMs, PATIENCE_MS), act);
  };
  act();
  return {
    values,
    end: () => {
      isOver = true;
    },
  };
}

function disturb(cluster: Cluster): void {
  const { random, nodes } = cluster;
  if (random.chance(20)) cluster.disconnect(random.pick(nodes));
  if (random.chance(50)) {
    const node = random.pick(nodes);
    if (cluster.isRunning(node)) cluster.connect(node);
    else cluster.restart(node);
  }
  if (random.chance(20)) cluster.crash(random.pick(nodes));
}

test.each([
  { name: "ReliableChurn", unreliable: false, seed: "a" },
  { name: "ReliableChurn", unreliable: false, seed: "b" },
  { name: "UnreliableChurn", unreliable: true, seed: "a" },
  { name: "UnreliableChurn", unreliable: true, seed: "b" },
])("$name ($seed)", ({ unreliable, seed }) => {
  const cluster = new Cluster({ seed, nodes: 5, unreliable });
  cluster.checkOneLeader();
  const clients = Array.from({ length: CLIENTS }, (_, i) => startClient(cluster, 79 + i * 17));
  for (let round = 0; round < ROUNDS; round++) {
    disturb(cluster);
    cluster.run(ROUND_MS);
  }
  cluster.run(ELECTION_TIMEOUT_MS);
  cluster.network.setReliable(true);
  for (const node of cluster.nodes) {
    if (cluster.isRunning(node)) cluster.connect(node);
    else cluster.restart(node);
  }
  for (const { end } of clients) end();
  cluster.run(ELECTION_TIMEOUT_MS);
  cluster.one(5);

  const there = new Set(cluster.applied);
  const told = clients.flatMap(({ values }) => values);
  expect(told.length).toBeGreaterThan(20);
  expect(told.filter((text) => !there.has(text))).toEqual([]);
});
