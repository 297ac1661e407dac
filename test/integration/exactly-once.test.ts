/** Requests that are sent again after nobody knew what became of them (X1, X2, X4). */
import { readdirSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { call } from "./client.ts";
import { Cluster, type ClusterOptions, type Member } from "./cluster.ts";
import { settled } from "./retry.ts";
import { until } from "./until.ts";

const COUNTER = "/v1/kv/counter";
const TASKS = 3;
const INCREMENTS = 200;
const TOTAL = TASKS * INCREMENTS;

let cluster: Cluster;
afterEach(() => cluster[Symbol.asyncDispose]());

async function start(options: ClusterOptions = {}): Promise<void> {
  cluster = await Cluster.start({ settings: { "snapshot-entries": 100 }, ...options });
}

function increment(nodes: readonly Member[], key: string, by = 1) {
  const headers = { "idempotency-key": key };
  return settled(nodes, `${COUNTER}/increment`, { method: "POST", body: { by }, headers });
}

/** What each key was answered at first. */
type Answers = Map<string, unknown>;

/** Every increment until it is answered; each through another node than the one before. */
async function count(task: number, answers: Answers): Promise<void> {
  for (let i = 0; i < INCREMENTS; i++) {
    const key = `task-${task}-${i}`;
    const from = (task + i) % cluster.members.length;
    const nodes = [...cluster.members.slice(from), ...cluster.members.slice(0, from)];
    const { status, body, headers, attempts } = await increment(nodes, key);
    expect(status).toBe(200);
    // Nothing is a replay that was asked for once.
    if (attempts === 1) expect(headers["idempotency-replayed"]).toBeUndefined();
    answers.set(key, body["value"]);
  }
}

/** Asks again, through one node: each is answered as it was, and nothing is counted. */
async function expectReplays(node: Member, answers: Answers): Promise<void> {
  for (const [key, value] of answers) {
    const { status, headers, body } = await increment([node], key);
    expect({ key, status, value: body["value"] }).toEqual({ key, status: 200, value });
    expect(headers["idempotency-replayed"]).toBe("true");
  }
  expect((await settled([node], COUNTER)).body).toMatchObject({ value: String(TOTAL) });
}

/** The same key for something else is refused, through every node. */
async function expectConflicts(key: string): Promise<void> {
  for (const member of cluster.running) {
    const other = await increment([member], key, 2);
    expect(other).toMatchObject({ status: 409, body: { code: "IDEMPOTENCY_CONFLICT" } });
  }
}

function hasSnapshots(member: Member): boolean {
  return readdirSync(member.dataDir).filter((name) => name.endsWith(".snap")).length > 1;
}

/** The first of every `step` of them. */
function someOf(answers: Answers, step: number): Answers {
  return new Map([...answers].filter((_, at) => at % step === 0));
}

test("600 increments over three leader kills count 600, and stay so (X1, X2)", async () => {
  await start();
  const answers: Answers = new Map();
  const tasks = Array.from({ length: TASKS }, (_, task) => count(task, answers));
  for (const killAt of [100, 250, 400]) {
    await until(`${killAt} are counted`, () => answers.size >= killAt, 30_000);
    const leader = await cluster.leader();
    await leader.kill();
    leader.start();
    await cluster.ready();
  }
  await Promise.all(tasks);
  // Each was told a number of its own, so none was counted twice, and none was told another's.
  const told = [...answers.values()].map(Number).sort((a, b) => a - b);
  expect(told).toEqual(Array.from({ length: TOTAL }, (_, at) => at + 1));
  const [first] = cluster.members as [Member];
  await expectReplays(first, someOf(answers, 5));
  await expectConflicts("task-0-0");

  await until("the counting is in snapshots", () => cluster.members.every(hasSnapshots));
  await Promise.all(cluster.members.map((member) => member.kill()));
  for (const member of cluster.members) member.start();
  await cluster.ready();
  for (const member of cluster.members) await expectReplays(member, someOf(answers, 20));
  await expectConflicts("task-0-0");
});

test("who catches up by a snapshot knows what was answered meanwhile (X2)", async () => {
  await start();
  const [late] = (await cluster.followers()) as [Member];
  await late.kill();
  const others = cluster.running;
  const answers: Answers = new Map();
  for (let i = 1; i <= TOTAL; i++) {
    const key = `missed-${i}`;
    answers.set(key, (await increment(others, key)).body["value"]);
  }
  const process = late.start();
  await process.said(/^snapshot \d+ installed/);
  await until("it is ready", () => late.isReady());
  await expectReplays(late, someOf(answers, 20));
  await expectConflicts("missed-1");

  // And so it does alone with one that was there, after whoever led then is gone.
  const leader = await cluster.leader();
  await leader.kill();
  await expectReplays(late, someOf(answers, 50));
  await expectConflicts("missed-1");
});

test("an answer that was lost between the nodes comes with the retry (X1, X4)", async () => {
  await start({ partitionable: true });
  const leader = await cluster.leader();
  const [asked, other] = (await cluster.followers()) as [Member, Member];
  leader.proxy?.loseAnswers(asked.name);
  const request = {
    method: "POST",
    body: { by: 1 },
    headers: { "idempotency-key": "lost" },
  } as const;
  const lost = await call(`${asked.url}${COUNTER}/increment`, request);
  expect(lost).toMatchObject({ status: 504, body: { outcome: "unknown" } });
  const retried = await increment([other], "lost");
  expect(retried).toMatchObject({ status: 200, body: { value: 1 } });
  expect(retried.headers["idempotency-replayed"]).toBe("true");
  cluster.heal();
  const again = await increment([asked], "lost");
  expect(again).toMatchObject({ status: 200, body: { value: 1 } });
  expect(again.headers["idempotency-replayed"]).toBe("true");
  expect((await settled([asked], COUNTER)).body).toMatchObject({ value: "1" });
});
