/** Who waits for a lock is woken by its row, and by nothing else (http-api.md, section 2). */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HeldLock } from "../../src/service/locks.ts";
import { TXN_LENGTH_MAX } from "../../src/kv/operation.ts";
import { ROW_MAX } from "../../src/service/lock-rows.ts";
import { keyFor, Lab, type LabNode, type LabOptions, putOf } from "./lab.ts";

const TIMEOUT_MS = 5_000;
const LONG_MS = 30_000;
/** Much longer than anything takes here. */
const PATIENCE_MS = 10_000;
/** To look at all keys each time would be some seconds. */
const LOOKS_MS_MAX = 500;

let lab: Lab;
afterEach(() => lab.close());

interface Wish {
  readonly owner: string;
  readonly ttlMs?: number;
  readonly waitMs?: number;
}

function take(node: LabNode, { owner, ttlMs = LONG_MS, waitMs = 0 }: Wish): Promise<HeldLock> {
  const about = { name: "job", timeoutMs: TIMEOUT_MS, idempotencyKey: null };
  const wish = { ...about, owner, ttlMs, waitMs };
  return node.service.locks.acquire(wish, new AbortController().signal);
}

async function release(node: LabNode, { token }: HeldLock): Promise<boolean> {
  const wish = { name: "job", token, timeoutMs: TIMEOUT_MS, idempotencyKey: null };
  return (await node.service.locks.release(wish)).released;
}

async function waiting(node: LabNode): Promise<number> {
  return (await node.service.lockState("job", TIMEOUT_MS)).waiting;
}

/** One by one, so that each is a change of its own. */
async function write(node: LabNode, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await node.service.write(putOf("other", "v"), TIMEOUT_MS);
}

test("500 who wait for a lock cost the writes elsewhere nothing", async () => {
  lab = await Lab.start(["n1"]);
  const node = await lab.leader();
  const held = await take(node, { owner: "first" });
  const owners = Array.from({ length: 500 }, (_, at) => `owner-${at}`);
  const order: string[] = [];
  const waits = Promise.allSettled(
    owners.map(async (owner) => {
      const own = await take(node, { owner, waitMs: LONG_MS });
      order.push(owner);
      await release(node, own);
    }),
  );
  await vi.waitFor(async () => expect(await waiting(node)).toBe(500), PATIENCE_MS);

  const scan = vi.spyOn(node.store, "oldestBetween");
  const blocked = performance.eventLoopUtilization();
  for (let round = 0; round < 200; round++) {
    const puts = Array.from({ length: 50 }, (_, at) => putOf(`other-${at}`, "v"));
    await Promise.all(puts.map((put) => node.service.write(put, TIMEOUT_MS)));
    expect(scan).not.toHaveBeenCalled();
  }
  // With the writes themselves. If each round looked at all who wait, it were a minute.
  expect(performance.eventLoopUtilization(blocked).active).toBeLessThan(20_000);

  await release(node, held);
  await waits;
  expect(order).toEqual(owners);
}, 60_000);

describe("a row with more keys than want the lock, as anybody can put them there", () => {
  let node: LabNode;
  beforeEach(async () => {
    lab = await Lab.start(["n1"]);
    node = await lab.leader();
  });

  async function fill(keys: number): Promise<void> {
    for (let at = 0; at < keys; at += TXN_LENGTH_MAX) {
      const count = Math.min(TXN_LENGTH_MAX, keys - at);
      const success = Array.from({ length: count }, (_, i) => ({
        type: "put" as const,
        key: keyFor(`locks/job/${at + i}`),
        value: new Uint8Array(),
        lease: { kind: "none" } as const,
        returnPrevious: false,
      }));
      await node.service.write({ type: "txn", compares: [], success, failure: [] }, TIMEOUT_MS);
    }
  }

  test("nobody else enters, and who holds the lock goes on", async () => {
    const held = await take(node, { owner: "first" });
    await fill(ROW_MAX - 1);
    const refused = { code: "OVERLOADED", outcome: "not_applied" };
    await expect(take(node, { owner: "late", waitMs: LONG_MS })).rejects.toMatchObject(refused);
    expect(await take(node, { owner: "first" })).toMatchObject({ token: held.token });
    expect(await waiting(node)).toBe(ROW_MAX - 1);
    expect(await release(node, held)).toBe(true);
  });

  test("its keys are not all looked at, and who asks is told so at once", async () => {
    await fill(40_000);
    const before = process.threadCpuUsage();
    for (let times = 0; times < 20; times++) {
      const refused = { code: "OVERLOADED", outcome: "not_applied" };
      await expect(take(node, { owner: "late", waitMs: LONG_MS })).rejects.toMatchObject(refused);
      await expect(waiting(node)).rejects.toMatchObject(refused);
    }
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(LOOKS_MS_MAX);
  });
});

describe("who waits is woken", () => {
  const waitMs = LONG_MS;

  test("by a release on another node", async () => {
    lab = await Lab.start(["n1", "n2", "n3"]);
    const leader = await lab.leader();
    const follower = await lab.follower();
    const held = await take(leader, { owner: "a" });
    const wait = take(follower, { owner: "b", waitMs });
    await vi.waitFor(async () => expect(await waiting(leader)).toBe(1), PATIENCE_MS);
    await release(leader, held);
    expect(await wait).toMatchObject({ owner: "b" });
  });

  test("by the end of the holder's time", async () => {
    lab = await Lab.start(["n1", "n2", "n3"]);
    const held = await take(await lab.leader(), { owner: "a", ttlMs: 200 });
    const follower = await lab.follower();
    const { token } = await take(follower, { owner: "b", waitMs });
    expect(token).toBeGreaterThan(held.token);
  });

  test("when its own place is gone: it stands in the row again, as the last", async () => {
    lab = await Lab.start(["n1"]);
    const node = await lab.leader();
    const held = await take(node, { owner: "a" });
    const order: string[] = [];
    const waits: Promise<void>[] = [];
    for (const [at, owner] of ["b", "c"].entries()) {
      const served = async () => {
        const own = await take(node, { owner, waitMs });
        order.push(owner);
        await release(node, own);
      };
      waits.push(served());
      await vi.waitFor(async () => expect(await waiting(node)).toBe(at + 1), PATIENCE_MS);
    }
    const { key } = putOf("locks/job/b", "");
    const removal = { type: "delete", key, conditions: [], returnPrevious: false } as const;
    await node.service.write(removal, TIMEOUT_MS);
    await vi.waitFor(async () => expect(await waiting(node)).toBe(2), PATIENCE_MS);
    await release(node, held);
    await Promise.all(waits);
    expect(order).toEqual(["c", "b"]);
  });

  describe("by a snapshot that this node installs", () => {
    let leader: LabNode;
    let follower: LabNode;
    const options: LabOptions = { snapshotEntries: 20 };

    beforeEach(async () => {
      lab = await Lab.start(["n1", "n2", "n3"], options);
      leader = await lab.leader();
      follower = await lab.follower();
    });

    test.each([{ forgets: false }, { forgets: true }])(
      "history forgotten: $forgets",
      async ({ forgets }) => {
        const held = await take(leader, { owner: "a" });
        const wait = take(follower, { owner: "b", waitMs });
        await vi.waitFor(async () => expect(await waiting(leader)).toBe(1), PATIENCE_MS);
        const missed = follower.node.status().applied;
        lab.isLost = ({ to, type }) => to === follower.id && type === "append";
        await release(leader, held);
        await write(leader, 2);
        const { revision } = leader.store;
        if (forgets) await leader.service.write({ type: "compact", revision }, TIMEOUT_MS);
        await write(leader, 50);
        await vi.waitFor(() => expect(leader.node.status().firstIndex).toBeGreaterThan(missed + 1));
        lab.isLost = () => false;
        expect(await wait).toMatchObject({ owner: "b" });
      },
    );
  });
});
