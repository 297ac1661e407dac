/** `quorate get`, `put`, `increment`, `del` and `status` against a running node. */
import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MAIN, printed, quorate } from "./run.ts";
import { NOBODY, Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await Site.start();
}, 30_000);
afterAll(() => site.end());

test("put, get and del, as JSON in a pipe", async () => {
  const set = printed(await site.run(["put", "color", "blue"]));
  expect(set).toMatchObject({ key: "color", value: "blue", version: 1 });
  expect(printed(await site.run(["get", "color"]))).toEqual(set);
  const again = printed(await site.run(["put", "color", "green"]));
  expect(again).toMatchObject({ version: 2, revision: Number(set["revision"]) + 1 });
  const past = await site.run(["get", "color", "--revision", String(set["revision"])]);
  expect(printed(past)).toEqual(set);
  expect(printed(await site.run(["del", "color"]))).toEqual({
    key: "color",
    deleted: true,
    revision: Number(set["revision"]) + 2,
  });
  expect(printed(await site.run(["del", "color"]))).toMatchObject({ deleted: false });
});

test("a key that is not there: exit code 1", async () => {
  const { code, stdout, stderr } = await site.run(["get", "nothing"]);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: "quorate: there is no key nothing\n",
  });
});

test.each(["..", "a/../b", "/", "a b", "schön/€", "%2F", "?strict", "-", "__proto__"])(
  "%j is a key like any other",
  async (key) => {
    expect(printed(await site.run(["put", "--", key, `value of ${key}`]))).toMatchObject({ key });
    expect(printed(await site.run(["get", "--", key]))["value"]).toBe(`value of ${key}`);
  },
);

describe("put", () => {
  test("a value from standard input", async () => {
    const input = "line 1\nline 2\n";
    expect(printed(await site.run(["put", "notes", "-"], { input }))["value"]).toBe(input);
    expect(printed(await site.run(["get", "notes"]))["value"]).toBe(input);
    const { stdout } = await site.run(["get", "notes", "--raw"]);
    expect(stdout).toBe(input);
  });

  test("bytes that are no text are told in base64, and nothing is lost", async () => {
    const input = new Uint8Array([0xff, 0, 0xfe]);
    const told = { value: Buffer.from(input).toString("base64"), encoding: "base64" };
    expect(printed(await site.run(["put", "bytes", "-"], { input }))).toMatchObject(told);
    expect(printed(await site.run(["get", "bytes"]))).toMatchObject(told);
  });

  test("section 3: a condition that does not hold: exit code 1, and nothing changes", async () => {
    const { revision } = printed(await site.run(["put", "kept", "1", "--if-version", "0"]));
    const before = Number(revision) - 1;
    const taken = await site.run(["put", "kept", "2", "--if-version", "0"]);
    expect(taken).toMatchObject({ code: 1, stdout: "" });
    expect(taken.stderr).toMatch(/^quorate: VERSION_MISMATCH: .*; read the key again.*\n$/);
    const stale = await site.run(["put", "kept", "2", "--if-revision", String(before)]);
    expect(stale).toMatchObject({ code: 1, stdout: "" });
    expect(stale.stderr).toContain("PRECONDITION_FAILED");
    expect(printed(await site.run(["get", "kept"]))).toMatchObject({ value: "1" });
    const fresh = await site.run(["put", "kept", "2", "--if-revision", String(revision), "--prev"]);
    expect(printed(fresh)).toMatchObject({ version: 2, prev: { value: "1", revision } });
  });

  test("section 6: a time to live", async () => {
    await site.run(["put", "short", "v", "--ttl", "1m"]);
    const { ttl_ms: left } = printed(await site.run(["get", "short"]));
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(60_000);
  });

  test("what the server refuses is said in its words", async () => {
    const { code, stderr } = await site.run(["put", "k", "x".repeat(100_000)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const large = await site.run(["put", "k", "-"], { input: "x".repeat(2_000_000) });
    expect(large.stderr).toContain("VALUE_TOO_LARGE");
    expect(large.code).toBe(3);
  });
});

test("increment counts, down too, and only numbers", async () => {
  expect(printed(await site.run(["increment", "n"]))).toMatchObject({ key: "n", value: 1 });
  expect(printed(await site.run(["increment", "n", "-5"]))).toMatchObject({ value: -4 });
  await site.run(["put", "n", "x"]);
  const refused = await site.run(["increment", "n"]);
  expect(refused.stderr).toContain("set the key to a whole number first");
  expect(refused.code).toBe(3);
});

describe("endpoints", () => {
  test("the next one is asked where there is no connection, for writes too", async () => {
    const env = { QUORATE_ENDPOINTS: `${NOBODY},${site.endpoints}` };
    expect(printed(await quorate(["put", "k", "v"], { env }))["value"]).toBe("v");
    expect(printed(await quorate(["get", "k"], { env }))["value"]).toBe("v");
  });

  test("a write that nobody has answered: exit code 4, and it says why", async () => {
    const rude = createServer((socket) => socket.once("data", () => socket.destroy()));
    rude.listen(0, "127.0.0.1");
    await once(rude, "listening");
    const url = `http://127.0.0.1:${(rude.address() as AddressInfo).port}`;
    const short = ["--timeout", "1s", "--endpoints"];
    const write = await quorate(["put", "once", "v", ...short, url]);
    expect(write.code).toBe(4);
    expect(write.stderr).toContain("nobody knows whether the write was applied");
    const read = await quorate(["get", "once", ...short, url]);
    expect(read.code).toBe(3);
    // Under its idempotency key, another node may be asked.
    const second = ["--endpoints", `${url},${site.endpoints}`];
    expect(printed(await quorate(["put", "once", "v", ...second]))["version"]).toBe(1);
    expect(printed(await quorate(["get", "once", ...second]))["value"]).toBe("v");
    rude.close();
  });
});

/** Runs a command whose standard output takes nothing. */
function onFullDisk(
  ...args: string[]
): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const script = 'exec "$@" > /dev/full';
  const command = ["-c", script, "sh", process.execPath, MAIN, ...args];
  const env = { ...process.env, QUORATE_ENDPOINTS: site.endpoints };
  return new Promise((resolve) => {
    execFile("sh", command, { env }, (error, _stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stderr });
    });
  });
}

test.skipIf(process.platform !== "linux")(
  "standard output that takes nothing: exit code 4 for a write, 3 for a read",
  async () => {
    const write = await onFullDisk("put", "untold", "v");
    expect(write.stderr).toMatch(
      /^quorate: standard output cannot be written: ENOSPC[^;]*; the write may have been .*\n$/,
    );
    expect(write.code).toBe(4);
    expect(printed(await site.run(["get", "untold"]))).toMatchObject({ value: "v" });
    const read = await onFullDisk("get", "untold");
    expect(read.stderr).toMatch(/^quorate: standard output cannot be written: ENOSPC[^;]*\n$/);
    expect(read.code).toBe(3);
  },
);

describe("del", () => {
  test("all keys of a prefix, under one revision", async () => {
    for (const key of ["gone/a", "gone/b", "gonf"]) await site.run(["put", key, "v"]);
    const result = printed(await site.run(["del", "--prefix", "gone/"]));
    expect(result).toMatchObject({ prefix: "gone/", deleted: 2 });
    expect((await site.run(["get", "gonf"])).code).toBe(0);
  });

  test("every key only where somebody says yes", async () => {
    const refused = await site.run(["del", "--all"]);
    expect(refused.stderr).toBe(
      "quorate: nobody can be asked here: add --yes to delete every key\n",
    );
    expect(refused.code).toBe(2);
    const { count } = printed(await site.run(["list", "--count"]));
    expect(count).toBeGreaterThan(0);
    const { deleted } = printed(await site.run(["del", "--all", "--yes"]));
    expect(deleted).toBe(count);
  });
});

test("status, a row for each endpoint, and why one does not answer", async () => {
  const url = site.endpoints;
  const given = { env: { QUORATE_ENDPOINTS: `${url},${NOBODY}` } };
  const { code, stdout, stderr } = await quorate(["status"], given);
  const rows = stdout.trim().split("\n");
  const [alive, dead] = rows.map((line) => JSON.parse(line) as object);
  expect(alive).toMatchObject({ endpoint: url, name: "n1", role: "leader", leader: "n1" });
  expect(dead).toMatchObject({ endpoint: NOBODY, role: null });
  expect(stderr).toMatch(/^quorate: http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\n$/);
  expect(code).toBe(0);
  expect((await quorate(["status", "-e", NOBODY])).code).toBe(3);
});
