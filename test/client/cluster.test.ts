/** Members and leadership by the client, on real nodes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../integration/until.ts";
import { clientOf, clusterAndClient, failureOf, urlsOf } from "./faces.ts";

let site: Awaited<ReturnType<typeof clusterAndClient>>;

beforeAll(async () => {
  site = await clusterAndClient();
});

afterAll(() => site.end());

test("status tells what the leader knows, whoever is asked", async () => {
  const { cluster } = site;
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();
  const client = clientOf({ endpoints: [follower?.url ?? ""] });
  const found = await until("the follower knows the leader's URL", async () => {
    const status = await client.cluster.status();
    return status.members.every(({ matched }) => matched !== null) && status;
  });
  expect(found).toMatchObject({ leader: leader.name, changing: false });
  const member = found.members.find(({ name }) => name === leader.name);
  expect(member).toMatchObject({ role: "voter", clientUrl: leader.url, lag: 0, keepsUp: true });
  expect((await client.cluster.members()).map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
});

test("members are added, demoted, promoted and removed, one by one and in one step", async () => {
  const { client, cluster } = site;
  const [follower] = await cluster.followers();
  const name = follower?.name ?? "";
  const n4 = { name: "n4", peerUrl: "http://10.0.0.4:5001", role: "learner" } as const;
  const roleOf = async (wanted: string) =>
    (await client.cluster.members()).find((member) => member.name === wanted)?.role;
  const added = await client.cluster.add(n4);
  expect(added.members.find((member) => member.name === "n4")).toMatchObject(n4);
  expect(await client.cluster.add(n4)).toMatchObject({
    configurationIndex: added.configurationIndex,
  });
  const elsewhere = { ...n4, peerUrl: "http://10.0.0.9:5001" };
  expect((await failureOf(client.cluster.add(elsewhere))).code).toBe("MEMBER_EXISTS");
  expect(await failureOf(client.cluster.promote("n4"))).toMatchObject({
    code: "UNSAFE_CHANGE",
    outcome: "not_applied",
    status: 409,
  });
  await client.cluster.demote(name);
  expect(await roleOf(name)).toBe("learner");
  await client.cluster.change({ promote: [name], remove: ["n4"] });
  expect(await roleOf(name)).toBe("voter");
  expect((await failureOf(client.cluster.remove("n4"))).code).toBe("MEMBER_NOT_FOUND");
  const peerUrl = "http://10.0.0.14:5001";
  await client.cluster.add(n4);
  const moved = await client.cluster.change({ move: [{ name: "n4", peerUrl }] });
  expect(moved.members.find((member) => member.name === "n4")?.peerUrl).toBe(peerUrl);
  await client.cluster.remove("n4");
});

test("leader and transfer", async () => {
  const { client, cluster } = site;
  const leader = await cluster.leader();
  expect(await client.cluster.leader()).toMatchObject({ leader: leader.name });
  const [follower] = await cluster.followers();
  const handed = await client.cluster.transfer(follower?.name);
  expect(handed).toMatchObject({ leader: follower?.name, clientUrl: follower?.url });
  const any = await client.cluster.transfer();
  expect(any.leader).not.toBe(follower?.name);
});

test("wrong names are a TypeError, before anything is sent", async () => {
  const { client } = site;
  await expect(client.cluster.remove("")).rejects.toThrow(TypeError);
});

test("MEMBER_REMOVED makes the client go on to another node", async () => {
  const { cluster } = site;
  const gone = cluster.member("n1");
  const others = urlsOf(cluster).filter((url) => url !== gone.url);
  const client = clientOf({ endpoints: [gone.url, ...others] });
  await client.cluster.remove("n1");
  await until("n1 knows", () => gone.process.messages("error").length > 0);
  const fresh = clientOf({ endpoints: [gone.url, ...others] });
  expect(await fresh.put("k", "v")).toMatchObject({ version: 1 });
  const alone = clientOf({ endpoints: [gone.url], timeoutMs: 1_000 });
  expect(await failureOf(alone.get("k"))).toMatchObject({ code: "MEMBER_REMOVED", status: 410 });
  for await (const event of fresh.watch({ key: "k", initial: true })) {
    if (event.type === "put") break;
  }
});
