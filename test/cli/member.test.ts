/** `quorate member …` and `quorate leader` against real nodes. */
import { expect, onTestFinished, test } from "vitest";
import { until } from "../integration/until.ts";
import { documents, printed, type Result } from "./run.ts";
import { Site } from "./site.ts";

async function start(size: number): Promise<Site> {
  const site = await Site.start({ size });
  onTestFinished(() => site.end());
  return site;
}

/** The rows of a table, by their first column. */
function rowsIn({ stdout }: Result): ReadonlyMap<string, string> {
  const lines = stdout.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.split(/\s+/)[0] ?? "", line]));
}

test("list shows who is a member, and how far; add, promote, demote, move and remove", async () => {
  const site = await start(1);
  const url = "http://10.0.0.4:5001";
  const added = await site.run(["member", "add", "n4", url, "--learner"], { terminal: true });
  expect(added).toMatchObject({ code: 0, stdout: "n4 is announced: start it with --join\n" });
  const again = await site.run(["member", "add", "n4", "http://10.0.0.5:5001"]);
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/^quorate: MEMBER_EXISTS: n4 is a member already/);

  const [n1, n4] = documents(await site.run(["member", "list"]));
  expect(n1).toMatchObject({ name: "n1", role: "voter", leads: true, lag: 0, keeps_up: true });
  expect(n4).toMatchObject({ name: "n4", role: "learner", leads: false, peer_url: url });
  const table = await site.run(["member", "list"], { terminal: true });
  expect(rowsIn(table).get("NAME")).toMatch(
    /^NAME +ROLE +LEADS +LAG +HEARD +PEER_URL +CLIENT_URL$/,
  );
  expect(rowsIn(table).get("n1")).toMatch(/^n1 +voter +yes +0 +0 ms ago +http.* +http/);

  const early = await site.run(["member", "promote", "n4"]);
  expect(early.code).toBe(3);
  expect(early.stderr).toMatch(
    /UNSAFE_CHANGE: n4 must catch up before voting.*member list how far/,
  );
  const alone = await site.run(["member", "demote", "n1"]);
  expect(alone.stderr).toContain("no voter would be left");
  const moved = await site.run(["member", "move", "n4", "http://10.0.0.6:5001"]);
  expect(printed(moved)).toEqual({ voters: ["n1"], learners: ["n4"] });
  expect((await site.run(["member", "list"])).stdout).toContain("http://10.0.0.6:5001");
  const removed = await site.run(["member", "remove", "n4"]);
  expect(printed(removed)).toEqual({ voters: ["n1"], learners: [] });
  const gone = await site.run(["member", "remove", "n4"]);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toMatch(/MEMBER_NOT_FOUND: n4 is no member; look with quorate member list/);
});

test("replace waits until the new member keeps up, and says what it waits for", async () => {
  const site = await start(1);
  const { cluster } = site;
  const n4 = await cluster.newcomer("n4");
  const unknown = await site.run(["member", "replace", "n1", "n4"]);
  expect(unknown).toMatchObject({ code: 1, stdout: "" });
  expect(unknown.stderr).toContain("n4 is no member: start it with --join");
  await site.run(["member", "add", "n4", n4.peerUrl, "--learner"]);
  const replacing = site.start(["member", "replace", "n1", "n4"], { terminal: true });
  await until("it says what it waits for", () => /to be started/.test(replacing.stderr), 15_000);
  n4.start();
  const { code, stdout } = await replacing.ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: "n4 has replaced n1\n" });
  const left = await until("n4 leads", async () => {
    const result = await site.run(["member", "list"]);
    return result.code === 0 && /"leads":true/.test(result.stdout) && result;
  });
  expect(documents(left)).toMatchObject([{ name: "n4", role: "voter", leads: true }]);
});

test("leader shows who leads, and hands over", async () => {
  const site = await start(3);
  const { name, url } = await site.cluster.leader();
  const shown = printed(await site.run(["leader"]));
  expect(shown).toMatchObject({ leader: name, client_url: url });
  const [target] = await site.cluster.followers();
  const to = target?.name ?? "";
  const handed = await site.run(["leader", "transfer", to], { terminal: true });
  expect(handed.stdout).toMatch(new RegExp(`^${to} leads now, in term \\d+\n$`));
  const any = printed(await site.run(["leader", "transfer"]));
  expect(any["leader"]).not.toBe(to);
  const nobody = await site.run(["leader", "transfer", "n9"]);
  expect(nobody).toMatchObject({ code: 1 });
  expect(nobody.stderr).toContain("MEMBER_NOT_FOUND: n9 is no member");
});

test("a node that was removed answers nobody: the client goes on to the others", async () => {
  const site = await start(3);
  const { cluster } = site;
  const gone = cluster.member("n1");
  printed(await site.run(["member", "remove", "n1"]));
  await until("n1 knows", () => gone.process.messages("error").length > 0);
  const set = printed(await site.run(["put", "color", "blue"]));
  expect(set).toMatchObject({ value: "blue" });
  const { stdout } = await site.run(["status"]);
  const roles = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).role as string);
  expect(roles.sort()).toEqual(["follower", "leader", "removed"]);
});
