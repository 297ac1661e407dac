/** The log: what lines look like, and that a reader who stopped reading holds up nobody (R14). */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLog } from "../../src/program/log.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-log-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(fd: number, isPretty: boolean) {
  return openLog({ name: "n1", level: "info", isPretty, isColourful: false, fd });
}

/** Logs at level fatal too, which writes all before it returns. */
function linesOf(isPretty: boolean): string[] {
  const path = join(folder, "log");
  const log = open(openSync(path, "a"), isPretty);
  log.info("first");
  log.debug("not to be seen");
  log.fatal("last");
  return readFileSync(path, "utf8").trimEnd().split("\n");
}

test("JSON in a pipe, one object a line", () => {
  const lines = linesOf(false).map((line) => JSON.parse(line) as Record<string, unknown>);
  // A line that is being written when the last one comes may end up behind it.
  lines.sort((a, b) => String(a["msg"]).localeCompare(String(b["msg"])));
  expect(lines).toMatchObject([
    { level: "info", node: "n1", msg: "first" },
    { level: "fatal", node: "n1", msg: "last" },
  ]);
  expect(lines[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("readable on a terminal", () => {
  const lines = linesOf(true);
  expect(lines).toHaveLength(2);
  expect(lines).toContainEqual(expect.stringMatching(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: first$/));
  expect(lines).toContainEqual(expect.stringMatching(/^\[\d\d:\d\d:\d\d\.\d{3}\] FATAL: last$/));
});

test("a reader who stopped reading holds up nobody, and memory stays bounded", async () => {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, "r+"); // Reads nothing, until the pipe is full and long after.
  const fd = openSync(path, "w");
  const log = open(fd, false);
  const line = "x".repeat(1000);
  const before = process.memoryUsage().rss;
  let longestMs = 0;
  for (let batch = 0; batch < 100; batch++) {
    const startedAt = performance.now();
    for (let i = 0; i < 300; i++) log.info(line);
    longestMs = Math.max(longestMs, performance.now() - startedAt);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(longestMs).toBeLessThan(200);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  // Somebody reads again: all that was kept comes out, and the thread that waits to write goes on.
  const cat = spawn("cat", [path], { stdio: "ignore" });
  await new Promise((resolve) => log.flush(resolve));
  cat.kill();
  await once(cat, "exit");
  closeSync(reader);
});
