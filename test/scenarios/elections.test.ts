/** MIT 6.5840, lab 3A: leaders, and how many of them. */
import { expect, test } from "vitest";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

const TWO_ELECTIONS_MS = 2 * ELECTION_TIMEOUT_MS;
const SEEDS = ["a", "b", "c"];

test.each(SEEDS)("InitialElection (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 3 });
  cluster.checkOneLeader();
  cluster.run(50);
  const term = cluster.checkTerms();
  expect(term).toBeGreaterThanOrEqual(1);
  cluster.run(TWO_ELECTIONS_MS);
  expect(cluster.checkTerms()).toBe(term);
  cluster.checkOneLeader();
});

test.each(SEEDS)("ReElection (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 3 });
  const first = cluster.checkOneLeader();

  cluster.disconnect(first);
  const second = cluster.checkOneLeader();
  const term = cluster.checkTerms();

  // The old leader must not disturb the new one.
  cluster.connect(first);
  expect(cluster.checkOneLeader()).toBe(second);
  expect(cluster.checkTerms()).toBe(term);

  // Of three, one alone is no quorum: even those that are cut off cease to say that they lead.
  const third = cluster.others(first, second);
  cluster.disconnect(second, ...third);
  cluster.run(TWO_ELECTIONS_MS);
  expect(cluster.leaders()).toEqual([]);

  cluster.connect(...third);
  const last = cluster.checkOneLeader();
  cluster.connect(second);
  expect(cluster.checkOneLeader()).toBe(last);
});

test.each(SEEDS)("ManyElections (%s)", (seed) => {
  const cluster = new Cluster({ seed, nodes: 7 });
  cluster.checkOneLeader();
  for (let round = 1; round < 10; round++) {
    // A node may be drawn twice, as in the lab.
    const cut = [0, 1, 2].map(() => cluster.random.pick(cluster.nodes));
    cluster.disconnect(...cut);
    cluster.checkOneLeader();
    cluster.connect(...cut);
  }
  cluster.checkOneLeader();
});
