/** The client commands against a running node, as real processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NodeProcess } from "../integration/node-process.ts";
import { freePorts } from "../integration/ports.ts";
import { until } from "../integration/until.ts";
import { quorate, type Result } from "./run.ts";

const NOBODY = "http://127.0.0.1:1";
let folder = "";
let url = "";
let node: NodeProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quorate-cli-"));
  const [clientPort, peerPort] = await freePorts(2);
  url = `http://127.0.0.1:${clientPort}`;
  node = new NodeProcess([
    "serve",
    `--data-dir=${folder}`,
    `--client-listen=127.0.0.1:${clientPort}`,
    `--peer-listen=127.0.0.1:${peerPort}`,
  ]);
  const isReady = async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true;
  await until("the node is ready", isReady);
});
afterAll(async () => {
  await node.kill();
  rmSync(folder, { recursive: true });
});

/** Runs a command against the node. */
function run(args: readonly string[], given: { input?: string; endpoints?: string } = {}) {
  const { input = "", endpoints = url } = given;
  return quorate(args, { input, env: { QUORATE_ENDPOINTS: endpoints } });
}

/** The object that a successful command printed. */
function printed({ code, stdout, stderr }: Result): Record<string, unknown> {
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("put, get and del, as JSON in a pipe", async () => {
  const set = printed(await run(["put", "color", "blue"]));
  expect(set).toMatchObject({ key: "color", value: "blue", version: 1 });
  expect(printed(await run(["get", "color"]))).toEqual(set);
  const again = printed(await run(["put", "color", "green"]));
  expect(again).toMatchObject({ version: 2, revision: Number(set["revision"]) + 1 });
  expect(printed(await run(["del", "color"]))).toEqual({
    key: "color",
    deleted: true,
    revision: Number(set["revision"]) + 2,
  });
  expect(printed(await run(["del", "color"]))).toMatchObject({ deleted: false });
});

test("a key that is not there: exit code 1", async () => {
  const { code, stdout, stderr } = await run(["get", "nothing"]);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: "quorate: there is no key nothing\n",
  });
});

test.each(["..", "a/../b", "/", "a b", "schön/€", "%2F", "?strict", "-", "__proto__"])(
  "%j is a key like any other",
  async (key) => {
    expect(printed(await run(["put", "--", key, `value of ${key}`]))).toMatchObject({ key });
    expect(printed(await run(["get", "--", key]))["value"]).toBe(`value of ${key}`);
  },
);

test("a value from standard input", async () => {
  const input = "line 1\nline 2\n";
  expect(printed(await run(["put", "notes", "-"], { input }))["value"]).toBe(input);
  expect(printed(await run(["get", "notes"]))["value"]).toBe(input);
});

test("the next endpoint is asked where there is no connection, for writes too", async () => {
  const endpoints = `${NOBODY},${url}`;
  expect(printed(await run(["put", "k", "v"], { endpoints }))["value"]).toBe("v");
  expect(printed(await run(["get", "k"], { endpoints }))["value"]).toBe("v");
});

test("a write that was sent is never sent again: exit code 4, and it says why", async () => {
  const rude = createServer((socket) => socket.once("data", () => socket.destroy()));
  const port = await new Promise<number>((resolve) => {
    rude.listen(0, "127.0.0.1", () => {
      const address = rude.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const endpoints = `http://127.0.0.1:${port},${url}`;
  const write = await run(["put", "once", "v"], { endpoints });
  expect(write.code).toBe(4);
  expect(write.stderr).toContain("nobody knows whether the write was applied");
  expect((await run(["get", "once"])).code).toBe(1);
  // A read may be asked again.
  await run(["put", "once", "v"]);
  expect(printed(await run(["get", "once"], { endpoints }))["value"]).toBe("v");
  rude.close();
});

test("what the server refuses is said in its words", async () => {
  const { code, stderr } = await run(["put", "k", "x".repeat(100_000)], {});
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const large = await run(["put", "k", "-"], { input: "x".repeat(2_000_000) });
  expect(large.stderr).toContain("VALUE_TOO_LARGE");
  expect(large.code).toBe(3);
});

test("status, a row for each endpoint", async () => {
  const { code, stdout } = await run(["status"], { endpoints: `${url},${NOBODY}` });
  const [alive, dead] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(alive).toMatchObject({ endpoint: url, name: "n1", role: "leader", leader: "n1" });
  expect(dead).toMatchObject({ endpoint: NOBODY, role: null });
  expect(code).toBe(0);
  expect((await run(["status"], { endpoints: NOBODY })).code).toBe(3);
});
