/** Real clusters that are copied, made anew from the copy, and rescued by a single survivor. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { printed, quorate } from "../cli/run.ts";
import { contentOf } from "../service/frozen.ts";
import { problemsOf } from "../watch/validate.ts";
import { call, get, put } from "./client.ts";
import { Cluster, ELECTION_MS, type Member, serve } from "./cluster.ts";
import { KnownWriters } from "./known-writers.ts";
import { until } from "./until.ts";
import { WatchClient } from "./watch-client.ts";

const LOSS = "--i-accept-data-loss";
const clusters: Cluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]();
});

async function start(options?: Parameters<typeof Cluster.start>[0]): Promise<Cluster> {
  const cluster = await Cluster.start(options);
  clusters.push(cluster);
  return cluster;
}

async function json(member: Member, path: string): Promise<Readonly<Record<string, unknown>>> {
  const reply = await call(`${member.url}${path}`);
  if (reply.status !== 200) throw new Error(`${path}: ${JSON.stringify(reply.body)}`);
  return reply.body;
}

/** The hash of every member at a revision. */
function hashes(cluster: Cluster, revision: unknown) {
  return Promise.all(
    cluster.running.map(async (member) => {
      return (await json(member, `/v1/admin/hash?revision=${String(revision)}`))["hash"];
    }),
  );
}

/** Copies the cluster into a file, through this member. */
async function backUp(member: Member, file: string) {
  return printed(await quorate(["backup", file, "--endpoints", member.url]));
}

function flagsOf(cluster: Cluster, member: Member): string[] {
  const flags = { name: member.name, "data-dir": member.dataDir };
  const all = { ...flags, "initial-cluster": cluster.initialCluster };
  return Object.entries(all).flatMap(([flag, value]) => [`--${flag}`, value]);
}

/** Makes every data directory of a cluster that was never started, and starts it. */
async function restoreAll(cluster: Cluster, file: string) {
  for (const member of cluster.members) {
    printed(await quorate(["restore", file, ...flagsOf(cluster, member)]));
  }
  for (const member of cluster.members) member.start();
  await cluster.ready();
}

test("a backup under writes becomes a new cluster, which goes on from its revision", async () => {
  const old = await start({ settings: { "snapshot-entries": 200 } });
  const [first, second, third] = old.members;
  if (first === undefined || second === undefined || third === undefined) throw new Error("none");
  const lease = await call(`${first.url}/v1/leases`, { method: "POST", body: { ttl: 3_600 } });
  await call(`${first.url}/v1/kv/leased?lease=${String(lease.body["id"])}`, {
    method: "PUT",
    body: { value: "1" },
  });
  const key = { "idempotency-key": "count-once" };
  const increment = { method: "POST", headers: key, body: {} } as const;
  const counted = await call(`${first.url}/v1/kv/counter/increment`, increment);
  const writers = new KnownWriters(old.members, 6);
  await writers.more(300);
  const file = join(old.folder, "backup");
  const { revision } = await backUp(second, file);
  await writers.more(50);
  await writers.stop();
  const { store } = contentOf(readFileSync(file));
  expect(store.revision).toBe(revision);

  const [oldHash, ...same] = await hashes(old, revision);
  expect(same).toEqual([oldHash, oldHash]);

  const fresh = await start({ stopped: true });
  await restoreAll(fresh, file);
  expect(await hashes(fresh, revision)).toEqual([oldHash, oldHash, oldHash]);

  const [one] = fresh.members;
  if (one === undefined) throw new Error("none");
  const kept = await json(one, `/v1/leases/${String(lease.body["id"])}?keys`);
  expect(kept).toMatchObject({ keys: ["leased"], ttl_ms: 3_600_000 });
  const again = await call(`${one.url}/v1/kv/counter/increment`, increment);
  expect(again.headers["idempotency-replayed"]).toBe("true");
  expect(again.body).toEqual(counted.body);
  // A watch that had got somewhere goes on in the new cluster, over the backup.
  const since = Number(revision) - 100;
  const watch = new WatchClient([one], `/v1/watch?prefix=w/&since=${since}&prev`);
  const { headers } = await put(one, "w/new", "1");
  const next = Number(revision) + 1;
  expect(headers["quorate-revision"]).toBe(String(next));
  await until("the new write is told", () => watch.revision >= next);
  await watch.close();
  const told = watch.messages.filter(({ data }) => data["key"] !== "w/new");
  expect(watch.messages.length).toBeGreaterThan(told.length);
  const history = writers.history.filter((change) => change.revision <= Number(revision));
  const kinds = new Set(["put", "delete", "expire"] as const);
  const about = { since, selects: () => true, kinds, withPrevious: true };
  expect(problemsOf({ ...about, messages: told, completeTo: Number(revision) }, history)).toEqual(
    [],
  );

  // And as any cluster it survives a member, and a start of all.
  await one.kill();
  await fresh.leader();
  await put(fresh.member("n2"), "with two", "of three");
  for (const member of fresh.running) await member.stop();
  for (const member of fresh.members) member.start();
  await fresh.ready();
  for (const member of fresh.members) expect(await get(member, "with two")).toBe("of three");
});

test("a damaged backup is refused, and makes nothing", async () => {
  const cluster = await start({ size: 1 });
  const member = cluster.member("n1");
  await put(member, "a", "1");
  const file = join(cluster.folder, "backup");
  await backUp(member, file);
  const bytes = readFileSync(file);
  bytes[bytes.length - 20] = (bytes.at(-20) ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const dataDir = join(cluster.folder, "new");
  const { code, stderr } = await quorate(["restore", file, "--data-dir", dataDir]);
  expect(stderr).toMatch(
    /^quorate: .*backup is damaged, or no whole backup .*take another backup\n$/,
  );
  expect(code).toBe(3);
  expect(existsSync(dataDir)).toBe(false);
});

test("one survivor of three becomes a cluster of one, that the others cannot disturb", async () => {
  const cluster = await start();
  const [survivor, ...others] = cluster.members;
  if (survivor === undefined) throw new Error("none");
  for (let at = 0; at < 20; at++) await put(survivor, `k${at}`, String(at));
  const before = await json(survivor, "/v1/admin/hash");
  await Promise.all(cluster.members.map((member) => member.kill()));
  const flags = ["--name", survivor.name, "--data-dir", survivor.dataDir];
  const recovered = await quorate(["recover", ...flags, LOSS]);
  expect(recovered.stderr).toContain("LOST: whatever was acknowledged after entry");
  expect(recovered.code).toBe(0);

  // With the old list it does not start; without one it knows by itself who decides.
  const mistaken = survivor.start();
  expect((await mistaken.exited).code).toBe(1);
  expect(mistaken.messages("fatal").join()).toMatch(/leave out --initial-cluster/);
  const [, peer = ""] = /http:\/\/([^,]*)/.exec(cluster.initialCluster) ?? [];
  const alone = serve({
    name: survivor.name,
    "data-dir": survivor.dataDir,
    "client-listen": new URL(survivor.url).host,
    "peer-listen": peer,
    "election-ms": ELECTION_MS,
  });
  onTestFinished(() => alone.kill());
  await until("it is ready", () => survivor.isReady());
  const hash = await json(survivor, `/v1/admin/hash?revision=${String(before["revision"])}`);
  expect(hash).toEqual(before);
  await put(survivor, "after", "alone");

  // Those that were given up are a cluster of their own, and the survivor is none of them.
  for (const other of others) other.start();
  await until("they have a leader", async () => {
    const statuses = await Promise.all(others.map((other) => other.status()));
    return statuses.some((status) => status?.role === "leader");
  });
  await put(survivor, "still", "alone");
  const [other] = others;
  if (other === undefined) throw new Error("none");
  expect(await get(other, "after")).toBe("");
  expect(await get(survivor, "still")).toBe("alone");
  expect((await survivor.status())?.role).toBe("leader");
});

test("M8: others join a member that came later and was rescued alone", async () => {
  const cluster = await start({ size: 1 });
  const [founder] = cluster.members;
  if (founder === undefined) throw new Error("none");
  const survivor = await cluster.newcomer("n2");
  survivor.start();
  await until("it is ready", () => survivor.isReady(), 20_000);
  // More than one append has, so that who joins comes by the old members first.
  for (let at = 0; at < 8; at++) await put(survivor, `large/${at}`, "x".repeat(700_000));
  await Promise.all(cluster.members.map((member) => member.kill()));
  const flags = ["--name", survivor.name, "--data-dir", survivor.dataDir];
  expect((await quorate(["recover", ...flags, LOSS])).code).toBe(0);
  survivor.start({}, ["join"]);
  await until("it leads alone", () => survivor.isReady());
  const joiner = await cluster.newcomer("n3");
  joiner.start();
  await until("the other one is ready", () => joiner.isReady(), 20_000);
  await put(joiner, "after", "all");
  expect(await get(survivor, "after")).toBe("all");
  expect((await get(joiner, "large/7")).length).toBe(700_000);
});
