/** `quorate lock` and `quorate lease`: what lives as long as a process. */
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { lockAndRun } from "../../src/cli/lock-command.ts";
import { Output } from "../../src/cli/output.ts";
import { QuorateClient } from "../../src/client/index.ts";
import { until } from "../integration/until.ts";
import { documents, printed } from "./run.ts";
import { Site } from "./site.ts";

let site: Site;
let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quorate-lock-"));
  site = await Site.start();
}, 30_000);
afterAll(async () => {
  await site.end();
  rmSync(folder, { recursive: true });
});

/** How many hold or want the lock. */
async function countOf(name: string): Promise<unknown> {
  return printed(await site.run(["list", `locks/${name}/`, "--count"]))["count"];
}

describe("lock", () => {
  test("runs the program with a token, and gives the lock back", async () => {
    const script = 'echo "$QUORATE_LOCK_TOKEN $QUORATE_LOCK_KEY"';
    const one = await site.run(["lock", "l1", "--", "sh", "-c", script]);
    expect(one).toMatchObject({ code: 0, stderr: "" });
    expect(one.stdout).toMatch(/^\d+ locks\/l1\/\S+\n$/);
    expect(await countOf("l1")).toBe(0);
    const two = await site.run(["lock", "l1", "--", "sh", "-c", script]);
    expect(Number.parseInt(two.stdout, 10)).toBeGreaterThan(Number.parseInt(one.stdout, 10));
  });

  test.each([
    ["exit 7", 7],
    ["kill -KILL $$", 137],
    ["exit 0", 0],
  ])("passes the exit code of %j on: %d", async (script, expected) => {
    const { code, stderr } = await site.run(["lock", "l2", "--", "sh", "-c", script]);
    expect({ code, stderr }).toEqual({ code: expected, stderr: "" });
  });

  test("a program that is not there, or is none", async () => {
    const missing = await site.run(["lock", "l3", "--", "no-such-program"]);
    expect(missing).toMatchObject({ code: 127 });
    expect(missing.stderr).toBe("quorate: there is no program no-such-program: look at PATH\n");
    expect(await site.run(["lock", "l3", "--", folder])).toMatchObject({ code: 126 });
    expect(await countOf("l3")).toBe(0);
  });

  test("two at once run one after the other", async () => {
    const file = join(folder, "turns");
    const script = `echo in >> ${file}; sleep 0.5; echo out >> ${file}`;
    const both = [1, 2].map(() => site.run(["lock", "l4", "--", "sh", "-c", script]));
    for (const { code } of await Promise.all(both)) expect(code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("in\nout\nin\nout\n");
  });

  test("where somebody else holds it: exit code 1, and nothing runs", async () => {
    const holder = site.start(["lock", "l5", "--", "sh", "-c", "echo held; exec sleep 60"]);
    await holder.printed("held");
    const { code, stdout, stderr } = await site.run(["lock", "l5", "--wait", "0s", "--", "pwd"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain('the lock "l5" is held by another; wait longer with --wait');
    // Whoever is interrupted while waiting leaves nothing behind.
    const waiter = site.start(["lock", "l5", "--", "pwd"]);
    await until("two want it", async () => (await countOf("l5")) === 2);
    waiter.signal("SIGINT");
    expect(await waiter.ended).toMatchObject({ code: 130, stdout: "" });
    await until("one is left", async () => (await countOf("l5")) === 1);
    holder.signal("SIGTERM");
    expect((await holder.ended).code).toBe(143);
    expect(await countOf("l5")).toBe(0);
  });

  test.each([
    ["SIGINT", "INT"],
    ["SIGTERM", "TERM"],
    ["SIGHUP", "HUP"],
  ] as const)("%s is for the program; the lock is released when that ends", async (name, trap) => {
    const script = `trap 'echo caught; exit 9' ${trap}; echo on; while :; do sleep 0.05; done`;
    const running = site.start(["lock", "l6", "--", "sh", "-c", script]);
    await running.printed("on\n");
    running.signal(name);
    expect(await running.ended).toMatchObject({ code: 9, stdout: "on\ncaught\n" });
    expect(await countOf("l6")).toBe(0);
  });

  test("a lock that is lost ends the program: exit code 5", async () => {
    const script = "trap 'echo told; exit 0' TERM; echo on; while :; do sleep 0.05; done";
    const flags = ["--ttl", "2s"];
    const running = site.start(["lock", "l7", ...flags, "--", "sh", "-c", script]);
    await running.printed("on\n");
    await site.run(["del", "--prefix", "locks/l7/"]);
    const { code, stdout, stderr } = await running.ended;
    expect(stdout).toBe("on\ntold\n");
    expect(stderr).toMatch(/^quorate: the lock "l7" may be lost: .*left half done\n$/);
    expect(code).toBe(5);
  });

  test("a lock that is lost while this process stands still: exit code 5", async () => {
    const file = join(folder, "runs");
    const client = new QuorateClient({ endpoints: [site.endpoints] });
    onTestFinished(() => client.close());
    const session = { client, output: new Output(process.stdout), warn: () => {} };
    const standStill = (ms: number) => {
      for (const end = performance.now() + ms; performance.now() < end; );
    };
    // Whatever is read comes before the end of a program, and timers come after both.
    const server = createServer((socket) => socket.once("data", () => standStill(3_500)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    const words = ["sh", "-c", `echo > ${file}; sleep 0.2`];
    const running = lockAndRun(session, { name: "l10", words }, { ttl: 3_000, wait: 0 });
    const ended = running.catch((error: unknown) => error);
    await until("the program runs", () => existsSync(file));
    socket.write("go");
    standStill(500);
    expect(await ended).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/may be lost: .*half done$/) as string,
    });
    socket.destroy();
    server.close();
  });

  test("a program that ignores that is killed", async () => {
    const script = "trap '' TERM; echo on; while :; do sleep 0.05; done";
    const flags = ["--ttl", "1s"];
    const running = site.start(["lock", "l8", ...flags, "--", "sh", "-c", script]);
    await running.printed("on\n");
    await site.run(["del", "--prefix", "locks/l8/"]);
    expect((await running.ended).code).toBe(5);
  });

  test("the token guards a transaction, as --help shows", async () => {
    const guarded = `quorate() { ${process.execPath} src/main.ts "$@"; }; quorate txn << END
      {"compare": [{"key": "$QUORATE_LOCK_KEY", "create_revision": $QUORATE_LOCK_TOKEN}],
       "success": [{"put": {"key": "deployed", "value": "v2"}}]}\nEND`;
    const result = await site.run(["lock", "l9", "--", "sh", "-c", guarded]);
    expect(printed(result)).toMatchObject({ succeeded: true });
  });
});

describe("lease", () => {
  test("a key lives as long as its lease", async () => {
    const granted = printed(await site.run(["lease", "grant", "1m"]));
    const id = String(granted["id"]);
    expect(granted).toMatchObject({ ttl_ms: 60_000 });
    await site.run(["put", "leased", "v", "--lease", id]);
    expect(printed(await site.run(["get", "leased"]))).toMatchObject({ lease: granted["id"] });
    const shown = printed(await site.run(["lease", "get", id]));
    expect(shown).toMatchObject({ id: granted["id"], ttl_ms: 60_000, keys: ["leased"] });
    expect(shown["left_ms"]).toBeLessThan(60_000);
    const renewed = printed(await site.run(["lease", "renew", id]));
    expect(renewed["left_ms"]).toBeGreaterThan(Number(shown["left_ms"]));
    const revoked = printed(await site.run(["lease", "revoke", id]));
    expect(revoked).toMatchObject({ id: granted["id"], deleted: 1 });
    expect((await site.run(["get", "leased"])).code).toBe(1);
  });

  test.each(["renew", "revoke", "get", "keep-alive"])("%s of none: exit code 1", async (name) => {
    const { code, stdout, stderr } = await site.run(["lease", name, "999999"]);
    expect(stderr).toMatch(/^quorate: LEASE_NOT_FOUND: .*grant a new one.*\n$/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  test("keep-alive renews until Ctrl-C, and says when it is over", async () => {
    const { id } = printed(await site.run(["lease", "grant", "1500ms"]));
    const running = site.start(["lease", "keep-alive", String(id)]);
    await running.printed("ttl_ms");
    const begun = performance.now();
    await until("it has outlived its time", () => performance.now() - begun > 3_000);
    expect((await site.run(["lease", "get", String(id)])).code).toBe(0);
    running.signal("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130, stderr: "" });
    const again = printed(await site.run(["lease", "grant", "2s"]));
    const other = site.start(["lease", "keep-alive", String(again["id"])]);
    await other.printed("ttl_ms");
    await site.run(["lease", "revoke", String(again["id"])]);
    const { code, stderr } = await other.ended;
    expect(stderr).toContain("LEASE_NOT_FOUND");
    expect(code).toBe(1);
    expect(documents({ code: 0, stdout: other.stdout, stderr: "" })).toHaveLength(1);
  });
});
