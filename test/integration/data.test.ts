/** Data directories: lost, far behind, somebody else's, full. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { get, put } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { until } from "./until.ts";

let cluster: Cluster;

async function aFollower(): Promise<Member> {
  const [follower] = await cluster.followers();
  if (follower === undefined) throw new Error("no follower");
  return follower;
}

describe("three nodes", () => {
  beforeEach(async () => {
    cluster = await Cluster.start({ settings: { "snapshot-entries": 50 } });
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  test("a node that lost its data refuses to vote, and says so (M13)", async () => {
    await put(cluster.members[0] as Member, "k", "v");
    const wiped = await aFollower();
    await wiped.kill();
    wiped.wipe();
    const process = wiped.start();
    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(process.messages("fatal")).toEqual([
      expect.stringContaining(`the cluster knows ${wiped.name} with another data directory`),
    ]);
    expect(await get(await cluster.leader(), "k")).toBe("v");
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
