/** The memory of one node is changed: it is found out, and the others go on (D4, I15). */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { call, get, keyUrl, put } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { until } from "./until.ts";

const DETECTED_MS = 5_000;
const VALUE = "flipped-value";
const VERSION = "flipped-version";
const LINE = /state differs from the majority's .*: stop it, remove its data directory, start/;

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start({ imports: ["test/integration/flipped-bit.ts"] });
});
afterEach(() => cluster[Symbol.asyncDispose]());

/** How the node answers a read that needs nobody else. */
async function staleRead(member: Member): Promise<{ status: number; code: unknown }> {
  const { status, body } = await call(`${keyUrl(member, "any")}?consistency=stale`);
  return { status, code: body["code"] };
}

/** Waits until the node refuses to serve. Returns after how long. */
async function foundOut(member: Member, since: number): Promise<number> {
  // While it starts, nobody listens.
  const isCorrupt = async () => {
    const answer = await staleRead(member).catch(() => null);
    return answer?.code === "CORRUPT";
  };
  await until(`${member.name} is found out`, isCorrupt, 3 * DETECTED_MS);
  return performance.now() - since;
}

function othersThan(member: Member): readonly Member[] {
  return cluster.members.filter((other) => other !== member);
}

async function expectQuarantined(member: Member): Promise<void> {
  expect(await staleRead(member)).toEqual({ status: 503, code: "CORRUPT" });
  const write = await call(keyUrl(member, "any"), { method: "POST", body: { value: "v" } });
  expect(write).toMatchObject({ status: 503, body: { code: "CORRUPT", outcome: "not_applied" } });
  expect(String(write.body["error"])).toMatch(LINE);
  expect(await member.isReady()).toBe(false);
  const ready = await fetch(`${member.url}/readyz?verbose`);
  expect(await ready.text()).toMatch(/^\[-\] same-state: this node's state differs/m);
  expect((await member.status())?.role).toBe("follower");
  const errors = () => member.process.messages("error");
  await until("it says so in its log", () => errors().some((line) => LINE.test(line)));
}

async function expectServing(members: readonly Member[]): Promise<void> {
  for (const member of members) {
    await until(`${member.name} is ready`, () => member.isReady());
    await put(member, "after", member.name);
    expect(await get(member, "after")).toBe(member.name);
    expect(member.process.messages("error")).toEqual([]);
  }
}

test("a follower, in a value nobody writes: within 5 s it serves nothing (D4, I15)", async () => {
  const [victim, other] = await cluster.followers();
  if (victim === undefined || other === undefined) throw new Error("no followers");
  await put(other, VALUE, "a");
  expect(await get(victim, VALUE)).toBe("a");

  const since = performance.now();
  victim.process.signal("SIGUSR2");
  expect(await foundOut(victim, since)).toBeLessThan(DETECTED_MS);
  await expectQuarantined(victim);
  await expectServing(othersThan(victim));
  expect(await get(other, VALUE)).toBe("a");
});

test("the leader: within 5 s it leads and serves no more, and the others do (D4)", async () => {
  const victim = await cluster.leader();
  await put(victim, VALUE, "a");

  const since = performance.now();
  victim.process.signal("SIGUSR2");
  expect(await foundOut(victim, since)).toBeLessThan(DETECTED_MS);
  await expectQuarantined(victim);
  const others = othersThan(victim);
  await expectServing(others);
  expect(others).toContain(await cluster.leader());
  for (const member of others) expect(await get(member, VALUE)).toBe("a");
});

test("by what a write has come to, under load (D4)", async () => {
  const [victim, other] = await cluster.followers();
  if (victim === undefined || other === undefined) throw new Error("no followers");
  await put(other, VERSION, "a");
  await get(victim, VERSION);
  let isOver = false;
  const load = (async () => {
    for (let i = 0; !isOver; i++) await put(other, `load/${i % 100}`, String(i));
  })();

  victim.process.signal("SIGUSR2");
  const since = performance.now();
  await put(other, VERSION, "b");
  expect(await foundOut(victim, since)).toBeLessThan(DETECTED_MS);
  isOver = true;
  await load;
  await expectQuarantined(victim);
  await expectServing(othersThan(victim));
});

test("a restart does not forget it; an empty data directory is the cure (D4, M13)", async () => {
  const [victim, other] = await cluster.followers();
  if (victim === undefined || other === undefined) throw new Error("no followers");
  await put(other, VALUE, "a");
  await get(victim, VALUE);
  victim.process.signal("SIGUSR2");
  await foundOut(victim, performance.now());
  await victim.process.said(/that is written down/);

  await victim.kill();
  victim.start();
  await foundOut(victim, performance.now());
  await expectQuarantined(victim);
  await victim.stop();

  // Not even where what is written there is damaged.
  appendFileSync(join(victim.dataDir, "quarantine.txt"), new Uint8Array([0, 255, 10]));
  victim.start();
  await foundOut(victim, performance.now());
  await victim.kill();

  victim.wipe();
  victim.start();
  await cluster.ready();
  expect(await get(victim, VALUE)).toBe("a");
  expect((await staleRead(victim)).status).toBe(200);
});

test("without a majority nobody is condemned, and it is said (D4)", async () => {
  const leader = await cluster.leader();
  const [victim, third] = await cluster.followers();
  if (victim === undefined || third === undefined) throw new Error("no followers");
  await put(leader, VALUE, "a");
  await get(victim, VALUE);
  await third.kill();

  victim.process.signal("SIGUSR2");
  await leader.process.said(/the members' states differ, and none has a majority/);
  for (const member of [leader, victim]) expect((await staleRead(member)).status).toBe(200);

  third.start();
  expect(await foundOut(victim, performance.now())).toBeLessThan(2 * DETECTED_MS);
  await until("the third is ready", () => third.isReady());
  expect((await staleRead(leader)).status).toBe(200);
});
