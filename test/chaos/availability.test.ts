/** How long clients are not served when a node fails, and by whom elections are not held. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, ELECTION_MAX_MS, type Member } from "../integration/cluster.ts";
import { until } from "../integration/until.ts";
import { Writers } from "../integration/writers.ts";

const KILLS = 10;
const PAUSES = 4;
const PAUSE_MS = 1_000;

let cluster: Cluster;
let writers: Writers;
beforeEach(async () => {
  cluster = await Cluster.start();
  writers = new Writers(cluster.members, 16);
  await moreWrites(200);
});
afterEach(async () => {
  await writers.stop();
  await cluster[Symbol.asyncDispose]();
});

async function moreWrites(count: number): Promise<void> {
  const target = writers.count + count;
  await until(`${count} more writes`, () => writers.count >= target, 20_000);
}

async function termOf(member: Member): Promise<number> {
  const status = await until(`${member.name} answers`, () => member.status());
  return status.term;
}

test("kill -9 of the leader, ten times: a new one serves within two elections (A13)", async () => {
  const gaps: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    const leader = await cluster.leader();
    const killedAt = performance.now();
    await leader.kill();
    const isAfter = ({ at }: { at: number }) => at > killedAt + 1;
    await until("writes are acknowledged again", () => writers.acknowledged.some(isAfter));
    await moreWrites(100);
    gaps.push(writers.longestGapMs(killedAt, performance.now()));
    leader.start();
    await until("the killed node is ready", () => leader.isReady(), 20_000);
  }
  expect(gaps).toHaveLength(KILLS);
  expect(Math.max(...gaps)).toBeLessThan(2 * ELECTION_MAX_MS);
  await writers.stop();
  for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);
});

test("followers that stand still for a second hold no election (A14)", async () => {
  const leader = await cluster.leader();
  const term = await termOf(leader);
  for (let i = 0; i < PAUSES; i++) {
    for (const follower of await cluster.followers()) {
      follower.process.signal("SIGSTOP");
      const pausedAt = performance.now();
      await until("it was a second", () => performance.now() - pausedAt > PAUSE_MS);
      follower.process.signal("SIGCONT");
      const isFollowing = async () => (await follower.status())?.leader === leader.name;
      await until(`${follower.name} follows`, isFollowing);
    }
    await moreWrites(50);
  }
  expect((await cluster.leader()).name).toBe(leader.name);
  expect(await termOf(leader)).toBe(term);
});
