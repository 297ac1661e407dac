/** A node that joins, or cannot: whoever looks at it is told why. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { call, keyUrl } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

/** When a node that waits says so, and some time for that. */
const TOLD_MS = 20_000;

async function alone(): Promise<{ cluster: Cluster; n1: Member }> {
  const cluster = await Cluster.start({ size: 1 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const [n1] = cluster.members;
  if (n1 === undefined) throw new Error("nobody");
  return { cluster, n1 };
}

async function namesAt({ url }: Member): Promise<readonly string[]> {
  const { body } = await call(`${url}/v1/cluster/members`);
  return (body["members"] as readonly { name: string }[]).map(({ name }) => name);
}

test("a taken --peer-listen is found before the node is a member", async () => {
  const { cluster, n1 } = await alone();
  const taken = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const n2 = await cluster.newcomer("n2", { "peer-listen": `127.0.0.1:${port}` });
  const process = n2.start();
  expect(await process.exited).toEqual({ code: 1, signal: null });
  expect(process.messages("fatal")).toEqual([
    `port ${port} of 127.0.0.1 is taken: end what listens there, or choose another --peer-listen`,
  ]);
  expect(await namesAt(n1)).toEqual(["n1"]);
});

test("who is let in nowhere says so again and again, and to its clients", async () => {
  const { cluster, n1 } = await alone();
  const [free = 0] = await freePorts(1);
  const nobody = `http://127.0.0.1:${free}`;
  const n2 = await cluster.newcomer("n2");
  const process = n2.start({ join: [nobody, n1.peerUrl, n2.url].join(",") });
  const isAsked = () => process.messages("info").some((line) => line.includes("this node itself"));
  await until("it has asked all of them", isAsked);
  const reply = await call(keyUrl(n2, "k"));
  expect(reply.status).toBe(503);
  const waiting = "waiting for a member to let this node join";
  expect(reply.body).toMatchObject({ code: "NOT_READY", error: waiting });
  const ready = await fetch(`${n2.url}/readyz?verbose`);
  expect(await ready.text()).toContain(`[-] started: ${waiting}\n`);
  const warning = await process.said(/^no member lets this node join: /, TOLD_MS);
  expect(warning).toContain(`${nobody}: it does not answer`);
  expect(warning).toContain(
    `${n1.peerUrl}: it answers 400; that is no client URL of a Quorate node (is it a peer URL?)`,
  );
  expect(warning).toContain(`${n2.url}: that is this node itself`);
  expect(process.messages("warn")).toEqual([warning]);
});

test("a member that the others cannot reach: the leader says so, and so does it", async () => {
  const { cluster, n1 } = await alone();
  const [free = 0] = await freePorts(1);
  const peerUrl = `http://127.0.0.1:${free}`;
  const n2 = await cluster.newcomer("n2", { "peer-url": peerUrl });
  n2.start();
  await n2.process.said(/^no leader has reached this node: can the others reach /, TOLD_MS);
  await n1.process.said(/^n2 has been silent for 10 s/, TOLD_MS);
  const toldAt = performance.now();
  await until("two more seconds go by", () => performance.now() > toldAt + 2_000);
  expect(n2.process.messages("warn")).toEqual([
    `no leader has reached this node: can the others reach ${peerUrl}?`,
  ]);
  expect(n1.process.messages("warn")).toEqual([
    `n2 has been silent for 10 s: is it running, and can it be reached from here at ${peerUrl}?`,
  ]);
});
