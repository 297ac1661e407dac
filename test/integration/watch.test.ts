/** Watches over deaths of nodes, snapshots and compaction (http-api.md, section 5; K1 to K6). */
import { afterEach, beforeEach, expect, test } from "vitest";
import { problemsOf } from "../watch/validate.ts";
import { call, type Reply } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { KnownWriters } from "./known-writers.ts";
import { settled } from "./retry.ts";
import { until } from "./until.ts";
import { WatchClient } from "./watch-client.ts";

const WRITERS = 4;
const MIB = 1024 * 1024;
/** History that is larger is forgotten, however young. */
const HISTORY_BYTES = 64 * MIB;

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start({ settings: { "snapshot-entries": 50 } });
});
afterEach(() => cluster[Symbol.asyncDispose]());

function watchFrom(nodes: readonly Member[], since: number): WatchClient {
  return new WatchClient(nodes, `/v1/watch?prefix=w/&prev=true&since=${since}`);
}

/** Waits for the last change, and compares what was told with what happened, line by line. */
async function expectTruth(
  watch: WatchClient,
  { writers, since, compacted = 0 }: { writers: KnownWriters; since: number; compacted?: number },
): Promise<void> {
  const { history } = writers;
  const completeTo = history.at(-1)?.revision ?? 0;
  await until("the last change is told", () => watch.revision >= completeTo, 20_000);
  await watch.close();
  const kinds = new Set(["put", "delete", "expire"] as const);
  const { messages } = watch;
  const about = { since, selects: () => true, kinds, withPrevious: true };
  expect(problemsOf({ ...about, messages, completeTo }, history, compacted)).toEqual([]);
  expect(watch.refusals).toEqual([]);
}

/** Every node can tell all of it once more, from what it kept. */
async function expectReplays(writers: KnownWriters, since: number): Promise<void> {
  for (const member of cluster.members) {
    await expectTruth(watchFrom([member], since), { writers, since });
  }
}

test("leader and serving node die: nothing is lost or told twice (section 5, K3, K6)", async () => {
  const leader = await cluster.leader();
  const [serving, other] = (await cluster.followers()) as [Member, Member];
  const writers = new KnownWriters(cluster.members, WRITERS);
  const watch = watchFrom([serving, other, leader], 0);
  await writers.more(100);
  for (const victim of [leader, serving]) {
    await victim.kill();
    await writers.more(100);
    victim.start();
    await cluster.ready();
  }
  await until("it was resumed at another node", () => watch.streams > 1);
  await (await cluster.leader()).kill();
  await writers.more(100);
  await writers.stop();
  await expectTruth(watch, { writers, since: 0 });
  for (const member of cluster.members) if (!member.isRunning) member.start();
  await cluster.ready();
  await expectReplays(writers, 0);
});

test("a snapshot is installed below a watch: no gap, and nothing goes back (K2)", async () => {
  const leader = await cluster.leader();
  const [serving, other] = (await cluster.followers()) as [Member, Member];
  const writers = new KnownWriters([other, leader], WRITERS);
  const watch = watchFrom([serving], 0);
  await writers.more(50);
  await until("it is told of changes", () => watch.revision > 10);
  serving.process.signal("SIGSTOP");
  await writers.more(1_000);
  serving.process.signal("SIGCONT");
  await serving.process.said(/^snapshot \d+ installed/);
  await writers.more(100);
  await writers.stop();
  await expectTruth(watch, { writers, since: 0 });
  await expectReplays(writers, 0);
});

test("history is forgotten: a watch goes on, and who comes too late is told (K4)", async () => {
  const [serving] = (await cluster.followers()) as [Member];
  const writers = new KnownWriters(cluster.members, WRITERS);
  const watch = watchFrom([serving], 0);
  await writers.more(50);
  await fillHistory();
  await writers.more(50);
  await writers.stop();
  const compacted = await endOfCompaction();
  await expectTruth(watch, { writers, since: 0, compacted });
  expect(watch.streams).toBe(1);

  for (const member of cluster.members) {
    const late = await call(`${member.url}/v1/watch?prefix=w/&since=${compacted - 2}`);
    expect(late).toMatchObject({ status: 410, body: { code: "REVISION_COMPACTED" } });
    const since = compacted - 1;
    await expectTruth(watchFrom([member], since), { writers, since, compacted });
  }
});

/** Writes large values until something is forgotten. */
async function fillHistory(): Promise<void> {
  const body = { value: "x".repeat(MIB - 100) };
  const isForgotten = async () => {
    await settled(cluster.members, "/v1/kv/ballast", { method: "PUT", body });
    const [status] = await storeStatuses();
    return Number(status?.["compact_revision"]) > 1;
  };
  await until("history is compacted", isForgotten, 40_000);
}

/** The revision up to which all nodes have forgotten, when they forget no more. */
async function endOfCompaction(): Promise<number> {
  const revisionAtEnd = async () => {
    // What is forgotten is freed with the commands that follow.
    await settled(cluster.members, "/v1/kv/follows", { method: "PUT", body: { value: "v" } });
    const statuses = await storeStatuses();
    const isSmall = statuses.every((status) => Number(status["history_bytes"]) <= HISTORY_BYTES);
    const [revision, ...others] = new Set(statuses.map((status) => status["compact_revision"]));
    return isSmall && others.length === 0 && Number(revision);
  };
  return until("nothing more is forgotten", revisionAtEnd);
}

function storeStatuses(): Promise<Reply["body"][]> {
  const ask = async ({ url }: Member) => (await call(`${url}/v1/status`)).body;
  return Promise.all(cluster.members.map(ask));
}
