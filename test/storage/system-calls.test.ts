/**
 * The disk of production, seen from the system: which calls it makes before it says that something
 * is durable, and what it does when one of them fails (W3, W6). Linux only, and strace for a part.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openNodeDisk } from "../../src/storage/node-disk.ts";
import { text } from "./fixtures.ts";

const writer = join(import.meta.dirname, "writer-process.ts");
const canTrace = spawnSync("strace", ["-qq", "-e", "trace=none", "true"]).status === 0;
const CALLS = "openat,write,writev,pwrite64,pwritev,ftruncate,fdatasync,fsync,rename,unlink";

let folder: string;
let data: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-calls-"));
  data = join(folder, "data");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a failed fsync is told, and nothing is called durable any more", async () => {
  const told: string[] = [];
  const disk = await openNodeDisk({ path: data, fail: (_error, what) => told.push(what) });
  // A pipe takes every write, and no fsync.
  execFileSync("mkfifo", [join(data, "pipe")]);
  const reader = openSync(join(data, "pipe"), constants.O_RDWR | constants.O_NONBLOCK);
  let calls = 0;
  disk.append("pipe", [text("x")], () => calls++);
  await expect.poll(() => told.length + calls).toBeGreaterThan(0);
  disk.append("later", [text("x")], () => calls++);
  await disk.close();
  closeSync(reader);
  expect(calls).toBe(0);
  expect(told).toEqual([expect.stringMatching(/^cannot append to pipe: /)]);
});

/** One finished system call on a data file, or on the directory. */
interface Call {
  readonly name: string;
  /** The name of the file, `.` for the directory, `stdout`, or what else it was. */
  readonly file: string;
  readonly creates: boolean;
}

/** The calls in the order in which they ended. */
function callsIn(trace: string): readonly Call[] {
  const begun = new Map<string, string>();
  return trace.split("\n").flatMap((line) => {
    const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest)?.[1];
    if (unfinished !== undefined) begun.set(thread, unfinished);
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1];
    const whole = resumed === undefined ? rest : (begun.get(thread) ?? "") + resumed;
    const [, name, args, result] = /^(\w+)\((.*)\)\s+= (\d+)/.exec(whole) ?? [];
    if (unfinished !== undefined || name === undefined || args === undefined) return [];
    const path = name === "openat" ? whole : args;
    const file = fileOf(name, path);
    return [{ name, file, creates: /O_CREAT/.test(args) && result !== undefined }];
  });
}

function fileOf(name: string, args: string): string {
  if (args.startsWith("1<")) return "stdout";
  // An open file as strace shows it, or the last path among the arguments.
  const path = /^\d+<([^>]*)>/.exec(args)?.[1] ?? [...args.matchAll(/"([^"]*)"/g)].at(-1)?.[1];
  if (path === data) return ".";
  return path?.startsWith(data) ? basename(path) : `${name} elsewhere`;
}

test.skipIf(!canTrace)(
  "what is said to be durable was synced, and so was its name",
  { timeout: 60_000 },
  async () => {
    const trace = join(folder, "trace");
    const args = ["-f", "-y", "-s", "256", "-e", `trace=${CALLS}`, "-o", trace];
    const child = spawn("strace", [...args, process.execPath, writer, data], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const ended = once(child, "close");
    let output = "";
    child.stdout.on("data", (part: Buffer) => {
      output += part.toString();
    });
    await expect.poll(() => /^400$/m.test(output), { timeout: 30_000 }).toBe(true);
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await ended;
    check(callsIn(readFileSync(trace, "utf8")));
  },
);

/** Goes through the calls, and knows what is not synced at each moment. */
function check(calls: readonly Call[]): void {
  const written = new Set<string>();
  const named = new Set<string>();
  const seen = { acknowledgements: 0, renames: 0, removals: 0, segments: 0 };
  const logFiles = (names: ReadonlySet<string>) => [...names].filter((it) => it.startsWith("wal-"));
  for (const { name, file, creates } of calls) {
    if (file === "stdout") {
      expect(logFiles(written)).toEqual([]);
      expect(logFiles(named)).toEqual([]);
      seen.acknowledgements++;
    } else if (name === "openat") {
      if (creates && !file.endsWith("elsewhere")) named.add(file);
      if (creates && file.startsWith("wal-")) seen.segments++;
    } else if (name === "fdatasync") written.delete(file);
    else if (name === "fsync" && file === ".") named.clear();
    else if (name === "rename") {
      expect([...written]).not.toContain(file);
      named.add(file);
      seen.renames++;
    } else if (name === "unlink" && file.startsWith("wal-")) {
      // The snapshots that replace it are there for good.
      expect([...named].filter((it) => it.endsWith(".snap"))).toEqual([]);
      seen.removals++;
    } else if (!file.endsWith("elsewhere")) written.add(file);
  }
  expect(seen.acknowledgements).toBeGreaterThan(100);
  for (const count of [seen.renames, seen.removals, seen.segments]) {
    expect(count).toBeGreaterThan(1);
  }
}
