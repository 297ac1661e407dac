/** Leases and locks through the client (section 6 of the HTTP API; reliability: X7, X8). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Lock, QuorateClient } from "../../src/client/index.ts";
import { until } from "../integration/until.ts";
import {
  behindProxy,
  begun,
  clientOf,
  clusterAndClient,
  failureOf,
  take,
  urlsOf,
} from "./faces.ts";

let site: Awaited<ReturnType<typeof clusterAndClient>>;
let client: QuorateClient;
let count = 0;
let name: string;

beforeAll(async () => {
  site = await clusterAndClient();
  ({ client } = site);
});

beforeEach(() => {
  name = `l${++count}`;
});

afterAll(() => site.end());

async function hasPassed(ms: number): Promise<void> {
  const end = performance.now() + ms;
  await until("time passes", () => performance.now() > end, 2 * ms + 1_000);
}

/** When it is aborted, by `performance.now()`. */
function abortOf({ signal }: Lock): Promise<number> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(performance.now()));
  });
}

describe("leases", () => {
  test("hold keys while they are kept alive, and take them along when they end", async () => {
    const lease = await client.leases.grant(2_000);
    await client.put(name, "v", { lease: lease.id });
    expect(await client.get(name)).toMatchObject({ lease: lease.id });
    const stop = new AbortController();
    const kept = lease.keepAlive(stop.signal);
    await hasPassed(3_500);
    expect(await lease.get()).toMatchObject({ id: lease.id, ttlMs: 2_000, keys: [name] });
    stop.abort();
    await kept;
    await until("its key is gone", async () => (await client.get(name)) === null);
    expect(await failureOf(lease.renew())).toMatchObject({ code: "LEASE_NOT_FOUND" });
  });

  test("are found by their id, and revoked, which ends the keeping", async () => {
    const { id } = await client.leases.grant(2_000);
    const lease = await client.leases.find(id);
    expect(lease.ttlMs).toBe(2_000);
    const keeping = failureOf(lease.keepAlive(new AbortController().signal));
    expect(await lease.renew()).toMatchObject({ id, ttlMs: 2_000 });
    await client.put(name, "v", { lease: id });
    expect(await lease.revoke()).toMatchObject({ deleted: 1 });
    expect(await keeping).toMatchObject({ code: "LEASE_NOT_FOUND" });
    expect(await failureOf(client.leases.find(id))).toMatchObject({ code: "LEASE_NOT_FOUND" });
  });

  test("are kept from any moment on by who found them, until that is given up", async () => {
    const { id } = await client.leases.grant(2_000);
    const lease = await client.leases.find(id);
    const stop = new AbortController();
    const kept = lease.keepAlive(stop.signal);
    stop.abort(); // Amid the first renewal.
    await kept;
    await lease.revoke();
  });

  test("that were found are renewed in several attempts, and then called lost", async () => {
    const { proxy, endpoint } = await behindProxy(site.cluster.members[0]);
    const cutOff = clientOf({ endpoints: [endpoint], timeoutMs: 10_000 });
    const granted = await client.leases.grant(2_000);
    const lease = await cutOff.leases.find(granted.id);
    proxy.loseRequests("");
    const called = performance.now();
    const never = new AbortController().signal;
    expect(await failureOf(lease.keepAlive(never))).toMatchObject({ code: "LEASE_LOST" });
    expect(performance.now() - called).toBeLessThan(2_000 + 500);
  });

  test("X8: are called lost before the cluster ends them, when nobody can be reached", async () => {
    const { proxy, endpoint } = await behindProxy(site.cluster.members[0]);
    const cutOff = clientOf({ endpoints: [endpoint] });
    const lease = await cutOff.leases.grant(2_000);
    await client.put(name, "v", { lease: lease.id });
    const events = client.watch({ key: name, events: ["expire"] });
    await begun(events);
    const expiredAt = take(events, 1).then(() => performance.now());
    const lost = failureOf(lease.keepAlive(new AbortController().signal));
    proxy.loseRequests("");
    expect(await lost).toMatchObject({ code: "LEASE_LOST" });
    const lostAt = performance.now();
    expect(await expiredAt).toBeGreaterThan(lostAt);
    await events.return?.();
  });
});

describe("locks", () => {
  test("one holds it, others are told, and tokens grow", async () => {
    const first = await client.lock(name, { owner: "me", ttlMs: 5_000 });
    // The same name makes it no better.
    const refused = await failureOf(client.lock(name, { owner: "me", ttlMs: 5_000 }));
    expect(refused).toMatchObject({ code: "LOCK_HELD", outcome: "not_applied" });
    expect(refused.details["owner"]).toMatch(/^me /);
    const waiting = client.lock(name, { ttlMs: 5_000, waitMs: 10_000 });
    await first.release();
    const second = await waiting;
    expect(second.token).toBeGreaterThan(first.token);
    expect(second.signal.aborted).toBe(false);
    await second.release();
    await second.release();
  });

  test("is held for the time of the work, and given back whatever comes of it", async () => {
    const options = { ttlMs: 5_000, waitMs: 10_000 };
    let inside = 0;
    const work = async () => {
      inside += 1;
      expect(inside).toBe(1);
      await client.put(name, "v");
      inside -= 1;
      return "done";
    };
    const all = [1, 2, 3, 4].map(() => client.withLock(name, options, work));
    expect(await Promise.all(all)).toEqual(["done", "done", "done", "done"]);
    const failing = () => Promise.reject(new Error("no luck"));
    await expect(client.withLock(name, options, failing)).rejects.toThrow("no luck");
    const lock = await client.lock(name);
    await lock[Symbol.asyncDispose]();
    const again = await client.lock(name);
    expect(again.token).toBeGreaterThan(lock.token);
    await again.release();
  });

  test("is renewed for longer than its time, also while a leader dies", async () => {
    const { cluster } = site;
    const lock = await client.lock(name, { ttlMs: 3_000 });
    const leader = await cluster.leader();
    await leader.kill();
    await hasPassed(6_000);
    expect(lock.signal.aborted).toBe(false);
    const refused = await failureOf(client.lock(name, { ttlMs: 3_000 }));
    expect(refused).toMatchObject({ code: "LOCK_HELD", details: { token: lock.token } });
    await lock.release();
    leader.start();
    await cluster.ready();
  });

  test("a wait goes on elsewhere when its node dies", async () => {
    const { cluster } = site;
    const [follower] = await cluster.followers();
    if (follower === undefined) throw new Error("no followers");
    const others = urlsOf(cluster).filter((url) => url !== follower.url);
    const waiter = clientOf({ endpoints: [follower.url, ...others] });
    const held = await client.lock(name, { ttlMs: 5_000 });
    const waiting = waiter.lock(name, { ttlMs: 5_000, waitMs: 30_000 });
    const wishes = async () => {
      const { items } = await client.list({ prefix: `locks/${name}/` });
      return items.map(({ value }) => value);
    };
    await until("another one waits", async () => (await wishes()).length === 2);
    const before = await wishes();
    await follower.kill();
    await until("its wish is cleared away, and made anew", async () => {
      const now = await wishes();
      return now.length === 2 && now.join() !== before.join();
    });
    await held.release();
    const lock = await waiting;
    expect(lock.token).toBeGreaterThan(held.token);
    await lock.release();
    follower.start();
    await cluster.ready();
  });

  test("a wait that its signal ends leaves nothing behind", async () => {
    const held = await client.lock(name, { ttlMs: 5_000 });
    const stop = new AbortController();
    const reason = new Error("enough");
    const waiting = client.lock(name, { ttlMs: 1_000, waitMs: 1_000, signal: stop.signal });
    const found = { prefix: `locks/${name}/` };
    await until("another one waits", async () => (await client.count(found)) === 2);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await until("only the holder is left", async () => (await client.count(found)) === 1);
    await held.release();
  });
});

test("X7: a lock whose answer was lost is given up, however long its name is", async () => {
  const { proxy, endpoint } = await behindProxy(site.cluster.members[0]);
  const deaf = clientOf({ endpoints: [endpoint], timeoutMs: 1_000 });
  const long = `${name}${"é".repeat(400)}`;
  expect(await deaf.get(name)).toBeNull();
  proxy.loseAnswers("");
  const lost = await failureOf(deaf.lock(long, { ttlMs: 60_000 }));
  expect(lost).toMatchObject({ code: "NO_ANSWER", outcome: "unknown" });
  const next = await client.lock(long, { waitMs: 10_000 });
  await next.release();
});

describe("X7: a holder that cannot renew is told before another one gets the lock", () => {
  async function lostInTime(holder: QuorateClient, breakOff: () => void): Promise<Lock> {
    const lock = await holder.lock(name, { ttlMs: 3_000 });
    const aborted = abortOf(lock);
    await hasPassed(4_000); // It was renewed.
    expect(lock.signal.aborted).toBe(false);
    breakOff();
    const next = await client.lock(name, { ttlMs: 5_000, waitMs: 20_000 });
    const gotAt = performance.now();
    expect(lock.signal.aborted).toBe(true);
    expect(await aborted).toBeLessThan(gotAt);
    expect(lock.signal.reason).toMatchObject({ code: "LOCK_LOST" });
    // What it sends nevertheless is refused, where it names the token.
    const { guard } = lock;
    const write = [{ put: { key: `${name}/guarded`, value: "late" } }];
    expect(await client.txn({ compare: [guard], success: write })).toMatchObject({
      succeeded: false,
    });
    const guarded = { compare: [next.guard], success: write };
    expect(await client.txn(guarded)).toMatchObject({ succeeded: true });
    await next.release();
    return lock;
  }

  test("because its requests are lost", async () => {
    const { proxy, endpoint } = await behindProxy(site.cluster.members[0]);
    const holder = clientOf({ endpoints: [endpoint] });
    await lostInTime(holder, () => proxy.loseRequests(""));
  });

  test("because the node that it talks to stands still, and that leads", async () => {
    const leader = await site.cluster.leader();
    const endpoints = urlsOf(site.cluster).filter((url) => url !== leader.url);
    const before = client;
    client = new QuorateClient({ endpoints, timeoutMs: 10_000 });
    const holder = clientOf({ endpoints: [leader.url] });
    await lostInTime(holder, () => leader.process.signal("SIGSTOP"));
    leader.process.signal("SIGCONT");
    await client.close();
    client = before;
    await site.cluster.ready();
  });

  /** Nothing else happens in this process meanwhile. */
  function standStill(ms: number): void {
    for (const end = performance.now() + ms; performance.now() < end; );
  }

  test("because its process stood still, and no timer could tell", async () => {
    const lock = await client.lock(name, { ttlMs: 1_000 });
    lock.throwIfLost();
    standStill(1_500);
    expect(lock.signal.aborted).toBe(false); // That is the point.
    expect(() => lock.throwIfLost()).toThrow(/may be lost/);
    expect(lock.signal.reason).toMatchObject({ code: "LOCK_LOST" });
    await lock.release();
    const working = client.withLock(name, { ttlMs: 1_000, waitMs: 5_000 }, () => standStill(1_500));
    expect(await failureOf(working)).toMatchObject({ code: "LOCK_LOST", outcome: "unknown" });
    // One that was given back in time was not lost.
    const early = await client.withLock(name, { ttlMs: 1_000, waitMs: 5_000 }, async (held) => {
      await held.release();
      standStill(1_500);
      return "done";
    });
    expect(early).toBe("done");
  });

  test("and work done under it meanwhile is rejected", async () => {
    const { proxy, endpoint } = await behindProxy(site.cluster.members[0]);
    const holder = clientOf({ endpoints: [endpoint] });
    const work = async (lock: Lock) => {
      proxy.loseRequests("");
      await abortOf(lock);
    };
    const error = await failureOf(holder.withLock(name, { ttlMs: 1_500 }, work));
    expect(error).toMatchObject({ code: "LOCK_LOST", outcome: "unknown" });
  });
});
