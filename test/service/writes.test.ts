/** Writes through any node, and what is said of those that fail (X3). */
import { afterEach, describe, expect, test, vi } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { ServiceError } from "../../src/service/errors.ts";
import {
  bytes,
  failure,
  keyFor,
  Lab,
  type LabNode,
  type LabOptions,
  linearizable,
  putOf,
} from "./lab.ts";

const CLUSTER = ["n1", "n2", "n3"];
const TIMEOUT_MS = 5_000;
let lab: Lab;

async function start(names = CLUSTER, options?: LabOptions): Promise<void> {
  lab = await Lab.start(names, options);
}

afterEach(async () => {
  await lab.close();
});

async function valueAt(node: LabNode, key: string): Promise<string | null> {
  const { found } = await node.service.get(keyFor(key), linearizable());
  return found === null ? null : Buffer.from(found.value).toString();
}

/** The outcome of a write that fails as a ServiceError. */
async function outcomeOf(write: Promise<unknown>) {
  const { code, outcome } = (await failure(write)) as ServiceError;
  return { code, outcome };
}

describe("in good order", () => {
  test("a write through each node is applied once, and is there on that node at once", async () => {
    await start();
    await lab.leader();
    for (const [at, { service, store, id }] of lab.nodes.entries()) {
      const result = await service.write(putOf("k", id), TIMEOUT_MS);
      expect(result).toMatchObject({ ok: true, revision: at + 2, current: { version: at + 1 } });
      expect(store.get(keyFor("k"))?.value).toEqual(bytes(id));
    }
    const key = keyFor("k");
    const last = must(lab.nodes[1], "n2");
    const gone = await last.service.write(
      { type: "delete", key, conditions: [], returnPrevious: true },
      TIMEOUT_MS,
    );
    expect(gone).toMatchObject({ ok: true, deleted: 1, previous: { version: 3 } });
    expect(last.store.get(key)).toBeNull();
  });

  test("writes that wait for a call to the leader share the next one", async () => {
    await start();
    const { service } = await lab.follower();
    lab.calls.length = 0;
    const writes = Array.from({ length: 500 }, (_, at) =>
      service.write(putOf(`k${at}`, "v"), TIMEOUT_MS),
    );
    const results = await Promise.all(writes);
    const revisions = results.map(({ revision }) => revision);
    expect(new Set(revisions).size).toBe(500);
    expect(lab.calls.map(({ type }) => type)).toEqual(lab.calls.map(() => "forward"));
    expect(lab.calls.length).toBeLessThan(5);
    expect(lab.calls.reduce((sum, { proposals }) => sum + proposals, 0)).toBe(500);
  });

  test("conditions are judged when a write is applied: of ten, one creates the key", async () => {
    await start();
    await lab.leader();
    const conditions = [{ type: "absent" as const }];
    const writes = Array.from({ length: 10 }, (_, at) => {
      const { service } = must(lab.nodes[at % 3], "a node");
      return service.write({ ...putOf("one", String(at)), conditions }, TIMEOUT_MS);
    });
    const results = await Promise.all(writes);
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    const refused = results.filter(({ ok }) => !ok);
    expect(refused.map((result) => "code" in result && result.code)).toEqual(
      refused.map(() => "PRECONDITION_FAILED"),
    );
  });
});

describe("without a leader", () => {
  test("a write waits for one, and then is applied", async () => {
    await start();
    const [first] = lab.nodes; // Nobody leads yet.
    const { service } = must(first, "n1");
    expect(service.leadership.leader).toBeNull();
    await expect(service.write(putOf("k", "v"), TIMEOUT_MS)).resolves.toMatchObject({ ok: true });
  });

  test("a write that finds none was not applied, and never will be", async () => {
    await start();
    const leader = await lab.leader();
    const follower = await lab.follower();
    for (const { id } of lab.nodes) lab.cut(id);
    await vi.waitFor(() => expect(follower.service.leadership.leader).toBeNull(), 5_000);
    await vi.waitFor(() => expect(leader.service.leadership.leader).toBeNull(), 5_000);
    for (const { service } of [leader, follower]) {
      expect(await outcomeOf(service.write(putOf("k", "v"), 200))).toEqual({
        code: "NO_LEADER",
        outcome: "not_applied",
      });
    }
    lab.heal();
    expect(await valueAt(await lab.leader(), "k")).toBeNull();
  });
});

describe("a leader that is lost", () => {
  test("with the write in its log alone: unknown, if no other leader tells in time", async () => {
    await start();
    const leader = await lab.leader();
    lab.cut(leader.id);
    expect(await outcomeOf(leader.service.write(putOf("k", "v"), 400))).toEqual({
      code: "COMMIT_TIMEOUT",
      outcome: "unknown",
    });
  });

  test("with the write in its log alone: offered again when another takes its place", async () => {
    await start();
    const leader = await lab.leader();
    lab.cut(leader.id);
    const write = leader.service.write(putOf("k", "old"), 10_000);
    const next = await lab.leader();
    await next.service.write(putOf("k", "new"), TIMEOUT_MS);
    lab.heal();
    // It was never applied in its first place, so it is applied now, after the other, and once.
    await expect(write).resolves.toMatchObject({ ok: true, current: { version: 2 } });
    expect(await valueAt(await lab.leader(), "k")).toBe("old");
  });

  test.each(["leader", "follower"] as const)(
    "after others have the write of its %s in their logs: the true result, from its successor",
    async (where) => {
      await start();
      const leader = await lab.leader();
      const { service } = await lab[where]();
      const index = leader.node.status().lastIndex + 1;
      lab.isLost = ({ type }) => type === "appended"; // So that it cannot commit anything.
      const write = service.write(putOf("k", "v"), 10_000);
      await vi.waitFor(() => {
        for (const { node } of lab.nodes) expect(node.status().lastIndex).toBe(index);
      });
      lab.cut(leader.id);
      lab.isLost = () => false;
      await lab.leader();
      lab.heal();
      await expect(write).resolves.toMatchObject({ ok: true, current: { version: 1 } });
      expect(await valueAt(await lab.leader(), "k")).toBe("v");
    },
  );

  test("before it answers to a forward: unknown, whether or not it took the write", async () => {
    await start();
    const leader = await lab.leader();
    const follower = await lab.follower();
    lab.onForwarded = () => {
      lab.cut(leader.id);
      return Promise.resolve();
    };
    expect(await outcomeOf(follower.service.write(putOf("k", "v"), TIMEOUT_MS))).toEqual({
      code: "FORWARD_FAILED",
      outcome: "unknown",
    });
  });

  test("before a forward is sent: sent to its successor", async () => {
    await start();
    const leader = await lab.leader();
    const follower = await lab.follower();
    lab.cut(leader.id);
    expect(follower.service.leadership.leader).toBe(leader.id);
    await expect(follower.service.write(putOf("k", "v"), TIMEOUT_MS)).resolves.toMatchObject({
      ok: true,
      current: { version: 1 },
    });
  });

  test("while it has not looked at a forward: unknown at the deadline", async () => {
    await start();
    const follower = await lab.follower();
    let release = () => {};
    lab.onCall = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const write = follower.service.write(putOf("k", "v"), 100);
    expect(await outcomeOf(write)).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
    release();
    await vi.waitFor(() => expect(follower.store.get(keyFor("k"))).not.toBeNull());
  });

  test("a write that is not sent by its deadline is not applied, nor sent later", async () => {
    await start();
    const follower = await lab.follower();
    const releases: (() => void)[] = [];
    lab.onCall = () =>
      new Promise((resolve) => {
        releases.push(resolve);
      });
    const sent: Promise<unknown>[] = [];
    for (const name of ["a", "b"]) {
      sent.push(follower.service.write(putOf(name, "v"), TIMEOUT_MS));
      await vi.waitFor(() => expect(releases).toHaveLength(sent.length));
    }
    const late = follower.service.write(putOf("late", "v"), 100);
    expect(await outcomeOf(late)).toEqual({ code: "NO_LEADER", outcome: "not_applied" });
    lab.onCall = () => Promise.resolve();
    for (const release of releases) release();
    await Promise.all(sent);
    await follower.service.write(putOf("after", "v"), TIMEOUT_MS);
    expect(await valueAt(follower, "late")).toBeNull();
  });
});

test("a node that jumps over its write by a snapshot cannot tell: unknown", async () => {
  await start(CLUSTER, { snapshotEntries: 20 });
  const leader = await lab.leader();
  const follower = await lab.follower();
  lab.isLost = ({ to, type }) => to === follower.id && type === "append";
  const write = outcomeOf(follower.service.write(putOf("k", "v"), 10_000));
  await vi.waitFor(() => expect(leader.store.get(keyFor("k"))).not.toBeNull());
  for (let at = 0; at < 50; at++) await leader.service.write(putOf("other", "v"), TIMEOUT_MS);
  await vi.waitFor(() => expect(leader.node.status().firstIndex).toBeGreaterThan(10));
  lab.isLost = () => false;
  expect(await write).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
  expect(await valueAt(follower, "k")).toBe("v");
});

describe("too much at once", () => {
  test("a leader that is busy did not take the write", async () => {
    await start(["n1", "n2", "n3"], { unappliedEntriesMax: 3 });
    const leader = await lab.leader();
    lab.cut(leader.id);
    const writes = Array.from({ length: 20 }, (_, at) =>
      outcomeOf(leader.service.write(putOf(`k${at}`, "v"), 200)),
    );
    const outcomes = await Promise.all(writes);
    const refused = outcomes.filter(({ code }) => code === "OVERLOADED");
    expect(refused.length).toBeGreaterThan(10);
    expect(refused.map(({ outcome }) => outcome)).toEqual(refused.map(() => "not_applied"));
    const others = outcomes.filter(({ code }) => code !== "OVERLOADED");
    expect(others.map(({ outcome }) => outcome)).toEqual(others.map(() => "unknown"));
  });

  test("a node takes no more writes than it can hold", async () => {
    await start(CLUSTER, { limits: { writes: { writesMax: 4, bytesMax: 1_000 } } });
    const { service } = await lab.leader();
    const large = service.write(putOf("large", "v".repeat(1_000)), TIMEOUT_MS);
    expect(await outcomeOf(large)).toEqual({ code: "OVERLOADED", outcome: "not_applied" });
    const writes = Array.from({ length: 5 }, () => service.write(putOf("k", "v"), TIMEOUT_MS));
    expect(await outcomeOf(must(writes[4], "the fifth"))).toMatchObject({ code: "OVERLOADED" });
    await Promise.all(writes.slice(0, 4));
    await expect(service.write(putOf("k", "v"), TIMEOUT_MS)).resolves.toMatchObject({ ok: true });
  });
});
