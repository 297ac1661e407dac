/** Locks whose holders pause, and whose nodes die (http-api.md, section 2, X7). */
import { afterEach, beforeEach, expect, test } from "vitest";
import { call, type Reply } from "./client.ts";
import { Cluster, type Member } from "./cluster.ts";
import { settled } from "./retry.ts";
import { until } from "./until.ts";

const URL = "/v1/locks/job";
const GUARDED = "/v1/kv/guarded";
/** Longer than any test waits. */
const LONG_S = 60;
/** Longer than a busy machine takes for a write, and soon over. */
const SHORT_S = 3;

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.start();
});
afterEach(() => cluster[Symbol.asyncDispose]());

interface Held {
  readonly token: number;
  readonly key: string;
}

interface Wish {
  readonly owner: string;
  readonly ttl: number;
  readonly wait?: number;
}

/** Takes the lock, through one node after another: whoever asks again keeps its place. */
async function take(nodes: readonly Member[], wish: Wish): Promise<Held> {
  const timeoutMs = LONG_S * 1_000;
  const reply = await settled(nodes, URL, { method: "POST", body: wish, timeoutMs });
  expect(reply).toMatchObject({ status: 200, body: { owner: wish.owner } });
  return { token: Number(reply.body["token"]), key: String(reply.body["key"]) };
}

function release(nodes: readonly Member[], token: number): Promise<Reply> {
  return settled(nodes, `${URL}?token=${token}`, { method: "DELETE" });
}

async function lockState(): Promise<Reply["body"]> {
  return (await settled(cluster.running, URL)).body;
}

/** A write that is only done while the lock is held, as the documentation shows it. */
function guardedWrite(member: Member, { key, token }: Held, value: string): Promise<Reply> {
  const body = {
    compare: [{ key, create_revision: token }],
    success: [{ put: { key: "guarded", value } }],
  };
  return call(`${member.url}/v1/txn?fail=409`, { method: "POST", body });
}

test("the guarded write of a holder that paused past its ttl is refused (X7)", async () => {
  const [first, second] = cluster.members as [Member, Member];
  const paused = await take([first], { owner: "a", ttl: SHORT_S });
  expect(await guardedWrite(first, paused, "a")).toMatchObject({ status: 200 });

  // It does not renew. Another has waited, and takes the lock as soon as the ttl is over.
  const held = await take([second], { owner: "b", ttl: LONG_S, wait: 20 });
  expect(held.token).toBeGreaterThan(paused.token);
  expect(await guardedWrite(second, held, "b")).toMatchObject({ status: 200 });

  for (const member of cluster.members) {
    const late = await guardedWrite(member, paused, "a, late");
    expect(late).toMatchObject({ status: 409, body: { code: "TXN_FAILED" } });
    const renewal = { method: "PUT", body: { token: paused.token, ttl: LONG_S } } as const;
    const refused = { status: 409, body: { code: "LOCK_HELD" } };
    expect(await call(member.url + URL, renewal)).toMatchObject(refused);
    const found = { status: 200, body: { value: "b", version: 2 } };
    expect(await call(member.url + GUARDED)).toMatchObject(found);
  }
});

test("only the holder's own token gives the lock back, through any node (section 2)", async () => {
  const lost = await take(cluster.members, { owner: "a", ttl: LONG_S });
  expect(await release(cluster.members, lost.token)).toMatchObject({ body: { released: true } });
  const held = await take(cluster.members, { owner: "b", ttl: LONG_S });
  for (const member of cluster.members) {
    for (const token of [lost.token, held.token + 1, 1]) {
      expect(await release([member], token)).toMatchObject({ body: { released: false } });
    }
    const taken = await call(member.url + URL, { method: "POST", body: { owner: "c", ttl: 1 } });
    expect(taken).toMatchObject({ status: 409, body: { code: "LOCK_HELD" } });
    expect(await lockState()).toMatchObject({ holder: { owner: "b", token: held.token } });
  }
  expect(await release(cluster.members, held.token)).toMatchObject({ body: { released: true } });
  expect(await lockState()).toMatchObject({ holder: null });
});

test("who waits is served in the order of arrival, over a leader's death (X7)", async () => {
  const leader = await cluster.leader();
  const survivors = await cluster.followers();
  const owners = ["delta", "alpha", "echo", "bravo", "charlie"];
  const first = await take(survivors, { owner: "first", ttl: LONG_S });
  const served: string[] = [];
  const tokens = [first.token];
  const waits = owners.map(async (owner, at) => {
    const isNext = async () => (await lockState())["waiting"] === at;
    await until(`it is the turn of ${owner} to come`, isNext, 30_000);
    // Every third waits at the leader. Its connection breaks, and it comes again elsewhere.
    const nodes = at % 3 === 0 ? [leader, ...survivors] : survivors;
    // The fourth dies with the lock: nobody renews it, and nobody gives it back.
    const dies = owner === "bravo";
    const held = await take(nodes, { owner, ttl: dies ? SHORT_S : LONG_S, wait: 30 });
    served.push(owner);
    tokens.push(held.token);
    expect(await guardedWrite(survivors[0] as Member, held, owner)).toMatchObject({ status: 200 });
    if (!dies) await release(survivors, held.token);
  });
  await until("all wait", async () => (await lockState())["waiting"] === 5, 30_000);

  await leader.process.kill();
  await release(survivors, first.token);
  await Promise.all(waits);
  expect(served).toEqual(owners);
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
  expect(new Set(tokens).size).toBe(6);
  expect(await lockState()).toMatchObject({ holder: null, waiting: 0 });
  const guarded = await settled(survivors, GUARDED);
  expect(guarded.body).toMatchObject({ value: "charlie", version: 5 });
});
