/** Under load every node of a cluster is replaced by another, and no client notices (M9). */
import { expect, onTestFinished, test } from "vitest";
import { median } from "../../bench/median.ts";
import { call, keyUrl } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { until } from "./until.ts";
import { WanderingWriters } from "./wandering-writers.ts";

const WRITERS = 64;
const WINDOW_MS = 1_000;
/** Until the compilers of all processes have seen it all. */
const WARM_MS = 5_000;
const BEFORE_MS = 10_000;
const CHANGE_MS = 60_000;

interface ClusterBody {
  readonly changing: boolean;
  readonly members: readonly { readonly name: string; readonly role: string }[];
}

async function clusterAt(node: Member): Promise<ClusterBody> {
  return (await call(`${node.url}/v1/cluster`)).body as unknown as ClusterBody;
}

/** Waits until the node knows exactly these voters, and of no change. */
async function settled(node: Member, voters: readonly Member[]): Promise<void> {
  const expected = names(voters);
  const isSo = async () => {
    const { changing, members } = await clusterAt(node);
    const isVoter = members.every(({ role }) => role === "voter");
    return !changing && isVoter && names(members) === expected;
  };
  await until(`the voters at ${node.name} are ${expected}`, isSo, CHANGE_MS);
}

function names(members: readonly { readonly name: string }[]): string {
  return members
    .map(({ name }) => name)
    .sort()
    .join(" ");
}

async function hashesOf(members: readonly Member[], revision: unknown): Promise<unknown[]> {
  const path = `/v1/admin/hash?revision=${String(revision)}`;
  const replies = await Promise.all(members.map((member) => call(`${member.url}${path}`)));
  return replies.map(({ status, body }) => (status === 200 ? body["hash"] : body));
}

async function timePasses(ms: number): Promise<void> {
  const end = performance.now() + ms;
  await until(`${ms} ms go by`, () => performance.now() > end, 2 * ms);
}

/** The cluster, those who are in it now, and those who write. */
class Regrowth {
  readonly cluster: Cluster;
  readonly writers: WanderingWriters;
  /** When each process was told to end. */
  readonly endedAt = new Map<string, number>();
  members: readonly Member[];

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.members = cluster.members.slice();
    this.writers = new WanderingWriters(this.members, WRITERS);
  }

  /** New nodes, at the same time, until they are voters. Clients get to know them then. */
  async grow(...added: readonly string[]): Promise<void> {
    const young = await Promise.all(added.map((name) => this.cluster.newcomer(name)));
    for (const member of young) member.start();
    this.members = [...this.members, ...young];
    for (const member of this.members) await settled(member, this.members);
    for (const member of young) await until("it is ready", () => member.isReady(), CHANGE_MS);
    this.writers.know(this.members);
  }

  /** Has another node remove it, and ends it. */
  async shrink(member: Member): Promise<void> {
    this.members = this.members.filter((other) => other !== member);
    const [asked] = this.members;
    if (asked === undefined) throw new Error("nobody is left");
    const path = `${asked.url}/v1/cluster/members/${member.name}`;
    expect((await call(path, { method: "DELETE", timeoutMs: CHANGE_MS })).status).toBe(200);
    const isTold = async () => (await call(keyUrl(member, "any"))).status === 410;
    await until("it is told that it was removed", isTold);
    this.writers.know(this.members);
    this.endedAt.set(member.name, performance.now());
    expect((await member.stop()).code).toBe(0);
    for (const other of this.members) await settled(other, this.members);
  }

  /** One that was there from the beginning, and does not lead. */
  async oldFollower(): Promise<Member> {
    const followers = await this.cluster.followers();
    const found = followers.find(({ name }) => ["n1", "n2", "n3"].includes(name));
    if (found === undefined) throw new Error("none is left");
    return found;
  }
}

test("3 → 5 → 3 under 64 writers, with every node replaced: nothing fails, is lost, or waits", {
  timeout: 300_000,
}, async () => {
  const cluster = await Cluster.start();
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const growth = new Regrowth(cluster);
  const { writers } = growth;
  await timePasses(WARM_MS);
  const from = performance.now();
  await timePasses(BEFORE_MS);
  const changesFrom = performance.now();
  const leader = await cluster.leader();
  await growth.grow("n4", "n5");
  await growth.shrink(await growth.oldFollower());
  await growth.grow("n6");
  await growth.shrink(await growth.oldFollower());
  expect(await cluster.leader()).toBe(leader);
  await growth.shrink(leader);
  const changesTo = performance.now();
  await writers.stop();

  expect(names(growth.members)).toBe("n4 n5 n6");
  const failed = writers.failures.filter(({ node, at }) => {
    const endedAt = growth.endedAt.get(node);
    return endedAt === undefined || at < endedAt;
  });
  const before = writers.p99s({ from, to: changesFrom, windowMs: WINDOW_MS });
  const during = writers.p99s({ from: changesFrom, to: changesTo, windowMs: WINDOW_MS });
  console.log(
    `${writers.written.length} writes, ${writers.sentOn} sent on by removed nodes; ` +
      `p99 before: ${shown(before)}; in ${Math.round(changesTo - changesFrom)} ms of changes: ` +
      shown(during),
  );
  expect(failed).toEqual([]);
  for (const member of growth.members) expect(await writers.missing(member)).toEqual([]);
  const [one] = growth.members;
  const { revision } = (await call(`${one?.url}/v1/admin/hash`)).body;
  const [hash, ...others] = await hashesOf(growth.members, revision);
  expect(String(hash)).toMatch(/^[0-9a-f]{64}$/);
  expect(others).toEqual([hash, hash]);
  expect(median(during)).toBeLessThanOrEqual(2 * median(before));
});

/** `12 ms (10 11 12 15)`: the median, and all of them. */
function shown(p99s: readonly number[]): string {
  const all = p99s.map((ms) => Math.round(ms));
  return `${Math.round(median(p99s))} ms (${all.join(" ")})`;
}
