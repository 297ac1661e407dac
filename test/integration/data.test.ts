/** Data directories: lost, far behind, somebody else's, full. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { get, put } from "./client.ts";
import { Cluster, ELECTION_MAX_MS, type Member } from "./cluster.ts";
import { until } from "./until.ts";
import { Writers } from "./writers.ts";

const MIB = 1024 * 1024;

let cluster: Cluster;

async function aFollower(): Promise<Member> {
  const [follower] = await cluster.followers();
  if (follower === undefined) throw new Error("no follower");
  return follower;
}

/** The paths of its files of this name, oldest first. */
function filesOf(member: Member, name: RegExp): string[] {
  const names = readdirSync(member.dataDir).filter((each) => name.test(each));
  return names.sort().map((each) => join(member.dataDir, each));
}

/** Flips one bit, at this part of the file. */
function flip(path: string, place: number): void {
  const bytes = readFileSync(path);
  const at = Math.floor(place * bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}

describe("three nodes", () => {
  beforeEach(async () => {
    cluster = await Cluster.start({ settings: { "snapshot-entries": 50, "snapshot-bytes": MIB } });
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  /** Waits until it votes and counts: then it can make a majority with one of the others. */
  async function isWhole(member: Member): Promise<void> {
    await member.process.said(/^all is there again, up to entry \d+: this node votes and counts/);
    await until("it is ready", () => member.isReady());
    const [gone] = cluster.members.filter((other) => other !== member);
    await gone?.kill();
    await until("two are enough", async () => (await cluster.leader()) !== null);
    await put(member, "with two", "of three");
    gone?.start();
    await cluster.ready();
  }

  test("a node that lost its data gets it back from the others (M13, P5)", async () => {
    const writers = new Writers(cluster.members, 8);
    await until("there are writes", () => writers.count > 300);
    const wiped = await aFollower();
    await wiped.kill();
    wiped.wipe();
    const process = wiped.start();
    await process.said(/^the data directory is new, but this node is not/);
    await isWhole(wiped);
    await writers.stop();
    for (const member of cluster.members) expect(await writers.missing(member)).toEqual([]);

    // It is known by its new directory from now on; and a restart is nothing special any more.
    await wiped.kill();
    const again = wiped.start();
    await until("it is ready again", () => wiped.isReady());
    expect(again.messages("warn")).toEqual([]);
  });

  test("one lost and one stopped: nothing is acknowledged, and nothing is lost (A9)", async () => {
    await put(cluster.members[0] as Member, "k", "v");
    const [wiped, stopped] = await cluster.followers();
    if (wiped === undefined || stopped === undefined) throw new Error("no followers");
    const leader = await cluster.leader();
    await Promise.all([wiped.kill(), stopped.kill(), leader.kill()]);
    wiped.wipe();
    const process = wiped.start();
    leader.start();
    await process.said(/^the data directory is new, but this node is not/);
    const end = performance.now() + 4 * ELECTION_MAX_MS;
    await until("there could have been an election", () => performance.now() > end);
    expect((await leader.status())?.role).not.toBe("leader");
    stopped.start();
    await isWhole(wiped);
    expect(await get(wiped, "k")).toBe("v");
  });

  test("a flipped bit in the log heals, from the first to the last batch (W2, P4)", async () => {
    for (let i = 1; i <= 40; i++) await put(cluster.members[0] as Member, `k${i}`, String(i));
    for (const place of [0.02, 0.5, 0.999]) {
      const damaged = await aFollower();
      await damaged.kill();
      const [log] = filesOf(damaged, /^wal-\d+\.log$/).slice(-1);
      flip(log as string, place);
      const process = damaged.start();
      await process.said(
        /^the log is damaged: wal-\d+\.log, byte \d+: .*; set aside as \*\.damaged/,
      );
      await isWhole(damaged);
      for (let i = 1; i <= 40; i++) expect(await get(damaged, `k${i}`)).toBe(String(i));
    }
  });

  test("lost and damaged snapshots heal (S8)", async () => {
    const leader = await cluster.leader();
    const value = (i: number) => String(i).padStart(20_000, "0");
    for (let i = 1; i <= 250; i++) await put(leader, `key/${i % 20}`, value(i));
    const damaged = await aFollower();
    // The log begins behind the older snapshot, so it cannot stand in for both.
    const hasOldLog = () => filesOf(damaged, /^wal-0+1\.log$/).length > 0;
    await until("there are snapshots", () => filesOf(damaged, /\.snap$/).length > 1);
    await until("the beginning of the log is gone", () => !hasOldLog());
    await damaged.kill();
    const snapshots = filesOf(damaged, /\.snap$/);
    flip(snapshots.pop() as string, 0.5);
    for (const older of snapshots) rmSync(older);
    damaged.start();
    await isWhole(damaged);
    for (let i = 231; i <= 250; i++) expect(await get(damaged, `key/${i % 20}`)).toBe(value(i));
  });

  test("damage that no start would notice is found, and written anew (W13)", async () => {
    const leader = await cluster.leader();
    for (let i = 1; i <= 300; i++) await put(leader, `key/${i % 20}`, String(i));
    const node = await aFollower();
    const snapshots = () => filesOf(node, /\.snap$/);
    await until("there are snapshots", () => snapshots().length > 1);
    await node.kill();
    // The newest is restored, and nobody looks into the one before it. A third one, older still,
    // may not be removed yet, and would be at the start.
    const older = snapshots().at(-2);
    flip(older as string, 0.5);
    // A snapshot taken at the start would remove it before anybody looks.
    const process = node.start({ "snapshot-entries": 100_000 });
    await process.said(/^snapshot-\S+ is damaged on disk \(.*\): it is written anew from memory/);
    await process.said(/^snapshot-\S+ is replaced: nothing was lost/);
    await until("the damaged one is gone", () => !snapshots().includes(older as string));
    await until("it is ready", () => node.isReady());
    expect(process.messages("warn")).toEqual([]);
    expect(await get(node, "key/0")).toBe("300");
    expect(await node.status()).toMatchObject({ in_doubt: false, scrub: { damages: 1 } });
  });

  test("a node that was away for long catches up by a snapshot", async () => {
    const late = await aFollower();
    await late.kill();
    const leader = await cluster.leader();
    for (let i = 1; i <= 300; i++) await put(leader, `key/${i % 20}`, String(i));
    const process = late.start();
    await process.said(/^snapshot \d+ installed/);
    await until("it is ready", () => late.isReady());
    for (let i = 281; i <= 300; i++) expect(await get(late, `key/${i % 20}`)).toBe(String(i));

    // What it was sent is on its disk.
    await late.kill();
    late.start();
    await until("it is ready again", () => late.isReady());
    expect(await get(late, "key/0")).toBe("300");
  });

  test("another node's data directory is refused", async () => {
    const [first, second] = [await aFollower(), await cluster.leader()];
    await Promise.all([first.kill(), second.kill()]);
    const process = first.start({ "data-dir": second.dataDir });
    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(process.messages("fatal")).toEqual([
      `${second.dataDir} belongs to node ${second.name}, not to ${first.name}: ` +
        "give each node a --data-dir of its own",
    ]);
  });

  test("a data directory in use is refused", async () => {
    const [first, second] = [await aFollower(), await cluster.leader()];
    await first.kill();
    const process = first.start({ "data-dir": second.dataDir });
    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(process.messages("fatal")).toEqual([
      expect.stringContaining(`is in use by process ${second.process.pid}`),
    ]);
    await put(second, "k", "still served");
  });
});

const isRoot = process.getuid?.() === 0;
const name = "a full disk ends its node, with one clear line, and the others go on (W4)";
describe.skipIf(!isRoot)(isRoot ? "with a disk of its own" : "skipped: mounting needs root", () => {
  let disk = "";
  beforeEach(async () => {
    cluster = await Cluster.start({ stopped: true, settings: { "snapshot-entries": 1_000_000 } });
    disk = join(cluster.folder, "small");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]);
  });
  afterEach(async () => {
    await Promise.all(cluster.members.map((member) => member.kill()));
    execFileSync("umount", [disk]);
    await cluster[Symbol.asyncDispose]();
  });

  test(name, async () => {
    const [small, ...others] = cluster.members;
    const [one] = others;
    if (small === undefined || one === undefined) throw new Error("no members");
    const process = small.start({ "data-dir": join(disk, "data") });
    for (const member of others) member.start();
    await cluster.ready();
    const value = "x".repeat(100_000);
    for (let i = 0; i < 40; i++) await put(one, `large/${i}`, value);
    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(process.messages("fatal")).toEqual([
      expect.stringContaining("the disk is full; make room, then start again (ENOSPC)"),
    ]);
    await put(one, "k", "still served");
  });
});
