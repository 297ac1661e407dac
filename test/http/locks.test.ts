/** Locks (http-api.md, section 2). */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Lab, LabNode } from "../service/lab.ts";
import { failureIn, type Question, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let node: LabNode;
let count = 0;
let name: string;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
});

beforeEach(() => {
  name = `l${++count}`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

/** Much longer than anything takes here. */
const PATIENCE_MS = 10_000;

type Json = Readonly<Record<string, unknown>>;

const url = () => `/v1/locks/${name}`;

async function json(path: string, question: Question = {}): Promise<Json> {
  return JSON.parse((await site.ask(path, question)).text) as Json;
}

function post(path: string, body: Json): Promise<Json> {
  return json(path, { method: "POST", body });
}

/** The key by which an owner stands in the row. */
function place(owner: string): Promise<Json> {
  return json(`/v1/kv/locks/${name}/${owner}`);
}

async function waiting(): Promise<number> {
  return Number((await json(url()))["waiting"]);
}

/** A wish on a connection of its own, which can break. */
async function wish(body: Json) {
  const connection = await site.connect();
  const text = JSON.stringify(body);
  const head = `POST ${url()} HTTP/1.1\r\nhost: x\r\ncontent-length: ${text.length}\r\n`;
  connection.send(`${head}content-type: application/json\r\n\r\n${text}`);
  return connection;
}

/** A request whose client is gone when it arrives. */
function late(owner: string, { ttlMs, waitMs }: { ttlMs: number; waitMs: number }) {
  const of = { name, owner, ttlMs, waitMs, timeoutMs: 5_000, idempotencyKey: null };
  return node.service.locks.acquire(of, AbortSignal.abort());
}

describe("locks", () => {
  test("one holds it, with a token that grows from holder to holder", async () => {
    const first = await post(url(), { owner: "a", ttl: 30 });
    const second = await site.ask(url(), { method: "POST", body: { owner: "b", ttl: 30 } });
    expect(failureIn(second)).toMatchObject({ status: 409, code: "LOCK_HELD" });
    expect(await json(url())).toMatchObject({ holder: { owner: "a" }, waiting: 0 });
    // Whoever asks again has it already.
    expect(await post(url(), { owner: "a", ttl: 30 })).toEqual(first);
    const path = `${url()}?token=${String(first["token"])}`;
    expect(await json(path, { method: "DELETE" })).toEqual({ released: true });
    expect(await json(path, { method: "DELETE" })).toEqual({ released: false });
    const third = await post(url(), { owner: "b", ttl: 30 });
    expect(Number(third["token"])).toBeGreaterThan(Number(first["token"]));
  });

  test("those who wait get it in the order in which they came", async () => {
    const first = await post(url(), { owner: "a", ttl: 30 });
    const order: string[] = [];
    const waits = ["b", "c"].map(async (owner, at) => {
      await vi.waitFor(async () => expect((await json(url()))["waiting"]).toBe(at));
      const held = await post(url(), { owner, ttl: 30, wait: 10 });
      order.push(owner);
      await json(`${url()}?token=${String(held["token"])}`, { method: "DELETE" });
    });
    await vi.waitFor(async () => expect((await json(url()))["waiting"]).toBe(2));
    await json(`${url()}?token=${String(first["token"])}`, { method: "DELETE" });
    await Promise.all(waits);
    expect(order).toEqual(["b", "c"]);
  });

  test("a wait that is over leaves nothing behind", async () => {
    await post(url(), { owner: "a", ttl: 30 });
    const body = { owner: "b", ttl: 30, wait: 0.2 };
    const reply = await site.ask(url(), { method: "POST", body });
    expect(failureIn(reply)).toMatchObject({ status: 409, code: "LOCK_HELD" });
    expect(JSON.parse(reply.text)).toMatchObject({ details: { owner: "a" } });
    expect(await json(url())).toMatchObject({ holder: { owner: "a" }, waiting: 0 });
  });

  test("the same owner finds what it has, with all of its time (X7)", async () => {
    const first = await post(url(), { owner: "a", ttl: 0.4 });
    const [, again] = await Promise.all([
      vi.waitFor(async () => {
        const { ttl_ms: left } = await json(`/v1/kv/${String(first["key"])}`);
        expect(left).toBeLessThan(200);
      }),
      post(url(), { owner: "b", ttl: 30, wait: 0.1 }),
    ]);
    expect(again).toMatchObject({ code: "LOCK_HELD" });
    const since = performance.now();
    expect(await post(url(), { owner: "a", ttl: 0.4 })).toEqual(first);
    await post(url(), { owner: "b", ttl: 30, wait: 10 });
    expect(performance.now() - since).toBeGreaterThan(390);
  });

  test("who goes away does not wait any more, unless it came again by another way", async () => {
    await post(url(), { owner: "a", ttl: 30 });
    const lost = await wish({ owner: "b", ttl: 30, wait: 30 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const entered = await place("b");
    const again = await wish({ owner: "b", ttl: 30, wait: 30 });
    await vi.waitFor(async () => {
      const { mod_revision: now } = await place("b");
      expect(now).toBeGreaterThan(entered["mod_revision"] as number);
    });
    const { revision } = node.store;
    lost.destroy();
    const other = await wish({ owner: "c", ttl: 30, wait: 30 });
    await vi.waitFor(async () => expect(await waiting()).toBe(2), PATIENCE_MS);
    other.destroy();
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    expect(await place("b")).toMatchObject({ create_revision: entered["create_revision"] });
    expect(node.store.revision).toBe(revision + 2);
    again.destroy();
  });

  test("a holder that is gone loses it, and its guarded writes are refused (X7)", async () => {
    const lost = await post(url(), { owner: "a", ttl: 0.2 });
    const held = await post(url(), { owner: "b", ttl: 30, wait: 10 });
    expect(held).toMatchObject({ owner: "b" });
    const write = ({ key, token }: Json, value: string) =>
      post("/v1/txn", {
        compare: [{ key, create_revision: token }],
        success: [{ put: { key: `${name}/guarded`, value } }],
      });
    expect(await write(held, "b")).toMatchObject({ succeeded: true });
    expect(await write(lost, "a, late")).toMatchObject({ succeeded: false });
    expect(await json(`/v1/kv/${name}/guarded`)).toMatchObject({ value: "b" });
    const body = { token: lost["token"], ttl: 30 };
    const renewal = await site.ask(url(), { method: "PUT", body });
    expect(failureIn(renewal)).toMatchObject({ status: 409, code: "LOCK_HELD" });
  });
});

describe("requests of one owner, of which one is late or came twice", () => {
  const long = { ttlMs: 30_000, waitMs: 0 };

  test("a late one whose client is gone leaves the lock to its holder (X7)", async () => {
    const held = await post(url(), { owner: "o", ttl: 30 });
    for (const wanted of [long, { ttlMs: 1_000, waitMs: 0 }, { ttlMs: 100, waitMs: 100 }]) {
      await expect(late("o", wanted)).rejects.toMatchObject({ code: "LOCK_HELD" });
      const { holder } = await json(url());
      expect(holder).toMatchObject({ owner: "o", token: held["token"] });
      expect((await place("o"))["ttl_ms"]).toBeGreaterThan(10_000);
    }
    expect(await post(url(), { owner: "p", ttl: 30 })).toMatchObject({ code: "LOCK_HELD" });
  });

  test("a late one that asks for less time shortens nothing (X7)", async () => {
    const held = await post(url(), { owner: "o", ttl: 30 });
    for (const body of [{ ttl: 1 }, { ttl: 0.1, wait: 0.1 }, { ttl: 1, wait: 10 }]) {
      expect(await post(url(), { owner: "o", ...body })).toEqual(held);
      expect((await place("o"))["ttl_ms"]).toBeGreaterThan(10_000);
    }
  });

  test("one alone has the time of a holder, however long it would have waited", async () => {
    await post(url(), { owner: "o", ttl: 2, wait: 60 });
    expect((await place("o"))["ttl_ms"]).toBeLessThanOrEqual(2_000);
  });

  test("one that is late and alone gives up the place that it made", async () => {
    await expect(late("o", long)).rejects.toMatchObject({ code: "LOCK_HELD" });
    expect(await json(url())).toMatchObject({ holder: null, waiting: 0 });
  });

  test("one that found a place leaves it to whoever made it", async () => {
    const held = await post(url(), { owner: "a", ttl: 30 });
    const first = post(url(), { owner: "b", ttl: 30, wait: 30 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const entered = await place("b");
    const over = await post(url(), { owner: "b", ttl: 1, wait: 0.1 });
    expect(over).toMatchObject({ code: "LOCK_HELD", details: { owner: "a" } });
    expect(await place("b")).toMatchObject({ create_revision: entered["create_revision"] });
    await json(`${url()}?token=${String(held["token"])}`, { method: "DELETE" });
    expect(await first).toMatchObject({ owner: "b", token: entered["create_revision"] });
  });

  test("one that came again while it waited has the time of a holder, and no more", async () => {
    const held = await post(url(), { owner: "a", ttl: 30 });
    const lost = await wish({ owner: "b", ttl: 2, wait: 40 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const entered = await place("b");
    const again = post(url(), { owner: "b", ttl: 2, wait: 20 });
    await vi.waitFor(async () => {
      const { mod_revision: now } = await place("b");
      expect(now).toBeGreaterThan(entered["mod_revision"] as number);
    }, PATIENCE_MS);
    lost.destroy();
    await json(`${url()}?token=${String(held["token"])}`, { method: "DELETE" });
    expect(await again).toMatchObject({ owner: "b", token: entered["create_revision"] });
    expect((await place("b"))["ttl_ms"]).toBeLessThanOrEqual(2_000);
  });

  test("one that waits for longer keeps the place for as long", async () => {
    const held = await post(url(), { owner: "a", ttl: 30 });
    const first = post(url(), { owner: "b", ttl: 1, wait: 2 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const entered = await place("b");
    const again = post(url(), { owner: "b", ttl: 1, wait: 20 });
    await vi.waitFor(async () => expect((await place("b"))["ttl_ms"]).toBeGreaterThan(10_000));
    expect(await first).toMatchObject({ code: "LOCK_HELD" });
    await json(`${url()}?token=${String(held["token"])}`, { method: "DELETE" });
    expect(await again).toMatchObject({ owner: "b", token: entered["create_revision"] });
  });
});

describe("Idempotency-Key (section 3)", () => {
  const named = (key: string) => ({ "idempotency-key": `${name}-${key}` });
  const take = (key: string, body: Json, at = url()) =>
    site.ask(at, { method: "POST", headers: named(key), body });
  const release = (key: string, token: unknown) =>
    site.ask(`${url()}?token=${String(token)}`, { method: "DELETE", headers: named(key) });

  test.each([{}, { owner: "a" }])("a retry of %o has the lock, by the same token", async (body) => {
    const first = await take("k", { ...body, ttl: 30 });
    const again = await take("k", { ...body, ttl: 30 });
    expect(again).toMatchObject({ status: 200, text: first.text });
    expect(first.headers).not.toHaveProperty("idempotency-replayed");
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(await json(url())).toMatchObject({ waiting: 0 });
    expect(failureIn(await take("other", { ttl: 30 }))).toMatchObject({ code: "LOCK_HELD" });
  });

  test("a retry of what came to nothing takes the lock, and is no replay", async () => {
    const held = await post(url(), { owner: "a", ttl: 30 });
    expect(failureIn(await take("k", { ttl: 30 }))).toMatchObject({ code: "LOCK_HELD" });
    await json(`${url()}?token=${String(held["token"])}`, { method: "DELETE" });
    const again = await take("k", { ttl: 30 });
    expect(again.status).toBe(200);
    expect(again.headers).not.toHaveProperty("idempotency-replayed");
    expect(JSON.parse(again.text)).toMatchObject({ token: node.store.revision });
  });

  test("one used for another lock, or another wish, is a 409", async () => {
    await take("k", { ttl: 30 });
    const conflict = { status: 409, code: "IDEMPOTENCY_CONFLICT", outcome: "not_applied" };
    expect(failureIn(await take("k", { ttl: 30 }, `${url()}-too`))).toEqual(conflict);
    expect(failureIn(await take("k", { ttl: 31 }))).toEqual(conflict);
    expect(failureIn(await release("k", 7))).toEqual(conflict);
    expect(await json(`${url()}-too`)).toMatchObject({ holder: null, waiting: 0 });
  });

  test("a release that comes again says what the first did", async () => {
    const { token } = await post(url(), { owner: "a", ttl: 30 });
    const waits = post(url(), { owner: "b", ttl: 30, wait: 30 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const first = await release("k", token);
    expect(first.text).toBe('{"released":true}');
    expect(first.headers).not.toHaveProperty("idempotency-replayed");
    const next = await waits;
    for (let round = 0; round < 2; round++) {
      const again = await release("k", token);
      expect(again.text).toBe('{"released":true}');
      expect(again.headers["idempotency-replayed"]).toBe("true");
    }
    expect(await json(url())).toMatchObject({ holder: { token: next["token"] } });
    // Under another name it is another release, and there is nothing to release any more.
    expect((await release("other", token)).text).toBe('{"released":false}');
    expect((await release("other", token)).text).toBe('{"released":false}');
  });

  test("a release that names a place behind the holder releases nothing", async () => {
    await post(url(), { owner: "a", ttl: 30 });
    const lost = await wish({ owner: "b", ttl: 30, wait: 30 });
    await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENCE_MS);
    const { create_revision: behind } = await place("b");
    for (let round = 0; round < 2; round++) {
      expect((await release("k", behind)).text).toBe('{"released":false}');
    }
    expect(await json(url())).toMatchObject({ holder: { owner: "a" }, waiting: 1 });
    lost.destroy();
  });
});
