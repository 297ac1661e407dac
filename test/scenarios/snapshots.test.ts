/** MIT 6.5840, lab 3D: short logs, and nodes that catch up by a snapshot. */
import { expect, test } from "vitest";
import { coreOf, type SimNode } from "../sim/sim-node.ts";
import { must } from "../../src/lib/assert.ts";
import type { ChunkAnswer } from "../../src/node/snapshots.ts";
import { Cluster } from "./harness.ts";

const SNAPSHOT_ENTRIES = 10;
const ROUNDS = 30;
/** Of the log that a node keeps. */
const LOG_BYTES_MAX = 2_000;

/** What happens to one node in each round. */
interface Kind {
  readonly name: string;
  readonly unreliable: boolean;
  readonly trouble: "none" | "cut" | "crash";
}

const KINDS: readonly Kind[] = [
  { name: "SnapshotBasic", unreliable: false, trouble: "none" },
  { name: "SnapshotInstall", unreliable: false, trouble: "cut" },
  { name: "SnapshotInstallUnreliable", unreliable: true, trouble: "cut" },
  { name: "SnapshotInstallCrash", unreliable: false, trouble: "crash" },
  { name: "SnapshotInstallUnCrash", unreliable: true, trouble: "crash" },
];

function newCluster(seed: string, unreliable = false): Cluster {
  return new Cluster({ seed, nodes: 3, unreliable, snapshotEntries: SNAPSHOT_ENTRIES });
}

function submitSome(cluster: Cluster, node: SimNode): void {
  const count = cluster.random.between(SNAPSHOT_ENTRIES / 2, 1.5 * SNAPSHOT_ENTRIES);
  for (let i = 0; i < count; i++) cluster.submit(node, cluster.text());
}

function restartAll(cluster: Cluster): void {
  for (const node of cluster.nodes) cluster.crash(node);
  for (const node of cluster.nodes) cluster.restart(node);
}

const RUNS = KINDS.flatMap((kind) => ["a", "b", "c", "d"].map((seed) => ({ ...kind, seed })));

test.each(RUNS)("$name ($seed)", ({ name, unreliable, trouble, seed }) => {
  const cluster = newCluster(`${name} ${seed}`, unreliable);
  cluster.one(3);
  let leader = cluster.nodes.indexOf(cluster.checkOneLeader());
  const expected = trouble === "none" ? 3 : 2;
  for (let round = 0; round < ROUNDS; round++) {
    const isFollowers = round % 3 === 1;
    const victim = cluster.node(isFollowers ? leader : leader + 1);
    const sender = cluster.node(isFollowers ? leader + 1 : leader);
    if (trouble === "cut") cluster.disconnect(victim);
    if (trouble === "crash") cluster.crash(victim);
    if (trouble !== "none") cluster.one(2);
    submitSome(cluster, sender);
    cluster.one(expected);
    cluster.compact();
    cluster.one(expected);
    expect(cluster.logBytes()).toBeLessThan(LOG_BYTES_MAX);

    if (trouble === "cut") cluster.connect(victim);
    if (trouble === "crash") cluster.restart(victim);
    cluster.one(3);
    if (trouble !== "none") leader = cluster.nodes.indexOf(cluster.checkOneLeader());
  }
  const { snapshots } = cluster.network.traffic;
  if (trouble === "none") expect(snapshots).toBe(0);
  else expect(snapshots).toBeGreaterThan(0);
});

test("SnapshotAllCrash", () => {
  const cluster = newCluster("a");
  cluster.one(3);
  for (let round = 0; round < 5; round++) {
    const count = cluster.random.between(SNAPSHOT_ENTRIES / 2, 1.5 * SNAPSHOT_ENTRIES);
    for (let i = 0; i < count; i++) cluster.one(3);
    const before = cluster.one(3);
    restartAll(cluster);
    expect(cluster.one(3)).toBe(before + 1);
  }
});

test("SnapshotInit", () => {
  const cluster = newCluster("a");
  for (let i = 0; i < SNAPSHOT_ENTRIES + 2; i++) cluster.one(3);
  restartAll(cluster);
  // Writes the log anew, behind the snapshot.
  const between = cluster.one(3);
  restartAll(cluster);
  expect(cluster.one(3)).toBe(between + 1);
  const { nodes } = cluster;
  expect(nodes.map((node) => node.life?.raft.core.snapshot !== null)).toEqual([true, true, true]);
});

// Else the leader offers it for ever, if all that told it of the arrival was lost (S5).
test("a node that has all of a snapshot already says so when it is offered again", () => {
  const cluster = newCluster("a");
  for (let i = 0; i < SNAPSHOT_ENTRIES + 2; i++) cluster.one(3);
  const leader = cluster.checkOneLeader();
  const follower = must(cluster.others(leader)[0], "a follower");
  const name = must(
    leader.disk.list().find((file) => file.endsWith(".snap")),
    "a snapshot",
  );
  const data = leader.disk.read(name);
  const { term } = coreOf(leader);
  const chunk = { from: leader.id, term, name, bytes: data.length, offset: 0, data };
  const answers: ChunkAnswer[] = [];
  must(follower.life, "it runs").node.receiveSnapshot(chunk, (answer) => answers.push(answer));
  cluster.run(100);
  expect(answers).toEqual([{ type: "want", offset: data.length }]);
});
