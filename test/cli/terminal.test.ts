/** What a person sees at a terminal, and how a person is asked. */
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isConfirmed } from "../../src/cli/input.ts";
import { printed } from "./run.ts";
import { Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await Site.start();
}, 30_000);
afterAll(() => site.end());

/** What a command shows at a terminal. */
async function shown(...args: string[]): Promise<string> {
  const { stdout, stderr } = await site.run(args, { terminal: true });
  expect(stderr).toBe("");
  return stdout;
}

test("words for every command", async () => {
  const { revision } = printed(await site.run(["put", "t/first", "1"]));
  const next = Number(revision) + 1;
  const set = `t/a is set: version 1, revision ${next}; it was not there\n`;
  expect(await shown("put", "t/a", "blue", "--prev")).toBe(set);
  const again = `t/a is set: version 2, revision ${next + 1}; it was blue\n`;
  expect(await shown("put", "t/a", "line 1\nline 2", "--prev")).toBe(again);
  expect(await shown("get", "t/a")).toBe("line 1\nline 2\n");
  expect(await shown("get", "t/a", "--raw")).toBe("line 1\nline 2");
  expect(await shown("increment", "t/n", "42")).toBe("42\n");
  expect(await shown("list", "t/", "--count")).toBe("3\n");
  expect(await shown("list", "t/")).toBe(
    [
      "KEY      VALUE           VERSION  REVISION",
      `t/a      line 1\\nline 2  2        ${next + 1}`,
      `t/first  1               1        ${String(revision)}`,
      `t/n      42              1        ${next + 2}`,
      "",
    ].join("\n"),
  );
  expect(await shown("list", "", "--delimiter", "/", "--keys-only")).toBe("KEY\nt/\n");
  expect(await shown("del", "t/a")).toBe(`t/a is deleted: revision ${next + 3}\n`);
  expect(await shown("del", "t/a")).toBe("there was no key t/a\n");
  expect(await shown("del", "--all", "--yes")).toBe(`2 keys deleted: revision ${next + 4}\n`);
  expect(await shown("list")).toBe("");
  expect(await shown("status")).toMatch(/^ENDPOINT +NAME +ROLE +LEADER .*\n\S+ +n1 +leader +n1 /);
});

test("words for leases and transactions", async () => {
  const granted = await shown("lease", "grant", "90s");
  const [, id = ""] =
    /^lease (\d+) is granted: it ends in 90s unless renewed\n$/.exec(granted) ?? [];
  await site.run(["put", "t/leased", "v", "--lease", id]);
  expect(await shown("lease", "get", id)).toMatch(
    /^lease \d+ ends in \S+ of 90s\n {2}t\/leased\n$/,
  );
  expect(await shown("lease", "renew", id)).toMatch(/^lease \d+ is renewed: it ends in \S+\n$/);
  expect(await shown("lease", "revoke", id)).toBe(`lease ${id} is revoked; keys deleted: 1\n`);
  const { stdout } = await site.run(["txn"], { input: "{}", terminal: true });
  expect(stdout).toMatch(/^\{\n {2}"succeeded": true,\n/);
});

test("a line for each change", async () => {
  const { revision } = printed(await site.run(["put", "t/w", "\u001b[2J"]));
  await site.run(["del", "t/w"]);
  const since = ["--since", String(Number(revision) - 1)];
  const running = site.start(["watch", "t/w", ...since, "--prev"], { terminal: true });
  await running.printed("delete");
  running.signal("SIGINT");
  const { stdout } = await running.ended;
  const [put = "", gone = ""] = stdout.split("\n").map((line) => line.trim());
  expect(put).toBe(`${String(revision)}  put     t/w  \\u001b[2J  (it was not there)`);
  expect(gone).toBe(`${Number(revision) + 1}  delete  t/w  (it was \\u001b[2J)`);
});

describe("a question", () => {
  test.each([
    ["y\n", true],
    ["YES\n", true],
    ["n\n", false],
    ["\n", false],
    ["yesterday\n", false],
    ["", false],
  ])("answered by %j: %s", async (answer, expected) => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    input.end(answer);
    expect(await isConfirmed("Delete all 3 keys?", { input, output })).toBe(expected);
    expect(String(output.read())).toBe("Delete all 3 keys? [y/N] ");
  });
});
