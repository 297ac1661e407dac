/** Reads on any node: how new what they see must be. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { ServiceError } from "../../src/service/errors.ts";
import { failure, keyFor, Lab, type LabNode, linearizable, putOf, stale } from "./lab.ts";

const TIMEOUT_MS = 5_000;
let lab: Lab;

async function start(): Promise<void> {
  lab = await Lab.start(["n1", "n2", "n3"]);
}

afterEach(async () => {
  await lab.close();
});

async function read(node: LabNode, options: Parameters<LabNode["service"]["get"]>[1]) {
  const { found, ...rest } = await node.service.get(keyFor("k"), options);
  return { ...rest, value: found === null ? null : Buffer.from(found.value).toString() };
}

async function errorOf(request: Promise<unknown>) {
  const { code, outcome, details } = (await failure(request)) as ServiceError;
  return { code, outcome, details };
}

describe("linearizable", () => {
  test("every node sees a write that was acknowledged by any other", async () => {
    await start();
    await lab.leader();
    for (let round = 0; round < 5; round++) {
      for (const writer of lab.nodes) {
        const value = `${writer.id}-${round}`;
        await writer.service.write(putOf("k", value), TIMEOUT_MS);
        const seen = await Promise.all(lab.nodes.map((node) => read(node, linearizable())));
        expect(seen.map((reading) => reading.value)).toEqual([value, value, value]);
      }
    }
  });

  test("reads of a follower share calls, but none that is already sent", async () => {
    await start();
    const follower = await lab.follower();
    lab.calls.length = 0;
    const releases: (() => void)[] = [];
    lab.onCall = () =>
      new Promise((resolve) => {
        releases.push(resolve);
      });
    const first = read(follower, linearizable());
    await vi.waitFor(() => expect(releases).toHaveLength(1));
    const later = Array.from({ length: 20 }, () => read(follower, linearizable()));
    const isSettled = vi.fn();
    for (const reading of later) void reading.then(isSettled);
    releases[0]?.();
    await first;
    await vi.waitFor(() => expect(releases).toHaveLength(2));
    expect(isSettled).not.toHaveBeenCalled();
    releases[1]?.();
    await Promise.all(later);
    expect(lab.calls.map(({ type }) => type)).toEqual(["readIndex", "readIndex"]);
  });

  test("a deposed leader does not answer from its own state (R1)", async () => {
    await start();
    const old = await lab.leader();
    await old.service.write(putOf("k", "old"), TIMEOUT_MS);
    lab.cut(old.id);
    const isRead = read(old, linearizable(10_000));
    const next = await lab.leader();
    await next.service.write(putOf("k", "new"), TIMEOUT_MS);
    lab.heal();
    expect((await isRead).value).toBe("new");
  });

  test("without a leader a read waits, then says so", async () => {
    await start();
    const follower = await lab.follower();
    for (const { id } of lab.nodes) lab.cut(id);
    await vi.waitFor(() => expect(follower.service.leadership.leader).toBeNull(), TIMEOUT_MS);
    expect(await errorOf(read(follower, linearizable(100)))).toMatchObject({
      code: "NO_LEADER",
      outcome: "not_applied",
    });
    const waiting = read(follower, linearizable(10_000));
    lab.heal();
    expect((await waiting).value).toBeNull();
  });

  test("a leader that does not answer: the read ends at its deadline", async () => {
    await start();
    const follower = await lab.follower();
    lab.onCall = () => new Promise(() => {});
    const began = performance.now();
    const error = await errorOf(read(follower, linearizable(100)));
    expect(error).toMatchObject({ code: "READ_TIMEOUT", outcome: "not_applied" });
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe("stale", () => {
  test("answers at once from the node's own state, whoever leads", async () => {
    await start();
    const old = await lab.leader();
    await old.service.write(putOf("k", "old"), TIMEOUT_MS);
    lab.cut(old.id);
    const next = await lab.leader();
    await next.service.write(putOf("k", "new"), TIMEOUT_MS);
    expect((await read(old, stale())).value).toBe("old");
    const { value, lastContactMs } = await read(next, stale());
    expect(value).toBe("new");
    // A leader is as fresh as its quorum.
    expect(lastContactMs).toBeLessThan(1_000);
  });

  test("is refused when the leader was last heard too long ago", async () => {
    await start();
    const follower = await lab.follower();
    expect((await read(follower, stale(1_000))).lastContactMs).toBeLessThan(1_000);
    lab.cut(follower.id);
    await vi.waitFor(async () => {
      expect(await errorOf(read(follower, stale(100)))).toMatchObject({ code: "TOO_STALE" });
    }, TIMEOUT_MS);
    expect((await read(follower, stale())).lastContactMs ?? 1_000).toBeGreaterThan(100);
    lab.heal();
    await vi.waitFor(() => read(follower, stale(100)), TIMEOUT_MS);
  });

  test("with a revision to wait for, sees what was written elsewhere", async () => {
    await start();
    await lab.leader();
    for (let round = 0; round < 20; round++) {
      const writer = must(lab.nodes[round % 3], "a node");
      const reader = must(lab.nodes[(round + 1) % 3], "a node");
      const { revision } = await writer.service.write(putOf("k", String(round)), TIMEOUT_MS);
      const reading = await read(reader, { ...stale(), minRevision: revision });
      expect(reading.value).toBe(String(round));
      expect(reading.storeRevision).toBeGreaterThanOrEqual(revision);
    }
  });

  test("a revision that does not come is waited for until the deadline", async () => {
    await start();
    const leader = await lab.leader();
    const options = { ...stale(), minRevision: 3, timeoutMs: 100 };
    expect(await errorOf(read(leader, options))).toEqual({
      code: "REVISION_NOT_REACHED",
      outcome: "not_applied",
      details: { current: 1 },
    });
    const waiting = read(leader, { ...options, timeoutMs: TIMEOUT_MS });
    await leader.service.write(putOf("k", "1"), TIMEOUT_MS);
    await leader.service.write(putOf("k", "2"), TIMEOUT_MS);
    expect((await waiting).value).toBe("2");
  });
});

describe("the past", () => {
  test("is read at its revision, as long as it is kept", async () => {
    lab = await Lab.start(["n1"], {
      limits: { retention: { ageMs: 3_600_000, bytesMax: 10_000 } },
    });
    const { service, store } = await lab.leader();
    for (let at = 1; at <= 100; at++) await service.write(putOf("k", `v${at}`), TIMEOUT_MS);
    const key = keyFor("k");
    const { found } = await service.getAt(key, 50, linearizable());
    expect(found).toMatchObject({ version: 49, modRevision: 50 });
    expect(await errorOf(service.getAt(key, 102, linearizable()))).toMatchObject({
      code: "REVISION_IN_FUTURE",
      details: { current: 101 },
    });
    // The history is larger than it may be, and the leader sees to it.
    await vi.waitFor(() => expect(store.compactRevision).toBeGreaterThan(2), TIMEOUT_MS);
    expect(store.historyBytes).toBeLessThanOrEqual(10_000);
    expect(await errorOf(service.getAt(key, 2, linearizable()))).toMatchObject({
      code: "REVISION_COMPACTED",
      details: { oldest: store.compactRevision, current: 101 },
    });
  });
});

test("a node is ready when it knows a leader and has caught up with it", async () => {
  await start();
  const [first] = lab.nodes;
  const { service } = must(first, "n1");
  const isReady = () => service.checks().every(({ ok }) => ok);
  expect(isReady()).toBe(false);
  await vi.waitFor(() => expect(isReady()).toBe(true), TIMEOUT_MS);
  for (const { id } of lab.nodes) lab.cut(id);
  await vi.waitFor(() => expect(isReady()).toBe(false), TIMEOUT_MS);
});
