/** `quorate watch` against three nodes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { printed } from "./run.ts";
import { Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await Site.start({ size: 3 });
}, 30_000);
afterAll(() => site.end());

/** Sets a key, and says at which revision. */
async function put(key: string, value: string, ...flags: string[]): Promise<number> {
  return Number(printed(await site.run(["put", key, value, ...flags]))["revision"]);
}

function lines(text: string): Record<string, unknown>[] {
  const whole = text.split("\n").slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("what is there first, then every change, until Ctrl-C: exit code 130", async () => {
  const revision = await put("w1/a", "1");
  const running = site.start(["watch", "--prefix", "w1/", "--initial", "--prev"]);
  await running.printed("synced");
  const next = await put("w1/a", "2");
  await site.run(["del", "w1/a"]);
  await running.printed("delete");
  running.signal("SIGINT");
  const { code, stdout, stderr } = await running.ended;
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  const first = { key: "w1/a", value: "1", version: 1, revision };
  const second = { key: "w1/a", value: "2", version: 2, revision: next };
  expect(lines(stdout)).toEqual([
    { event: "put", ...first, prev: null },
    { event: "synced", revision: expect.any(Number) as number },
    { event: "put", ...second, prev: first },
    { event: "delete", key: "w1/a", revision: next + 1, prev: second },
  ]);
});

test("one key, some kinds of events, and what came after a revision", async () => {
  const revision = await put("w2", "1", "--ttl", "500ms");
  await put("w2/other", "1");
  const since = ["--since", String(revision - 1)];
  const running = site.start(["watch", "w2", ...since, "--events", "delete,expire"]);
  await running.printed("expire");
  running.signal("SIGTERM");
  const { code, stdout } = await running.ended;
  expect(lines(stdout)).toMatchObject([{ event: "expire", key: "w2" }]);
  expect(code).toBe(143);
});

test("a program for each change, in order, with the change in its environment", async () => {
  const since = (await put("w3/a", "1")) - 1;
  const second = await put("w3/b", "x\ny");
  await site.run(["del", "w3/a"]);
  const script = 'echo "$QUORATE_EVENT $QUORATE_KEY=${QUORATE_VALUE-none} $QUORATE_REVISION"';
  const flags = ["--prefix", "w3/", "--since", String(since)];
  const running = site.start(["watch", ...flags, "--", "sh", "-c", script]);
  await running.printed("delete");
  running.signal("SIGINT");
  const { code, stdout } = await running.ended;
  expect(stdout).toBe(
    `put w3/a=1 ${since + 1}\nput w3/b=x\ny ${second}\ndelete w3/a=none ${second + 1}\n`,
  );
  expect(code).toBe(130);
});

test("the program's own quorate asks the same nodes", async () => {
  const revision = await put("w4", "seen");
  const flags = ["watch", "w4", "--since", String(revision - 1), "--", "sh", "-c"];
  const result = await site.run([...flags, 'echo "$QUORATE_ENDPOINTS"; exit 1']);
  expect(result.stdout).toBe(`${site.endpoints}\n`);
});

test("a program that fails ends it with its exit code, and it says how to go on", async () => {
  const revision = await put("w5", "1");
  const flags = ["watch", "w5", "--since", String(revision - 1), "--", "sh", "-c", "exit 7"];
  expect(await site.run(flags)).toEqual({
    code: 7,
    stdout: "",
    stderr: `quorate: the program ended with 7 for w5: go on with --since ${revision - 1}\n`,
  });
});

test("one that fails for a key that was there first has to be begun again", async () => {
  await put("w10/b", "1");
  const revision = await put("w10/a", "1");
  const flags = ["watch", "--prefix", "w10/", "--initial", "--", "sh", "-c"];
  // Keys come in their own order: b is older than a, and was not told yet.
  const first = await site.run([...flags, "exit 7"]);
  expect(first).toMatchObject({ code: 7 });
  const said = "quorate: the program ended with 7 for w10/a: begin again with --initial\n";
  expect(first.stderr).toBe(said);
  const script = 'test "$QUORATE_VALUE" = 1 && echo "$QUORATE_KEY"';
  const running = site.start([...flags, script]);
  await running.printed("w10/b");
  await put("w10/b", "2");
  const { code, stderr } = await running.ended;
  expect(stderr).toBe(
    `quorate: the program ended with 1 for w10/b: go on with --since ${revision}\n`,
  );
  expect(code).toBe(1);
});

test("a value that no environment can hold is left out, and that is said", async () => {
  const input = "x".repeat(200_000);
  const { revision } = printed(await site.run(["put", "w6", "-"], { input }));
  const script = 'echo "${QUORATE_VALUE-none}"; exit 1';
  const flags = ["watch", "w6", "--since", String(Number(revision) - 1), "--", "sh", "-c"];
  const { stdout, stderr } = await site.run([...flags, script]);
  expect(stdout).toBe("none\n");
  expect(stderr).toContain("quorate: QUORATE_VALUE cannot hold the value of w6\n");
});

test("a reader that has enough ends it quietly with the next change", async () => {
  await put("w7", "1");
  const running = site.start(["watch", "w7", "--initial"]);
  await running.printed("synced");
  running.closeOutput();
  await put("w7", "2");
  expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
});

test("no node is there: exit code 3", async () => {
  const flags = ["watch", "w8", "--timeout", "1s", "--endpoints", "http://127.0.0.1:1"];
  const { code, stderr } = await site.run(flags);
  expect(stderr).toContain("ECONNREFUSED");
  expect(code).toBe(3);
});

test("no change is missed or told twice when the node of the watch is killed", async () => {
  const [first] = site.cluster.members;
  await put("w9/0", "v");
  const running = site.start(["watch", "--prefix", "w9/", "--initial"]);
  await running.printed("synced");
  await put("w9/1", "v");
  await running.printed("w9/1");
  await first?.kill();
  for (const key of ["w9/2", "w9/3"]) await put(key, "v");
  await running.printed("w9/3");
  first?.start();
  await site.cluster.ready();
  running.signal("SIGINT");
  const { stdout } = await running.ended;
  const keys = lines(stdout).flatMap(({ key }) => (key === undefined ? [] : [key]));
  expect(keys).toEqual(["w9/0", "w9/1", "w9/2", "w9/3"]);
});
