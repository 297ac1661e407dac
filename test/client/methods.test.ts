/** Every method of the client, against three real nodes. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Entry, QuorateClient } from "../../src/client/index.ts";
import { clusterAndClient, deadUrls, failureOf, urlsOf } from "./faces.ts";

let site: Awaited<ReturnType<typeof clusterAndClient>>;
let client: QuorateClient;
let count = 0;
let key: string;

beforeAll(async () => {
  site = await clusterAndClient();
  ({ client } = site);
});

beforeEach(() => {
  key = `k${++count}/a`;
});

afterAll(() => site.end());

async function all(entries: AsyncIterable<Entry>): Promise<string[]> {
  const keys: string[] = [];
  for await (const entry of entries) keys.push(entry.key);
  return keys;
}

describe("single keys", () => {
  test("put says whether it created, get says all, and null where there is nothing", async () => {
    expect(await client.get(key)).toBeNull();
    const created = await client.put(key, "1");
    expect(created).toMatchObject({ created: true, version: 1 });
    expect(created.modRevision).toBe(created.revision);
    expect(created).not.toHaveProperty("previous");
    const again = await client.put(key, "2", { previous: true });
    const { createRevision } = created;
    expect(again).toMatchObject({ created: false, version: 2, createRevision });
    expect(again.previous).toMatchObject({ key, value: "1", version: 1 });
    const { revision: modRevision } = again;
    const found = await client.get(key);
    expect(found).toMatchObject({ key, value: "2", version: 2, createRevision, modRevision });
    expect(await client.get(key, { revision: created.revision })).toMatchObject({ value: "1" });
    const other = await client.put(`${key}2`, "", { previous: true });
    expect(other.previous).toBeNull();
  });

  test("values are text or bytes, exactly", async () => {
    const bytes = new Uint8Array([0, 255, 13, 10]);
    await client.put(key, bytes);
    expect([...((await client.get(key))?.bytes ?? [])]).toEqual([...bytes]);
    await client.put(key, "ä\0\r\n");
    expect((await client.get(key))?.value).toBe("ä\0\r\n");
    await client.put(key, "");
    expect(await client.get(key)).toMatchObject({ value: "" });
  });

  test.each(["..", "a//b/", "%2F", "x/increment", "__proto__", "ä ?#&+", "\n"])(
    "%o is a key like any other",
    async (name) => {
      await client.put(name, "v");
      expect(await client.get(name)).toMatchObject({ key: name, value: "v" });
      expect(await client.delete(name)).toMatchObject({ deleted: 1 });
    },
  );

  test("section 3: conditions that do not hold change nothing, and say what is there", async () => {
    const { revision } = await client.put(key, "1", { ifVersion: 0 });
    const taken = await failureOf(client.put(key, "2", { ifVersion: 0 }));
    expect(taken).toMatchObject({ code: "VERSION_MISMATCH", outcome: "not_applied", status: 409 });
    expect(taken.details).toMatchObject({ version: 1, mod_revision: revision });
    const stale = await failureOf(client.put(key, "2", { ifRevision: revision - 1 }));
    expect(stale).toMatchObject({ code: "PRECONDITION_FAILED", outcome: "not_applied" });
    const kept = await failureOf(client.delete(key, { ifVersion: 7 }));
    expect(kept.code).toBe("VERSION_MISMATCH");
    expect(await client.get(key)).toMatchObject({ value: "1", version: 1 });
    await client.put(key, "2", { ifRevision: revision, ifVersion: 1 });
    expect(await client.delete(key, { ifVersion: 2 })).toMatchObject({ deleted: 1 });
    expect(await client.delete(key)).toMatchObject({ deleted: 0 });
  });

  test("section 6: a time to live is told, kept and cleared", async () => {
    await client.put(key, "1", { ttlMs: 60_000 });
    const { ttlMs = 0 } = (await client.get(key)) ?? {};
    expect(ttlMs).toBeGreaterThan(50_000);
    expect(ttlMs).toBeLessThanOrEqual(60_000);
    await client.put(key, "2", { keepTtl: true });
    expect(await client.get(key)).toHaveProperty("ttlMs");
    await client.put(key, "3");
    expect(await client.get(key)).not.toHaveProperty("ttlMs");
  });

  test("counters count", async () => {
    expect(await client.increment(key)).toMatchObject({ value: 1, version: 1 });
    expect(await client.increment(key, -5)).toMatchObject({ value: -4, version: 2 });
    const other = await client.increment(`${key}2`, 2, { initial: 40 });
    expect(other).toMatchObject({ value: 42 });
    await client.put(key, "x");
    expect(await failureOf(client.increment(key))).toMatchObject({ code: "NOT_A_NUMBER" });
  });

  test("section 4: stale reads, and reads that wait for a revision", async () => {
    const { revision } = await client.put(key, "1");
    const stale = { consistency: "stale", minRevision: revision } as const;
    expect(await client.get(key, stale)).toMatchObject({ value: "1" });
    const future = { minRevision: revision + 1_000_000, timeoutMs: 300 };
    const error = await failureOf(client.get(key, future));
    expect(error).toMatchObject({ code: "REVISION_NOT_REACHED", outcome: "not_applied" });
  });
});

describe("many keys", () => {
  let prefix: string;
  beforeEach(async () => {
    prefix = `many${count}/`;
    for (const name of ["a", "b/1", "b/2", "c"]) await client.put(prefix + name, name);
  });

  test("pages, in both directions, with cursors of one revision", async () => {
    const first = await client.list({ prefix, limit: 3 });
    expect(first.items.map(({ value }) => value)).toEqual(["a", "b/1", "b/2"]);
    await client.put(`${prefix}d`, "later");
    const cursor = first.cursor ?? undefined;
    const second = await client.list({ prefix, limit: 3, cursor });
    expect(second.items.map(({ value }) => value)).toEqual(["c"]);
    expect(second).toMatchObject({ cursor: null, revision: first.revision });
    const last = await client.list({ prefix, limit: 1, reverse: true });
    expect(last.items[0]?.value).toBe("later");
  });

  test("delimiters, bounds, keys only, and what is new", async () => {
    const grouped = await client.list({ prefix, delimiter: "/" });
    expect(grouped.prefixes).toEqual([`${prefix}b/`]);
    expect(grouped.items).toHaveLength(2);
    const range = { start: `${prefix}b`, end: `${prefix}c` };
    const { items } = await client.list({ ...range, keysOnly: true });
    expect(items).toMatchObject([
      { key: `${prefix}b/1`, value: "" },
      { key: `${prefix}b/2`, value: "" },
    ]);
    const { revision } = await client.put(`${prefix}a`, "new");
    const since = await client.list({ prefix, since: revision - 1 });
    expect(since.items).toMatchObject([{ value: "new" }]);
  });

  test("counts, and everything there is", async () => {
    expect(await client.count({ prefix })).toBe(4);
    const names = ["a", "b/1", "b/2", "c"].map((name) => prefix + name);
    expect(await all(client.listAll({ prefix }))).toEqual(names);
    expect(await all(client.listAll({ prefix, reverse: true }))).toEqual(names.toReversed());
  });

  test("by their names, in one view", async () => {
    const found = await client.getMany([`${prefix}c`, "nobody", `${prefix}a`]);
    expect(found.map((entry) => entry?.value)).toEqual(["c", undefined, "a"]);
    expect(found[1]).toBeNull();
  });

  test("are deleted by their prefix, or all", async () => {
    expect(await client.deletePrefix(`${prefix}b/`)).toMatchObject({ deleted: 2 });
    expect(await client.count({ prefix })).toBe(2);
    const { deleted } = await client.deleteAll();
    expect(deleted).toBeGreaterThanOrEqual(2);
    expect(await client.count()).toBe(0);
  });

  test("a list of several pages shows one revision, whatever is written meanwhile", async () => {
    const puts = Array.from({ length: 1_100 }, (_, at) => ({
      put: { key: `${prefix}x/${String(at).padStart(4, "0")}`, value: "v" },
    }));
    for (let at = 0; at < puts.length; at += 100) {
      await client.txn({ success: puts.slice(at, at + 100) });
    }
    const entries = client.listAll({ prefix: `${prefix}x/` });
    expect((await entries.next()).value).toMatchObject({ key: `${prefix}x/0000` });
    await client.deletePrefix(`${prefix}x/`);
    expect(await all(entries)).toHaveLength(1_099);
  });
});

test("transactions compare, do all of it, and tell what came of each operation", async () => {
  await client.put(key, "1");
  await client.put(`${key}3`, "old");
  const result = await client.txn({
    compare: [
      { key, value: "1" },
      { key, version: 0, op: ">" },
      { key: `${key}2`, exists: false },
    ],
    success: [
      { put: { key, value: new Uint8Array([255]), previous: true, ttlMs: 60_000 } },
      { increment: { key: `${key}2`, by: 3 } },
      { get: { prefix: key, limit: 1 } },
      { delete: { key: `${key}3`, previous: true } },
      { deletePrefix: { prefix: "nobody/" } },
    ],
  });
  expect(result).toMatchObject({
    succeeded: true,
    results: [
      { put: { version: 2, previous: { value: "1" }, modRevision: result.revision } },
      { increment: { value: 3, version: 1 } },
      { get: { items: [{ key }], count: 3, more: true } },
      { delete: { deleted: 1, previous: [{ value: "old" }] } },
      { delete: { deleted: 0, previous: [] } },
    ],
  });
  const other = await client.txn({
    compare: [{ key, modRevision: 1 }],
    success: [{ delete: { key } }],
    failure: [{ get: { key } }],
  });
  expect(other).toMatchObject({ succeeded: false, results: [{ get: { count: 1 } }] });
});

test("status tells of every endpoint", async () => {
  const statuses = await client.status();
  expect(statuses.map(({ status }) => status?.name)).toEqual(["n1", "n2", "n3"]);
  expect(statuses.filter(({ status }) => status?.role === "leader")).toHaveLength(1);
  for (const { status } of statuses) {
    expect(status?.digest.chain).toMatch(/^[0-9a-f]{16}$/);
    expect(status?.digest.commands).toBeGreaterThan(0);
  }
  const [first = ""] = urlsOf(site.cluster);
  const one = await client.statusOf(first);
  expect(one).toMatchObject({ clientUrl: first, inDoubt: false, ready: true });
  expect(one.loopDelayMs.max).toBeGreaterThanOrEqual(0);
});

test("wrong use throws TypeError, whether or not anybody could be asked", async () => {
  expect(() => new QuorateClient({ endpoints: [] })).toThrow(TypeError);
  expect(() => new QuorateClient({ endpoints: ["localhost:4001"] })).toThrow(TypeError);
  const endpoints = await deadUrls(1);
  expect(() => new QuorateClient({ endpoints, timeoutMs: 0 })).toThrow(TypeError);
  const client = new QuorateClient({ endpoints });
  const wrong: readonly (() => unknown)[] = [
    () => client.get(""),
    () => client.get("\ud800"),
    () => client.get(key, { revision: -1 }),
    () => client.put(key, "\udc00"),
    () => client.put(key, 1 as unknown as string),
    () => client.put(key, "v", { ifRevision: 0 }),
    () => client.put(key, "v", { ttlMs: 1_000, lease: 1 }),
    () => client.put(key, "v", { ttlMs: Number.NaN }),
    () => client.put(key, "v", { timeoutMs: 300_001 }),
    () => client.increment(key, 0.5),
    () => client.deletePrefix(""),
    () => client.list({ prefix: "a", start: "b" }),
    () => client.list({ limit: 0 }),
    () => client.leases.grant(Number.POSITIVE_INFINITY),
    () => client.lock(""),
  ];
  for (const use of wrong) await expect(use()).rejects.toThrow(TypeError);
  expect(() => client.watch({})).toThrow(TypeError);
  expect(() => client.watch({ key, prefix: "" })).toThrow(TypeError);
  expect(() => client.watch({ key, initial: true, since: 1 })).toThrow(TypeError);
  expect(() => client.watch({ key, events: [] })).toThrow(TypeError);
  await client.close();
});

test("a signal ends a call with its own reason; a closed client says CLOSED", async () => {
  const reason = new Error("enough");
  await expect(client.get(key, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const stop = new AbortController();
  const waiting = client.get(key, { minRevision: 2 ** 40, signal: stop.signal });
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const other = new QuorateClient({ endpoints: urlsOf(site.cluster) });
  const pending = failureOf(other.get(key, { minRevision: 2 ** 40 }));
  await other.status();
  await other.close();
  expect(await pending).toMatchObject({ code: "CLOSED", outcome: "not_applied" });
  expect(await failureOf(other.put(key, "v"))).toMatchObject({ outcome: "not_applied" });
});
