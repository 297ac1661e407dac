/** How a node starts where it should not, and how it stops. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { call, keyUrl, put } from "./client.ts";
import { Cluster, type ClusterOptions, type Member, serve } from "./cluster.ts";
import { until } from "./until.ts";

let cluster: Cluster;
let node: Member;
beforeEach(async () => {
  cluster = await Cluster.start({ size: 1, stopped: true });
  node = cluster.members[0] as Member;
});
afterEach(() => cluster[Symbol.asyncDispose]());

/** Beside the single node; it ends with the test. */
async function clusterOfThree(options: ClusterOptions = {}): Promise<Cluster> {
  const three = await Cluster.start(options);
  onTestFinished(() => three[Symbol.asyncDispose]());
  return three;
}

test("a single node works alone, and keeps its data", async () => {
  node.start();
  await until("it is ready", () => node.isReady());
  await put(node, "k", "v");
  await node.kill();
  node.start();
  await until("it is ready", () => node.isReady());
  expect(await call(keyUrl(node, "k"))).toMatchObject({ body: { value: "v" } });
});

test.each(["client-listen", "peer-listen"])("a port that is taken for --%s", async (flag) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" ? address?.port : 0;
  const process = node.start({ [flag]: `127.0.0.1:${port}` });
  expect(await process.exited).toEqual({ code: 1, signal: null });
  expect(process.messages("fatal")).toEqual([
    `port ${port} of 127.0.0.1 is taken: end what listens there, or choose another --${flag}`,
  ]);
  expect(process.stderr).toBe("");
  taken.close();
});

test("SIGTERM of a leader that nobody can follow: it says so, and that is no error", async () => {
  const three = await clusterOfThree();
  const leader = await three.leader();
  await Promise.all((await three.followers()).map((member) => member.kill()));
  expect(await leader.stop()).toEqual({ code: 0, signal: null });
  const said = leader.process.messages("info").join("\n");
  expect(said).toMatch(/nobody took over \([A-Z_]+\): the others have to elect a leader/);
  expect(leader.process.messages("warn")).toEqual([]);
});

test("a data directory that cannot be made", async () => {
  const file = join(cluster.folder, "file");
  writeFileSync(file, "");
  const process = node.start({ "data-dir": join(file, "data") });
  expect(await process.exited).toEqual({ code: 1, signal: null });
  expect(process.messages("fatal")).toEqual([
    expect.stringContaining(`cannot use ${join(file, "data")} as data directory`),
  ]);
});

test("the configuration in force is logged, as flags", async () => {
  const process = node.start();
  const line = await process.said(/^quorate .* starts:/);
  expect(line).toContain(`--name n1 --data-dir ${node.dataDir} --client-listen 127.0.0.1:`);
  expect(line).toContain("--heartbeat-ms 50 --election-ms 500 ");
});

test("HTTP answers before there is a leader: not ready", async () => {
  const three = await clusterOfThree({ stopped: true });
  const lonely = three.members[0] as Member;
  const process = lonely.start();
  await process.said(/waiting for the other members/);
  const reply = await call(keyUrl(lonely, "k"));
  expect(reply).toMatchObject({
    status: 503,
    body: { code: "NOT_READY", outcome: "not_applied", retryable: true },
  });
  expect(reply.headers["retry-after"]).toBeDefined();
  expect(await lonely.isReady()).toBe(false);
  // It can be stopped while it waits.
  expect(await lonely.stop()).toEqual({ code: 0, signal: null });
});

test("a node of another cluster is refused, and disturbs nobody (E15)", async () => {
  const three = await clusterOfThree();
  const leader = await three.leader();
  const before = await leader.status();
  const [stranger] = three.members;
  const urls = three.initialCluster.replace(/^n1=[^,]*/, "n1=http://127.0.0.1:1");
  const process = serve({
    name: "n1",
    "data-dir": `${three.folder}/stranger`,
    "client-listen": new URL(node.url).host,
    "peer-url": "http://127.0.0.1:1",
    "peer-listen": "127.0.0.1:" + (Number(new URL(node.url).port) + 1),
    "initial-cluster": urls,
  });
  await process.said(/^refused: n2 .* belongs to another cluster/);
  await process.kill();
  expect(await leader.status()).toMatchObject({ role: "leader", term: before?.term });
  expect(stranger?.isRunning).toBe(true);
});

/** A leader whose followers stand still, with a write that waits for them. */
async function leaderWithWrite(three: Cluster) {
  const leader = await three.leader();
  const followers = await three.followers();
  for (const follower of followers) follower.process.signal("SIGSTOP");
  const before = (await leader.status())?.log.last ?? 0;
  const write = call(keyUrl(leader, "k"), { method: "POST", body: { value: "v" } });
  const taken = async () => ((await leader.status())?.log.last ?? 0) > before;
  await until("the write is in the log", taken);
  return { leader, followers, write };
}

test("SIGTERM: what is under way is answered, and the exit code is 0", async () => {
  const three = await clusterOfThree();
  const silent = connect(Number(new URL((await three.leader()).url).port), "127.0.0.1");
  await once(silent, "connect");
  const { leader, followers, write } = await leaderWithWrite(three);
  const stoppedAt = performance.now();
  const stopping = leader.stop();
  await leader.process.said(/^SIGTERM/);
  for (const follower of followers) follower.process.signal("SIGCONT");
  expect(await write).toMatchObject({ status: 200, body: { value: "v" } });
  expect(await stopping).toEqual({ code: 0, signal: null });
  expect(leader.process.messages("fatal")).toEqual([]);
  // Nobody waits for a connection on which nothing is asked.
  expect(performance.now() - stoppedAt).toBeLessThan(3_000);
  silent.destroy();
});

test("a second signal ends it at once", async () => {
  const three = await clusterOfThree();
  const { leader, write } = await leaderWithWrite(three);
  const failed = write.catch(() => "cut off");
  leader.process.signal("SIGTERM");
  await leader.process.said(/^SIGTERM/);
  leader.process.signal("SIGTERM");
  expect(await leader.process.exited).toEqual({ code: 143, signal: null });
  expect(await failed).toBe("cut off");
});
