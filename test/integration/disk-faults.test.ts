/** The disk of one node fails or hangs under load, at the system call (P3, E14, W3, W5). */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster, ELECTION_MAX_MS, ELECTION_MS, type Member } from "./cluster.ts";
import { canInject, FaultInjector } from "./fault-injector.ts";
import { until } from "./until.ts";
import { Writers } from "./writers.ts";

const HANG_MS = 30_000;

describe.skipIf(!canInject())("with strace", () => {
  let cluster: Cluster;
  let writers: Writers;
  beforeEach(async () => {
    cluster = await Cluster.start();
    writers = new Writers(cluster.members, 16);
    await moreWrites(300);
  });
  afterEach(async () => {
    await writers.stop();
    await cluster[Symbol.asyncDispose]();
  });

  async function moreWrites(count: number): Promise<void> {
    const target = writers.count + count;
    await until(`${count} more writes`, () => writers.count >= target, 20_000);
  }

  async function nothingIsMissing(): Promise<void> {
    await writers.stop();
    for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);
  }

  async function failsAndComesBack(member: Member): Promise<void> {
    const injector = await FaultInjector.attach(member.process.pid, "error=EIO");
    const exit = await member.process.exited;
    await injector.detach();
    expect(exit).toMatchObject({ code: 1 });
    const line = /^cannot append to wal-\d+\.log: the disk has failed; /;
    expect(member.process.messages("fatal").filter((said) => line.test(said))).toHaveLength(1);
    await moreWrites(300);
    member.start();
    await until(`${member.name} is ready`, () => member.isReady(), 20_000);
    await moreWrites(100);
    await nothingIsMissing();
  }

  test("a failed fsync at the leader ends it; the others go on, nothing is lost", async () => {
    await failsAndComesBack(await cluster.leader());
  });

  test("a failed fsync at a follower ends only that one", async () => {
    const [follower] = await cluster.followers();
    if (follower === undefined) throw new Error("no follower");
    await failsAndComesBack(follower);
  });

  test("a hung fsync costs the leader its place in three election timeouts", async () => {
    const leader = await cluster.leader();
    const injector = await FaultInjector.attach(leader.process.pid, `delay_enter=${HANG_MS}000`);
    try {
      const hungAt = performance.now();
      const others = cluster.members.filter((member) => member !== leader);
      await until("it leads no more", async () => (await leader.status())?.role === "follower");
      expect(performance.now() - hungAt).toBeLessThan(3 * ELECTION_MS);
      // Until then the others heard it: two of the least timeouts for it to give up, one of the
      // longest for them to stand, and one more in case they stand at the same moment.
      const roles = () => Promise.all(others.map(async (each) => (await each.status())?.role));
      await until("another leads", async () => (await roles()).includes("leader"));
      expect(performance.now() - hungAt).toBeLessThan(3 * ELECTION_MAX_MS);
      expect((await leader.status())?.role).toBe("follower");
      await until("it is not ready", async () => !(await leader.isReady()));
      await moreWrites(300);
      // However long it hangs, it neither leads again nor keeps the others from it.
      const { term } = await now(others);
      await until("time passes", () => performance.now() - hungAt > 8 * ELECTION_MS);
      expect((await now(others)).term).toBe(term);
      expect((await leader.status())?.role).toBe("follower");
    } finally {
      await injector.detach();
    }
    await until("the disk works again, and so does the node", () => leader.isReady(), 20_000);
    await moreWrites(100);
    await nothingIsMissing();
  });

  async function now(members: readonly Member[]): Promise<{ term: number }> {
    const statuses = await Promise.all(members.map((member) => member.status()));
    return { term: Math.max(...statuses.map((status) => status?.term ?? 0)) };
  }
});
