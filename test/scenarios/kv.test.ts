/** MIT 6.5840, labs 2 and 4: the store over Raft, judged by what its clients were told. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { SimNode } from "../sim/sim-node.ts";
import type { Operation } from "../checker/history.ts";
import { checkHistory } from "../checker/linearizable.ts";
import { checkWitness } from "../checker/witness.ts";
import { Clients, keyFor } from "./clients.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

const ROUNDS = 3;
const ROUND_MS = 1_000;
/** Long enough for several elections, in halves that change all the time. */
const PARTITIONED_ROUND_MS = 5_000;
const COMPACT_EVERY_MS = 20;
const LOG_BYTES_MAX = 8 * 1_000;
const SNAPSHOT_BYTES_MAX = 500;
/** Three operations in each heartbeat of 100 ms. */
const PUT_MS_MAX = 33.3;

interface Variant {
  readonly name: string;
  readonly nodes?: number;
  readonly clients: number;
  readonly keys?: number;
  readonly unreliable?: boolean;
  readonly partitions?: boolean;
  readonly crashes?: boolean;
  readonly snapshots?: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: "KV Basic", clients: 1 },
  { name: "KV Concurrent", clients: 5 },
  { name: "KV Unreliable", clients: 5, unreliable: true },
  { name: "KV ManyPartitionsOneClient", clients: 1, partitions: true },
  { name: "KV ManyPartitionsManyClients", clients: 5, partitions: true },
  { name: "KV PersistOneClient", clients: 1, crashes: true },
  { name: "KV PersistConcurrent", clients: 5, crashes: true },
  { name: "KV PersistConcurrentUnreliable", clients: 5, unreliable: true, crashes: true },
  { name: "KV PersistPartition", clients: 5, partitions: true, crashes: true },
  {
    name: "KV PersistPartitionUnreliableLinearizable",
    nodes: 7,
    clients: 15,
    keys: 100,
    unreliable: true,
    partitions: true,
    crashes: true,
  },
  { name: "KV SnapshotRecover", clients: 1, crashes: true, snapshots: true },
  { name: "KV SnapshotRecoverManyClients", clients: 20, crashes: true, snapshots: true },
  { name: "KV SnapshotUnreliable", clients: 5, unreliable: true, snapshots: true },
  {
    name: "KV SnapshotUnreliableRecover",
    clients: 5,
    unreliable: true,
    crashes: true,
    snapshots: true,
  },
  {
    name: "KV SnapshotUnreliableRecoverConcurrentPartitionLinearizable",
    nodes: 7,
    clients: 15,
    keys: 100,
    unreliable: true,
    partitions: true,
    crashes: true,
    snapshots: true,
  },
];

/** Draws two halves anew, every 1 to 1.2 s, until told to end. */
function startPartitions(cluster: Cluster): () => void {
  const { random, events, nodes } = cluster;
  let isOver = false;
  const draw = (): void => {
    if (isOver) return;
    const [a, b]: [SimNode[], SimNode[]] = [[], []];
    for (const node of nodes) (random.chance(50) ? a : b).push(node);
    cluster.partition(a, b);
    events.after(ELECTION_TIMEOUT_MS + random.below(200), draw);
  };
  draw();
  return () => {
    isOver = true;
    cluster.partition(nodes);
  };
}

/** Forgets the past all the time, as a server does by itself, so that snapshots stay small. */
function startCompaction(cluster: Cluster): void {
  const again = (): void => {
    cluster.compactLater();
    cluster.events.after(COMPACT_EVERY_MS, again);
  };
  again();
}

function expectLinearizable(operations: readonly Operation[]): void {
  expect(checkHistory(operations)).toEqual({ verdict: "ok" });
  expect(checkWitness(operations)).toBe(null);
}

test.each(VARIANTS)("$name", (variant) => {
  const { name, nodes = 5, clients: count, keys = 1, unreliable = false } = variant;
  const snapshots = variant.snapshots === true ? { snapshotEntries: 10 } : {};
  const cluster = new Cluster({ seed: name, nodes, unreliable, ...snapshots });
  const clients = new Clients(cluster, { clients: count, keys });
  cluster.checkOneLeader();
  if (variant.snapshots === true) startCompaction(cluster);
  for (let round = 0; round < ROUNDS; round++) {
    const heal = variant.partitions === true ? startPartitions(cluster) : () => {};
    clients.work(variant.partitions === true ? PARTITIONED_ROUND_MS : ROUND_MS);
    heal();
    if (variant.crashes === true) {
      for (const node of cluster.nodes) cluster.crash(node);
      cluster.run(ELECTION_TIMEOUT_MS);
      for (const node of cluster.nodes) cluster.restart(node);
    }
    cluster.one(nodes);
  }
  expectLinearizable(clients.operations);
  const done = clients.operations.filter(({ outcome }) => outcome === "ok");
  expect(done.length).toBeGreaterThan(10);
  if (variant.snapshots === true) expect(cluster.logBytes()).toBeLessThanOrEqual(LOG_BYTES_MAX);
});

test("KV Speed: 1000 puts, one after the other, take at most 33.3 ms each", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3 });
  const node = cluster.nodes.indexOf(cluster.checkOneLeader());
  const clients = new Clients(cluster, { clients: 0, keys: 1 });
  const startedAt = cluster.events.now;
  for (let i = 0; i < 1_000; i++) {
    let isDone = false;
    clients.put({ name: "c", node, version: i }, "k", i, ({ outcome }) => {
      isDone = outcome === "ok";
    });
    expect(cluster.until(() => isDone, ROUND_MS)).toBe(true);
  }
  expect((cluster.events.now - startedAt) / 1_000).toBeLessThanOrEqual(PUT_MS_MAX);
});

test("KV Race: ten clients, the version at the end is the number of puts that took place", () => {
  for (const unreliable of [false, true]) {
    const cluster = new Cluster({ seed: `race ${unreliable}`, nodes: 5, unreliable });
    cluster.checkOneLeader();
    const clients = new Clients(cluster, { clients: 10, keys: 1 });
    clients.work(ROUND_MS);
    cluster.one(5);
    const puts = clients.operations.filter(({ op }) => op === "put");
    const acknowledged = puts.filter(({ outcome }) => outcome === "ok").length;
    const maybe = puts.filter(({ outcome }) => outcome === "unknown").length;
    const { store } = must(cluster.node(0).life, "it runs");
    const version = store.get(keyFor("key0"))?.version ?? 0;
    expect(version).toBeGreaterThan(10);
    expect(version).toBeGreaterThanOrEqual(acknowledged);
    expect(version).toBeLessThanOrEqual(acknowledged + maybe);
  }
});

test("KV OnePartition", () => {
  const cluster = new Cluster({ seed: "a", nodes: 5 });
  cluster.one(5);
  const old = cluster.checkOneLeader();
  const other = must(cluster.others(old)[0], "a follower");
  const majority = cluster.others(old, other);
  cluster.partition([old, other], majority);
  cluster.one(3);

  const clients = new Clients(cluster, { clients: 0, keys: 1 });
  const client = { name: "c", node: cluster.nodes.indexOf(old), version: 0 };
  const told: string[] = [];
  clients.put(client, "p", null, ({ outcome }) => told.push(`put ${outcome}`));
  clients.get(client, "p", ({ outcome }) => told.push(`get ${outcome}`));
  cluster.run(ELECTION_TIMEOUT_MS);
  expect(told.filter((text) => text.endsWith("ok"))).toEqual([]);
  cluster.one(3);

  cluster.partition(cluster.nodes);
  const healedAt = cluster.events.now;
  cluster.one(5);
  const leader = cluster.nodes.indexOf(cluster.checkOneLeader());
  clients.put({ ...client, node: leader }, "p", null, ({ outcome }) => told.push(`put ${outcome}`));
  clients.get({ ...client, node: leader }, "p", ({ outcome }) => told.push(`get ${outcome}`));
  cluster.until(() => told.length === 4, ROUND_MS);
  expect(told.slice(2).sort()).toEqual(["get ok", "put ok"]);
  expect(cluster.events.now - healedAt).toBeLessThanOrEqual(3_000);
  expectLinearizable(clients.operations);
});

test("KV SnapshotRPC", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3, snapshotEntries: 10 });
  cluster.one(3);
  const late = must(cluster.others(cluster.checkOneLeader())[0], "a follower");
  cluster.disconnect(late);
  for (let i = 0; i < 50; i++) cluster.one(2);
  cluster.compact();
  cluster.one(2);
  expect(cluster.logBytes()).toBeLessThanOrEqual(LOG_BYTES_MAX);

  const gone = must(cluster.others(late, cluster.checkOneLeader())[0], "the third");
  cluster.disconnect(gone);
  cluster.connect(late);
  cluster.one(2);
  expect(cluster.network.traffic.snapshots).toBeGreaterThan(0);
  expect(must(late.life, "it runs").store.get(keyFor("k"))?.version).toBe(53);
});

test("KV SnapshotSize: of one tiny key, at most 500 bytes", () => {
  const cluster = new Cluster({ seed: "a", nodes: 3, snapshotEntries: 10 });
  for (let i = 0; i < 200; i++) {
    cluster.one(3);
    if (i % 10 === 0) cluster.compact();
  }
  for (const { disk } of cluster.nodes) {
    const files = disk.list().filter((name) => name.endsWith(".snap"));
    expect(files.length).toBeGreaterThan(0);
    const newest = must(files.sort().at(-1), "a snapshot");
    expect(disk.read(newest).length).toBeLessThanOrEqual(SNAPSHOT_BYTES_MAX);
  }
});
