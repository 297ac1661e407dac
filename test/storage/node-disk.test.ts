/** The real disk: durability over kill -9, one process a directory, permissions, errors. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { Done } from "../../src/storage/disk.ts";
import { type NodeDisk, openNodeDisk } from "../../src/storage/node-disk.ts";
import { lockDirectory } from "../../src/storage/node-lock.ts";
import { openStorage } from "../../src/storage/open.ts";
import { entries, hardState, text, write } from "./fixtures.ts";

const writer = join(import.meta.dirname, "writer-process.ts");
let root: string;
let path: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "storage-"));
  path = join(root, "data", "n1");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const failed = (_error: Error, what: string) => expect.fail(what);
const open = () => openNodeDisk({ path, fail: failed });
const durable = (run: (done: Done) => void) => new Promise<void>((resolve) => run(resolve));

describe("files", () => {
  let disk: NodeDisk;
  beforeEach(async () => {
    disk = await open();
  });
  afterEach(() => disk.close());

  test("calls for one file end in order, and what they wrote is there", async () => {
    const ends: string[] = [];
    disk.append("a", [text("one "), text(""), text("two ")], () => ends.push("first"));
    disk.readAt("a", { offset: 4, length: 100 }, (bytes) => {
      ends.push(new TextDecoder().decode(bytes));
    });
    disk.append("a", [text("three")], () => ends.push("second"));
    disk.truncate("a", 7, () => ends.push("cut"));
    await durable((done) => disk.append("a", [text("!")], done));
    expect(ends).toEqual(["first", "two ", "second", "cut"]);
    expect(disk.read("a")).toEqual(text("one two!"));
    expect(disk.read("a", { offset: 4, length: 3 })).toEqual(text("two"));
    expect(disk.read("a", { offset: 4, length: 99 })).toEqual(text("two!"));
  });

  test("closing waits for what is under way", async () => {
    path = join(root, "closing");
    const closing = await open();
    const ends: string[] = [];
    closing.append("a", [text("x")], () => ends.push("a"));
    closing.append("a", [text("y")], () => ends.push("a again"));
    closing.append("b", [text("z")], () => ends.push("b"));
    await closing.close();
    expect(ends.toSorted()).toEqual(["a", "a again", "b"]);
  });

  test("thousands of chunks are written at once", async () => {
    const chunks = Array.from({ length: 5000 }, (_, i) => text(`${i} `));
    await durable((done) => disk.append("a", chunks, done));
    expect(disk.read("a")).toEqual(new Uint8Array(Buffer.concat(chunks)));
  });

  test("a name can be given, taken over and given free", async () => {
    await durable((done) => disk.append("old", [text("old")], done));
    await durable((done) => disk.append("new", [text("new")], done));
    await durable((done) => disk.rename("new", "old", done));
    expect(disk.list()).toEqual(["old"]);
    // Not into the file that had the name before.
    await durable((done) => disk.append("old", [text("er")], done));
    expect(disk.read("old")).toEqual(text("newer"));
    disk.remove("old");
    disk.remove("never there");
    await durable((done) => disk.append("old", [text("other")], done));
    expect(disk.read("old")).toEqual(text("other"));
  });

  test("the directory and its files are the owner's only", async () => {
    await durable((done) => disk.append("a", [text("secret")], done));
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, "a")).mode & 0o777).toBe(0o600);
    expect(() => disk.read("b")).toThrow(/^cannot read b: ENOENT/);
  });
});

test("a directory that others can read is made private", async () => {
  await (await open()).close();
  chmodSync(path, 0o755);
  await (await open()).close();
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a path that is no directory is refused in one line", async () => {
  writeFileSync(join(root, "data"), "");
  await expect(open()).rejects.toThrow(/^cannot use .*\/data\/n1 as data directory: /);
});

test("the latency of each fsync is told", async () => {
  const latencies: number[] = [];
  const disk = await openNodeDisk({ path, fail: failed, onSync: (ms) => latencies.push(ms) });
  for (let i = 0; i < 3; i++) await durable((done) => disk.append("a", [text("x")], done));
  expect(latencies.length).toBe(3);
  expect(latencies.every((ms) => ms > 0)).toBe(true);
  await disk.close();
});

test("an error is told once, and ends everything", async () => {
  const told: string[] = [];
  const disk = await openNodeDisk({ path, fail: (_error, what) => told.push(what) });
  let calls = 0;
  const neverDone = () => calls++;
  // Both are under way at once; each would fail by itself.
  disk.rename("missing", "other", neverDone);
  disk.readAt("missing too", { offset: 0, length: 1 }, neverDone);
  disk.append("after", [text("x")], neverDone);
  await expect.poll(() => told.length).toBe(1);
  disk.append("later", [text("x")], neverDone);
  await new Promise((resolve) => setImmediate(resolve));
  await disk.close();
  expect(told.length).toBe(1);
  expect(told[0]).toMatch(/^cannot (rename|read) missing.*ENOENT/);
  expect(calls).toBe(0);
  expect(existsSync(join(path, "later"))).toBe(false);
});

describe("the lock", () => {
  test("keeps a second process out, and says which one is in", async () => {
    const disk = await open();
    const second = spawnSync(process.execPath, [writer, path], { encoding: "utf8" });
    expect(second.status).toBe(1);
    expect(second.stderr).toBe(`${path} is in use by process ${process.pid}\n`);
    await disk.close();
    expect(readdirSync(path)).toEqual([]);
    await (await open()).close();
  });

  test("of many that start together, at most one goes on", async () => {
    const disk = await open();
    await disk.close();
    const attempts = Array.from({ length: 8 }, () => lockDirectory(path));
    const results = await Promise.allSettled(attempts);
    const unlocks = results.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(unlocks.length).toBeLessThanOrEqual(1);
    for (const unlock of unlocks) await unlock();
    await (await lockDirectory(path))();
  });

  test("is not held by a socket of a process that has died", async () => {
    await (await open()).close();
    const child = spawn(process.execPath, [writer, path], { stdio: ["ignore", "pipe", "inherit"] });
    await once(must(child.stdout, "a pipe"), "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    const left = readdirSync(path).filter((name) => name.endsWith(".sock"));
    expect(left.length).toBe(1);
    const disk = await open();
    const now = readdirSync(path).filter((name) => name.endsWith(".sock"));
    expect(now.length).toBe(1);
    expect(now).not.toEqual(left);
    await disk.close();
  });

  test("works where the path is longer than a socket's may be", async () => {
    path = join(root, "long".repeat(20), "long".repeat(20));
    const disk = await open();
    await expect(open()).rejects.toThrow("is in use by process");
    await disk.close();
  });

  test("is respected though its holder answers nothing", async () => {
    await (await open()).close();
    // As a stopped process: it listens, but takes no connection.
    const holder = createServer();
    holder.listen(join(path, "lock-4711-0123456789ab.sock"));
    await once(holder, "listening");
    await expect(open()).rejects.toThrow(`${path} is in use by process 4711`);
    holder.close();
  });
});

test("kill -9 at any moment: what was durable is found again", { timeout: 90_000 }, async () => {
  let acknowledged = 0;
  let openings = 0;
  for (let round = 1; round <= 12; round++) {
    const child = spawn(process.execPath, [writer, path], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (part: Buffer) => {
      output += part.toString();
    });
    await once(child.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, 10 * round));
    child.kill("SIGKILL");
    await once(child, "close");
    const lines = output.split("\n").slice(0, -1);
    openings += lines.filter((line) => line === "open").length;
    acknowledged = Math.max(acknowledged, ...lines.map(Number).filter(Number.isInteger));

    const disk = await open();
    const { saved, wal } = openStorage(disk, { segmentBytesMax: 64 * 1024 });
    expect(saved.hardState.term).toBe(round);
    expect((saved.entries.at(-1) ?? saved.base).index).toBeGreaterThanOrEqual(acknowledged);
    for (const { index, data } of saved.entries) {
      const value = index % 5 === 0 ? 0 : index % 256;
      expect(data.length).toBe((index * 37) % 3000);
      expect(data.every((byte) => byte === value)).toBe(true);
    }
    await durable((done) => wal.write(null, done));
    await disk.close();
  }
  expect(openings).toBe(12);
  expect(acknowledged).toBeGreaterThan(100);
});

test("what a store wrote before is found by the next", async () => {
  const disk = await open();
  const first = openStorage(disk, { segmentBytesMax: 4096 });
  for (let index = 1; index <= 50; index++) {
    const hard = index === 1 ? hardState(1, "n1") : null;
    const fields = { hardState: hard, entries: entries(index, index, 1) };
    await durable((done) => first.wal.write(write(fields), done));
  }
  await disk.close();
  const again = await open();
  const { saved } = openStorage(again, { segmentBytesMax: 4096 });
  expect(saved.hardState).toEqual(hardState(1, "n1"));
  expect(saved.entries).toEqual(entries(1, 50, 1));
  await again.close();
});

test.skipIf(!canMount())("a full disk stops the writer with one clear line", async () => {
  const small = join(root, "small");
  execFileSync("mkdir", [small]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", small]);
  try {
    const run = spawnSync(process.execPath, [writer, join(small, "n1")], { encoding: "utf8" });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^cannot append to \S+: the disk is full; make room, then start again \(ENOSPC\)\n$/,
    );
    const acknowledged = Number(run.stdout.trim().split("\n").at(-1));
    // With more room, all that was acknowledged is there.
    execFileSync("mount", ["-o", "remount,size=4m", small]);
    path = join(small, "n1");
    const disk = await open();
    const { saved, wal } = openStorage(disk, { segmentBytesMax: 64 * 1024 });
    expect((saved.entries.at(-1) ?? saved.base).index).toBeGreaterThanOrEqual(acknowledged);
    await durable((done) => wal.write(write({ hardState: hardState(9) }), done));
    await disk.close();
  } finally {
    execFileSync("umount", [small]);
  }
});

function canMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), "storage-probe-"));
  try {
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", probe]);
    if (mounted.status !== 0) return false;
    execFileSync("umount", [probe]);
    return true;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

test("nothing in the directory but what is documented", async () => {
  const disk = await open();
  const { wal } = openStorage(disk, { segmentBytesMax: 4096 });
  await durable((done) => wal.write(write({ hardState: hardState(1) }), done));
  const names = readdirSync(path);
  expect(names.length).toBe(2);
  expect(names.filter((name) => /^lock-\d+-[0-9a-f]{12}\.sock$/.test(name)).length).toBe(1);
  expect(names).toContain("wal-0000000000000001.log");
  expect(readFileSync(join(path, "wal-0000000000000001.log")).length).toBe(512);
  await disk.close();
});
