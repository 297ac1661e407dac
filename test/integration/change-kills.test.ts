/**
 * The leader is killed in the middle of changes of the members, again and again (M3): each change
 * is there wholly or not at all, its asker was told the truth, and writes go on. `KILLS` says how
 * often, `SEED` which changes and when.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { call, keyUrl } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { until } from "./until.ts";
import { WanderingWriters } from "./wandering-writers.ts";

const KILLS = Number(process.env["KILLS"] ?? 5);
const SEED = process.env["SEED"] ?? randomUUID();
/** Some die while they are asked, some in the joint configuration, and some after the change. */
const KILL_MS_MAX = 150;
/** For a leader, and the end of what was begun: on a busy machine, with a process to start. */
const SETTLED_MS = 20_000;
const MEMBERS_MAX = 5;
const VOTERS_MIN = 3;
const WRITERS = 4;
/** Writes to see after each kill. */
const MORE = 50;
const TEST_MS = 30_000 + KILLS * 2 * SETTLED_MS;
const MEMBERS = "/v1/cluster/members";

type Seats = Readonly<Record<string, string>>;

/** A change to ask for, and who is a member when it is through. */
interface Wish {
  readonly method: "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly after: Seats;
}

/** What the asker was told, in the words of the API. */
type Told = "done" | "not_applied" | "unknown";

interface ClusterBody {
  readonly changing: boolean;
  readonly members: readonly {
    readonly name: string;
    readonly role: string;
    readonly joining: boolean;
    readonly keeps_up: boolean | null;
  }[];
}

const random = new Prng(SEED);
const counts = new Map<string, number>();
let cluster: Cluster;
let writers: WanderingWriters;
let names: number;

beforeEach(async () => {
  cluster = await Cluster.start();
  writers = new WanderingWriters(cluster.running, WRITERS);
  names = cluster.members.length;
});
afterEach(async () => {
  await writers.stop();
  await cluster[Symbol.asyncDispose]();
});

async function clusterAt(node: Member): Promise<ClusterBody> {
  const reply = await call(`${node.url}/v1/cluster`);
  if (reply.status !== 200) throw new Error(`${node.name}: ${JSON.stringify(reply.body)}`);
  return reply.body as unknown as ClusterBody;
}

function seatsIn({ members }: ClusterBody): Seats {
  return Object.fromEntries(
    members.map(({ name, role, joining }) => [name, joining ? "joining" : role]),
  );
}

function without(seats: Seats, name: string): Seats {
  return Object.fromEntries(Object.entries(seats).filter(([other]) => other !== name));
}

/** A change that can be made; of those that there are, each kind is as likely. */
async function draw(before: Seats): Promise<Wish> {
  const all = Object.keys(before);
  const voters = all.filter((name) => before[name] === "voter");
  const learners = all.filter((name) => before[name] === "learner");
  const wishes: (() => Wish | Promise<Wish>)[] = [];
  if (all.length < MEMBERS_MAX) wishes.push(() => addition(before));
  if (learners.length > 0) {
    const learner = random.pick(learners);
    const voter = random.pick(voters);
    const after = { ...before, [learner]: "voter" };
    wishes.push(() => ({ method: "POST", path: `${MEMBERS}/${learner}/promote`, after }));
    const body = { promote: [learner], remove: [voter] };
    wishes.push(() => ({ method: "PATCH", path: MEMBERS, body, after: without(after, voter) }));
  }
  if (voters.length > VOTERS_MIN) {
    const voter = random.pick(voters);
    const after = { ...before, [voter]: "learner" };
    wishes.push(() => ({ method: "POST", path: `${MEMBERS}/${voter}/demote`, after }));
  }
  const removable = voters.length > VOTERS_MIN ? all : learners;
  if (removable.length > 0) {
    const name = random.pick(removable);
    const after = without(before, name);
    wishes.push(() => ({ method: "DELETE", path: `${MEMBERS}/${name}`, after }));
  }
  return random.pick(wishes)();
}

/** A name that was never there, as a learner, or to become a voter as soon as it has caught up. */
async function addition(before: Seats): Promise<Wish> {
  const name = `n${++names}`;
  const { peerUrl } = await cluster.newcomer(name);
  const role = random.pick(["voter", "learner"]);
  const body = { name, peer_url: peerUrl, role };
  const after = { ...before, [name]: role === "voter" ? "joining" : role };
  return { method: "POST", path: MEMBERS, body, after };
}

/** Asks through a node. Rejects where there is no answer. */
async function ask(node: Member, { method, path, body }: Wish): Promise<Told> {
  const { status, body: answer } = await call(`${node.url}${path}`, { method, body });
  if (status < 300) return "done";
  const { outcome } = answer;
  if (outcome === "not_applied" || outcome === "unknown") return outcome;
  throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
}

/** Asks through the node that is killed meanwhile. */
async function askTheDying(node: Member, wish: Wish): Promise<Told> {
  try {
    return await ask(node, wish);
  } catch (error) {
    if ((await node.process.exited).signal === "SIGKILL") return "unknown";
    throw error;
  }
}

/** The members, when all of them agree, and nothing is under way. */
async function settledSeats(what: string): Promise<Seats> {
  const agreed = async () => {
    const leader = await cluster.leader(SETTLED_MS);
    const { changing, members } = await clusterAt(leader);
    const seats = seatsIn({ changing, members });
    if (changing) return null;
    const running = members.map(({ name }) => cluster.member(name)).filter((one) => one.isRunning);
    const all = await Promise.all(running.map(async (one) => seatsIn(await clusterAt(one))));
    return all.every((one) => textOf(one) === textOf(seats)) ? seats : null;
  };
  // Who has just been started may not answer yet.
  return until(`${what}: all agree on the members`, () => agreed().catch(() => null), SETTLED_MS);
}

function textOf(seats: Seats): string {
  return Object.entries(seats)
    .map(([name, role]) => `${name}=${role}`)
    .sort()
    .join(" ");
}

/** Starts whoever is new, ends whoever is gone, and waits until all of them keep up. */
async function follow(before: Seats, now: Seats): Promise<void> {
  for (const name of Object.keys(before).filter((one) => now[one] === undefined)) {
    const gone = cluster.member(name);
    // It may have been killed, and not listen yet.
    const isTold = async () => (await call(keyUrl(gone, "any")).catch(() => null))?.status === 410;
    await until(`${name} is told that it was removed`, isTold, SETTLED_MS);
    await gone.kill();
  }
  for (const name of Object.keys(now)) {
    if (!cluster.member(name).isRunning) cluster.member(name).start();
  }
  await cluster.ready(SETTLED_MS);
  const areAllThere = async () => {
    const { members } = await clusterAt(await cluster.leader());
    return members.every(({ joining, keeps_up }) => !joining && keeps_up !== false);
  };
  await until("all keep up", areAllThere, SETTLED_MS);
  writers.know(cluster.running);
}

/** One change, and one kill. */
async function round(number: number): Promise<void> {
  const before = await settledSeats(`before kill ${number}`);
  const leader = await cluster.leader();
  const wish = await draw(before);
  const node = random.pick([leader, random.pick(await cluster.followers())]);
  const killMs = random.below(KILL_MS_MAX + 1);
  const through = node === leader ? "the leader" : node.name;
  const what =
    `kill ${number} of seed ${SEED}: ${wish.method} ${wish.path} ` +
    `${JSON.stringify(wish.body ?? {})} through ${through}, ${leader.name} killed in ${killMs} ms`;
  const asked = node === leader ? askTheDying(node, wish) : ask(node, wish);
  const killed = sleep(killMs).then(() => leader.kill());
  const [told] = await Promise.all([asked, killed]);
  leader.start();
  const now = await settledSeats(what);

  const isThere = textOf(now) === textOf(wish.after);
  if (!isThere) expect(textOf(now), `${what}: not at all`).toBe(textOf(before));
  if (told === "done") expect(isThere, `${what}: the asker was told that it is done`).toBe(true);
  if (told === "not_applied") expect(isThere, `${what}: told that it is not`).toBe(false);
  count(`told ${told}, ${isThere ? "there" : "not there"}`);
  await follow(before, now);
  const target = writers.written.length + MORE;
  await until(`${what}: writes go on`, () => writers.written.length >= target, SETTLED_MS);
}

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

test(`M3: the leader dies in each of ${KILLS} changes: all or nothing, and nobody is deceived`, {
  timeout: TEST_MS,
}, async () => {
  for (let number = 1; number <= KILLS; number++) await round(number);
  await writers.stop();
  console.log(`seed ${SEED}:`, Object.fromEntries(counts));
  const members = cluster.running;
  for (const member of members) expect(await writers.missing(member)).toEqual([]);
  const { revision } = (await call(`${members[0]?.url}/v1/admin/hash`)).body;
  const path = `/v1/admin/hash?revision=${String(revision)}`;
  const replies = await Promise.all(members.map((member) => call(`${member.url}${path}`)));
  const hashes = replies.map(({ body }) => body["hash"]);
  expect(hashes).toEqual(members.map(() => expect.stringMatching(/^[0-9a-f]{64}$/)));
  expect(new Set(hashes).size).toBe(1);
});
