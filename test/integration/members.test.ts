/** Members come and go while clients write: nothing is lost, and nobody has to wait for it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { call, get, keyUrl, put } from "./client.ts";
import { Cluster, type ClusterOptions, ELECTION_MS, type Member } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";
import { Writers } from "./writers.ts";

async function start(options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await Cluster.start(options);
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  return cluster;
}

interface MemberBody {
  readonly name: string;
  readonly role: string;
  readonly outgoing: boolean;
  readonly joining: boolean;
  readonly peer_url: string;
  readonly client_url: string | null;
  readonly keeps_up: boolean | null;
  readonly last_contact_ms: number | null;
}

/** The members, as the node knows them. */
async function membersAt(node: { url: string }): Promise<readonly MemberBody[]> {
  const reply = await call(`${node.url}/v1/cluster`);
  return (reply.body["members"] ?? []) as readonly MemberBody[];
}

/** `n1 n2 +n4`: voters, and learners with a plus. */
async function seats(node: { url: string }): Promise<string> {
  const members = await membersAt(node);
  return members.map(({ name, role }) => (role === "learner" ? `+${name}` : name)).join(" ");
}

async function seated(node: { url: string }, expected: string): Promise<void> {
  await until(`the members are ${expected}`, async () => (await seats(node)) === expected, 20_000);
}

/** Waits until so many more writes are acknowledged. */
async function moreWrites(writers: Writers, count: number): Promise<void> {
  const target = writers.count + count;
  await until(`${count} more writes`, () => writers.count >= target, 20_000);
}

/** It has been told, and says so to its clients. */
async function isGone(node: { url: string }): Promise<boolean> {
  return (await call(keyUrl(node, "k"))).status === 410;
}

/** The term, where all say the same. */
async function termOf(nodes: readonly Member[]): Promise<number> {
  const statuses = await Promise.all(nodes.map((node) => node.status()));
  const terms = new Set(statuses.map((status) => status?.term));
  const [term] = terms;
  return terms.size === 1 ? (term ?? -1) : -1;
}

function first(members: readonly Member[]): Member {
  const [found] = members;
  if (found === undefined) throw new Error("nobody");
  return found;
}

test("a fourth node joins under writers, and becomes a voter by itself", async () => {
  const cluster = await start();
  const writers = new Writers([...cluster.members], 8);
  await moreWrites(writers, 200);
  const n4 = await cluster.newcomer("n4");
  n4.start();
  await until("n4 is ready", () => n4.isReady(), 20_000);
  await seated(first(cluster.members), "n1 n2 n3 n4");
  await seated(n4, "n1 n2 n3 n4");
  await moreWrites(writers, 100);
  await writers.stop();
  expect([...writers.failures]).toEqual([]);
  expect(await writers.missing(n4)).toEqual([]);
});

test("two nodes that join at once become voters, and two of five may die", async () => {
  const cluster = await start();
  const young = [await cluster.newcomer("n4"), await cluster.newcomer("n5")];
  for (const member of young) member.start();
  await cluster.ready(20_000);
  for (const member of young) await seated(member, "n1 n2 n3 n4 n5");
  await put(first(young), "k", "v");
  const leader = await cluster.leader();
  const [other] = await cluster.followers();
  await Promise.all([leader.kill(), other?.kill()]);
  await cluster.leader();
  await put(first(cluster.running), "k", "w");
});

test("a node that is killed half-way of its first start goes on, and becomes a voter", async () => {
  const cluster = await start();
  const n4 = await cluster.newcomer("n4");
  // Its name for itself is written down; it is a member; it has begun to be a part of the cluster.
  for (const file of ["joining.txt", "identity.json", "peers.json"]) {
    n4.start();
    await until(`there is ${file}`, () => existsSync(join(n4.dataDir, file)));
    await n4.kill();
  }
  n4.start();
  await until("n4 is ready", () => n4.isReady(), 20_000);
  await seated(n4, "n1 n2 n3 n4");
  const own = (await membersAt(n4)).filter(({ name }) => name === "n4");
  expect(own).toMatchObject([{ role: "voter", outgoing: false, joining: false }]);
});

test("a member is replaced in one step, under writers", async () => {
  const cluster = await start();
  const leader = await cluster.leader();
  const [old, other] = await cluster.followers();
  if (old === undefined || other === undefined) throw new Error("no followers");
  const writers = new Writers([leader, other], 8);
  const n4 = await cluster.newcomer("n4");
  const announced = await call(`${other.url}/v1/cluster/members`, {
    method: "POST",
    body: { name: "n4", peer_url: n4.peerUrl, role: "learner" },
  });
  expect(announced.status).toBe(201);
  n4.start();
  await until(
    "n4 keeps up",
    async () => (await membersAt(leader)).some(({ name, keeps_up }) => name === "n4" && keeps_up),
    20_000,
  );
  expect(await seats(leader)).toBe("n1 n2 n3 +n4");
  const replaced = await call(`${other.url}/v1/cluster/members`, {
    method: "PATCH",
    body: { promote: ["n4"], remove: [old.name] },
  });
  expect(replaced.status).toBe(200);
  expect(replaced.body).toMatchObject({ changing: false });
  const names = [leader.name, other.name, "n4"].sort().join(" ");
  await seated(n4, names);
  await until("it is told that it was removed", () => isGone(old));
  await moreWrites(writers, 200);
  await writers.stop();
  expect([...writers.failures]).toEqual([]);
  expect(await writers.missing(n4)).toEqual([]);
  // The new one counts: without one of the others, it makes a majority.
  await other.kill();
  await put(leader, "after", "all");
});

test("removal of the leader: no request fails elsewhere, and it stays quiet", async () => {
  const cluster = await start();
  const leader = await cluster.leader();
  const others = await cluster.followers();
  const writers = new Writers(others, 8);
  await moreWrites(writers, 200);
  const from = performance.now();
  const removed = await call(`${first(others).url}/v1/cluster/members/${leader.name}`, {
    method: "DELETE",
  });
  expect(removed.status).toBe(200);
  await moreWrites(writers, 200);
  expect(writers.longestGapMs(from, performance.now())).toBeLessThan(ELECTION_MS);
  await until("it is told that it was removed", () => isGone(leader));
  const reply = await call(keyUrl(leader, "k"));
  expect(reply.status).toBe(410);
  expect(reply.body).toMatchObject({ code: "MEMBER_REMOVED", outcome: "not_applied" });
  expect(leader.process.messages("error").join("\n")).toMatch(/was removed from the cluster: stop/);

  const term = await termOf(others);
  expect(term).toBeGreaterThan(0);
  const until3s = performance.now() + 3_000;
  await until("three seconds go by", () => performance.now() > until3s);
  expect(await termOf(others)).toBe(term);
  await writers.stop();
  expect([...writers.failures]).toEqual([]);
  expect(await writers.missing(first(others))).toEqual([]);
});

test("a name is used again with a new data directory only", async () => {
  const cluster = await start();
  const [gone] = await cluster.followers();
  if (gone === undefined) throw new Error("no follower");
  const rest = cluster.members.filter((member) => member !== gone);
  // It is never told the end of that by the log, and answers all the same.
  const path = `${gone.url}/v1/cluster/members/${gone.name}`;
  const removed = await call(path, { method: "DELETE" });
  expect(removed.status).toBe(200);
  const left = removed.body["members"] as readonly MemberBody[];
  expect(left.map(({ name }) => name)).toEqual(rest.map(({ name }) => name));
  await until("it is told that it was removed", () => isGone(gone));
  expect((await gone.stop()).code).toBe(0);

  const again = await cluster.newcomer(gone.name, { "data-dir": gone.dataDir });
  again.start();
  await again.process.said(/was removed from the cluster: stop it, and remove its data directory/);
  expect(await seats(first(rest))).toBe(rest.map(({ name }) => name).join(" "));
  await again.kill();

  again.wipe();
  again.start();
  await seated(first(rest), "n1 n2 n3");
  await until(`${gone.name} is ready`, () => again.isReady(), 20_000);
  await put(again, "k", "v");
});

test("UNSAFE_CHANGE: those who would be left could decide nothing", async () => {
  const cluster = await start();
  const leader = await cluster.leader();
  const [dead, other] = await cluster.followers();
  if (dead === undefined || other === undefined) throw new Error("no followers");
  await dead.kill();
  await until("it is noticed", async () => {
    const found = (await membersAt(leader)).find(({ name }) => name === dead.name);
    return (found?.last_contact_ms ?? 0) > ELECTION_MS;
  });
  const path = `${leader.url}/v1/cluster/members/${other.name}`;
  const refused = await call(path, { method: "DELETE" });
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({ code: "UNSAFE_CHANGE", outcome: "not_applied" });
  expect(refused.body["error"]).toContain(dead.name);
  // The dead one can go.
  expect(
    (await call(`${other.url}/v1/cluster/members/${dead.name}`, { method: "DELETE" })).status,
  ).toBe(200);
});

test("SIGTERM of the leader: no request fails elsewhere, nor waits for an election", async () => {
  const cluster = await start();
  const leader = await cluster.leader();
  const others = await cluster.followers();
  const writers = new Writers(others, 8);
  await moreWrites(writers, 200);
  const from = performance.now();
  expect((await leader.stop()).code).toBe(0);
  await moreWrites(writers, 200);
  await writers.stop();
  expect([...writers.failures]).toEqual([]);
  expect(writers.longestGapMs(from, performance.now())).toBeLessThan(ELECTION_MS);
  expect(leader.process.messages("info").join("\n")).toMatch(/n\d leads now/);
});

test("M11: a node that comes back at another peer URL is found", async () => {
  const cluster = await start();
  const [moving] = await cluster.followers();
  if (moving === undefined) throw new Error("no follower");
  expect((await moving.stop()).code).toBe(0);
  const [port] = await freePorts(1);
  const peerUrl = `http://127.0.0.1:${port}`;
  moving.start({ "peer-listen": `127.0.0.1:${port}` }, ["initial-cluster"]);
  await until(`${moving.name} is ready`, () => moving.isReady(), 20_000);
  const rest = cluster.members.filter((member) => member !== moving);
  for (const member of rest) {
    await until(`${member.name} knows where it is`, async () => {
      const members = await membersAt(member);
      return members.some(({ name, peer_url }) => name === moving.name && peer_url === peerUrl);
    });
  }
});

test("M13: a member that has lost its directory comes back by --join, and counts", async () => {
  const cluster = await start();
  const n4 = await cluster.newcomer("n4");
  n4.start();
  await until("n4 is ready", () => n4.isReady(), 20_000);
  await seated(n4, "n1 n2 n3 n4");
  await put(n4, "k", "v");
  await n4.kill();
  n4.wipe();
  n4.start();
  await n4.process.said(/does not know what it has promised/);
  await n4.process.said(/all is there again/, 20_000);
  expect(await get(n4, "k")).toBe("v");
  await seated(n4, "n1 n2 n3 n4");
  // Three of four are a majority, and it is one of them.
  await (await cluster.leader()).kill();
  await cluster.leader();
  await put(n4, "k", "w");
  await n4.kill();
  n4.start();
  await until("n4 is ready", () => n4.isReady(), 20_000);
});

test("M12: who founded alone and lost all founds another cluster, and can come back", async () => {
  const cluster = await start({ size: 1 });
  const founder = first(cluster.members);
  const [n2, n3] = [await cluster.newcomer("n2"), await cluster.newcomer("n3")];
  for (const member of [n2, n3]) member.start();
  await cluster.ready(20_000);
  await seated(n3, "n1 n2 n3");
  await put(founder, "k", "v");
  await Promise.all(cluster.members.map((member) => member.kill()));
  founder.wipe();
  founder.start();
  await until("it is a cluster of its own", () => founder.isReady());
  for (let at = 0; at < 9; at++) await put(founder, `stray/${at}`, "v");
  for (const member of [n2, n3]) member.start();
  await cluster.ready(20_000);
  expect(await get(n2, "k")).toBe("v");
  expect(await get(n2, "stray/8")).toBe("");
  expect(await get(founder, "k")).toBe("");
  const said = n2.process.messages("error").join("\n");
  expect(said).toMatch(/refused: n1 at http:\S+ belongs to another cluster/);

  await founder.process.said(/nodes of another cluster \(\w+\) take this node for their member n1/);

  await founder.kill();
  founder.wipe();
  founder.start({ join: n2.url }, ["initial-cluster"]);
  await founder.process.said(/all is there again/, 20_000);
  expect(await get(founder, "k")).toBe("v");
  expect(await seats(founder)).toBe("n1 n2 n3");
});

test("--join on a data directory of another cluster is told to be of no use", async () => {
  const cluster = await start({ size: 1 });
  const other = await start({ size: 1 });
  const used = first(other.members);
  await used.kill();
  used.start({ join: first(cluster.members).url }, ["initial-cluster"]);
  await used.process.said(/--join names nodes of another cluster \(\w+\), but this --data-dir is/);
  await until("it is what it was", () => used.isReady());
});

test("a change is answered at its deadline, though its leader hangs", async () => {
  const cluster = await start();
  const leader = await cluster.leader();
  const [asker] = await cluster.followers();
  if (asker === undefined) throw new Error("no follower");
  leader.process.signal("SIGSTOP");
  const startedAt = performance.now();
  const path = `${asker.url}/v1/cluster/members/${leader.name}?timeout=100ms`;
  const reply = await call(path, { method: "DELETE" });
  // The call to the leader alone would take four election timeouts.
  expect(performance.now() - startedAt).toBeLessThan(3 * ELECTION_MS);
  expect(reply.status).toBe(504);
  leader.process.signal("SIGCONT");
});
