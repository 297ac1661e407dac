/** Watches through the client, over the death of nodes (section 5 of the HTTP API; K3, K5). */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { QuorateClient, type WatchEvent } from "../../src/client/index.ts";
import { until } from "../integration/until.ts";
import { begun, clientOf, clusterAndClient, failureOf, take, urlsOf } from "./faces.ts";

let site: Awaited<ReturnType<typeof clusterAndClient>>;
let client: QuorateClient;
let count = 0;
let prefix: string;

beforeAll(async () => {
  site = await clusterAndClient();
  ({ client } = site);
});

beforeEach(() => {
  prefix = `w${++count}/`;
});

afterAll(() => site.end());

test("section 5: puts, deletes and expiries, with what was before", async () => {
  const events = client.watch({ prefix, previous: true });
  await begun(events);
  const put = await client.put(`${prefix}a`, "1");
  await client.put(`${prefix}a`, new Uint8Array([255]), { ttlMs: 200 });
  await client.put(`other-${prefix}`, "x");
  await client.put(`${prefix}b`, "2");
  const gone = await client.delete(`${prefix}b`);
  const found = await take(events, 5);
  const told = found.map((event) => `${event.type} ${"key" in event ? event.key : ""}`);
  const { revision } = put;
  expect(found[0]).toMatchObject({ type: "put", value: "1", revision, previous: null });
  expect(found[1]).toMatchObject({ previous: { value: "1", version: 1 }, version: 2 });
  const deleted = found.find(({ type }) => type === "delete");
  expect(deleted).toMatchObject({ revision: gone.revision, previous: { value: "2" } });
  expect(told).toContain(`expire ${prefix}a`);
  await events.return?.();
});

test("one key, and only some kinds of events", async () => {
  const events = client.watch({ key: `${prefix}a`, events: ["delete"] });
  await begun(events);
  for (const key of ["a", "ab"]) await client.put(prefix + key, "v");
  for (const key of ["ab", "a"]) await client.delete(prefix + key);
  expect(await take(events, 1)).toMatchObject([{ type: "delete", key: `${prefix}a` }]);
  await events.return?.();
});

test("initial: what is there, synced, and what comes after, without a gap", async () => {
  await client.put(`${prefix}a`, "1");
  const { revision } = await client.put(`${prefix}b`, "2");
  const events = client.watch({ prefix, initial: true });
  const first = await take(events, 1);
  await client.put(`${prefix}a`, "later");
  const rest = await take(events, 3);
  expect([...first, ...rest]).toMatchObject([
    { type: "put", key: `${prefix}a`, value: "1" },
    { type: "put", key: `${prefix}b`, value: "2", revision },
    { type: "synced" },
    { type: "put", key: `${prefix}a`, value: "later" },
  ]);
  await events.return?.();
  const one = client.watch({ key: `${prefix}b`, initial: true });
  expect(await take(one, 2)).toMatchObject([{ key: `${prefix}b` }, { type: "synced" }]);
  await one.return?.();
});

test("a watch that nobody reads waits, and misses nothing", async () => {
  const events = client.watch({ prefix });
  await begun(events);
  const value = "v".repeat(50_000);
  for (let at = 0; at < 300; at += 10) {
    const puts = Array.from({ length: 10 }, (_, i) => ({ put: { key: `${prefix}${i}`, value } }));
    await client.txn({ success: puts });
  }
  const found = await take(events, 300);
  expect(new Set(found.map(({ revision }) => revision)).size).toBe(30);
  await events.return?.();
});

test("it ends by return, by its signal and with its client, even while it waits", async () => {
  const quiet = client.watch({ prefix });
  await begun(quiet);
  const waiting = quiet.next();
  await quiet.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
  const stop = new AbortController();
  const reason = new Error("enough");
  const stopped = client.watch({ prefix, signal: stop.signal });
  await begun(stopped);
  const next = stopped.next();
  stop.abort(reason);
  await expect(next).rejects.toBe(reason);
  const other = new QuorateClient({ endpoints: urlsOf(site.cluster) });
  const closed = other.watch({ prefix });
  await begun(closed);
  const last = failureOf(closed.next());
  await other.close();
  expect(await last).toMatchObject({ code: "CLOSED" });
});

/** Writes pairs of keys, each pair in one transaction, until it is told to stop. */
class PairWriter {
  written = 0;
  #isStopped = false;
  readonly #client: QuorateClient;
  readonly #done: Promise<void>;

  constructor(client: QuorateClient) {
    this.#client = client;
    this.#done = this.#run();
  }

  async more(pairs: number): Promise<void> {
    const target = this.written + pairs;
    await until(`${pairs} more pairs`, () => this.written >= target, 20_000);
  }

  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#done;
    return this.written;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const value = String(this.written);
      const puts = ["a", "b"].map((name) => ({ put: { key: prefix + name, value } }));
      await this.#client.txn({ success: puts }, { timeoutMs: 20_000 });
      this.written += 1;
    }
  }
}

test("K3: kill -9 of the leader, then of whom it reads from: no gap, nothing twice", async () => {
  const { cluster } = site;
  const [reading] = await cluster.followers();
  if (reading === undefined) throw new Error("no followers");
  const others = urlsOf(cluster).filter((url) => url !== reading.url);
  const watcher = clientOf({ endpoints: [reading.url, ...others] });
  const found: WatchEvent[] = [];
  const events = watcher.watch({ prefix });
  await begun(events);
  const collecting = (async () => {
    for await (const event of events) if (event.type === "put") found.push(event);
  })();
  const writer = new PairWriter(client);
  await writer.more(30);
  const leader = await cluster.leader();
  await leader.kill();
  await writer.more(30);
  leader.start();
  await cluster.ready();
  await reading.kill();
  await writer.more(30);
  const pairs = await writer.stop();
  await until("all events", () => found.length >= 2 * pairs, 20_000);
  const wanted = Array.from({ length: pairs }, (_, at) => [`a=${at}`, `b=${at}`]).flat();
  const told = found.map((event) => (event.type === "put" ? `${event.key}=${event.value}` : ""));
  expect(told).toEqual(wanted.map((pair) => prefix + pair));
  const revisions = found.map(({ revision }) => revision);
  expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  expect(new Set(revisions).size).toBe(pairs);
  await events.return?.();
  await collecting;
  reading.start();
  await cluster.ready();
});

test("K5: since a revision, it tells what came after, and waits for the future", async () => {
  const { revision } = await client.put(`${prefix}a`, "1");
  const second = await client.put(`${prefix}a`, "2");
  const events = client.watch({ prefix, since: revision });
  expect(await take(events, 1)).toMatchObject([{ value: "2", revision: second.revision }]);
  await events.return?.();
  const future = client.watch({ prefix, since: second.revision + 1 });
  const next = take(future, 1);
  await client.put(`${prefix}a`, "3");
  await client.put(`${prefix}a`, "4");
  expect(await next).toMatchObject([{ value: "4" }]);
  await future.return?.();
});

test("a watch since a revision that is forgotten ends with REVISION_COMPACTED", async () => {
  const single = await clusterAndClient({ size: 1 });
  const { client: alone } = single;
  const { revision } = await alone.put("first", "v");
  // History is kept up to 64 MiB.
  const value = new Uint8Array(1024 * 1024);
  for (let at = 0; at < 70; at += 1) await alone.put("large", value);
  const isForgotten = async () =>
    (await alone.status()).every(({ status }) => (status?.compactRevision ?? 0) > revision + 1);
  await until("the history is compacted", isForgotten, 20_000);
  const error = await failureOf(alone.watch({ prefix: "", since: revision }).next());
  expect(error).toMatchObject({ code: "REVISION_COMPACTED", status: 410 });
  expect(await failureOf(alone.get("large", { revision }))).toMatchObject({
    code: "REVISION_COMPACTED",
  });
  await single.end();
});
