/** Nodes die while clients write: who takes over how soon, and what is lost (nothing). */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, ELECTION_MAX_MS } from "./cluster.ts";
import { until } from "./until.ts";
import { Writers } from "./writers.ts";

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start();
});
afterEach(() => cluster[Symbol.asyncDispose]());

/** Waits until so many more writes are acknowledged. */
async function moreWrites(writers: Writers, count: number): Promise<void> {
  const target = writers.count + count;
  await until(`${count} more writes`, () => writers.count >= target, 20_000);
}

test("kill -9 of the leader under load: writes go on in time, and none is lost", async () => {
  const leader = await cluster.leader();
  const writers = new Writers(cluster.members, 64);
  await moreWrites(writers, 500);

  const killedAt = performance.now();
  await leader.kill();
  const isAfter = ({ at }: { at: number }) => at > killedAt + 1;
  await until("writes are acknowledged again", () => writers.acknowledged.some(isAfter));
  await moreWrites(writers, 500);
  expect(writers.longestGapMs(killedAt, performance.now())).toBeLessThan(2 * ELECTION_MAX_MS);

  leader.start();
  await until("the killed node is ready", () => leader.isReady());
  await moreWrites(writers, 200);
  await writers.stop();
  for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);
  expect((await cluster.leader()).name).not.toBe(leader.name);
});

test("kill -9 of two: the third acknowledges nothing; back again, nothing is lost", async () => {
  const leader = await cluster.leader();
  const [follower, survivor] = await cluster.followers();
  if (follower === undefined || survivor === undefined) throw new Error("no followers");
  const writers = new Writers(cluster.members, 16);
  await moreWrites(writers, 300);

  await Promise.all([leader.kill(), follower.kill()]);
  const before = writers.count;
  const killedAt = performance.now();
  await until("time passes", () => performance.now() - killedAt > 2 * ELECTION_MAX_MS);
  expect(writers.count).toBe(before);
  expect(await survivor.isReady()).toBe(false);

  leader.start();
  await moreWrites(writers, 100);
  follower.start();
  await cluster.ready();
  await writers.stop();
  for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);
});

test("kill -9 of all at once: nothing is lost", async () => {
  const writers = new Writers(cluster.members, 16);
  for (let round = 0; round < 2; round++) {
    await moreWrites(writers, 300);
    await Promise.all(cluster.members.map((member) => member.kill()));
    for (const member of cluster.members) member.start();
    await cluster.ready();
  }
  await moreWrites(writers, 100);
  await writers.stop();
  for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);
});
