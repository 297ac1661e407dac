/** TTL and leases (http-api.md, sections 2 and 6). */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Lab } from "../service/lab.ts";
import { failureIn, type Question, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
let name: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  name = `l${++count}`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

type Json = Readonly<Record<string, unknown>>;

async function json(url: string, question: Question = {}): Promise<Json> {
  return JSON.parse((await site.ask(url, question)).text) as Json;
}

function post(url: string, body: Json): Promise<Json> {
  return json(url, { method: "POST", body });
}

interface KeyPage {
  readonly keys: readonly unknown[];
  readonly bytes: number;
}

/** All pages of the keys of a lease. */
async function keyPages(url: string): Promise<readonly KeyPage[]> {
  const pages: KeyPage[] = [];
  for (let next = ""; pages.length < 100; ) {
    const { text } = await site.ask(`${url}${next}`);
    const { keys, cursor } = JSON.parse(text) as { keys: unknown[]; cursor: string | null };
    pages.push({ keys, bytes: text.length });
    if (cursor === null) break;
    next = `&cursor=${cursor}`;
  }
  return pages;
}

async function isThere(key: string): Promise<boolean> {
  return (await site.ask(`/v1/kv/${key}`)).status === 200;
}

describe("a time to live", () => {
  test("is told, and ends the key", async () => {
    const since = performance.now();
    await json(`/v1/kv/${name}`, { method: "PUT", body: { value: "v", ttl: 0.3 } });
    const reply = await site.ask(`/v1/kv/${name}`);
    expect(Number(reply.headers["quorate-ttl-ms"])).toBeGreaterThan(0);
    expect((JSON.parse(reply.text) as Json)["ttl_ms"]).toBeLessThanOrEqual(300);
    expect(reply.text).not.toContain("lease");
    await vi.waitFor(async () => expect(await isThere(name)).toBe(false), { timeout: 5_000 });
    expect(performance.now() - since).toBeGreaterThan(300);
  });

  test("is told of the keys of a list and of a batch, too", async () => {
    const lease = await post("/v1/leases", { ttl: 30 });
    await json(`/v1/kv/${name}/a?lease=${String(lease["id"])}`, {
      method: "PUT",
      body: { value: "v" },
    });
    await json(`/v1/kv/${name}/b`, { method: "PUT", body: { value: "v", ttl: 30 } });
    await json(`/v1/kv/${name}/c`, { method: "PUT", body: { value: "v" } });
    const ttl = expect.any(Number) as number;
    const keys = ["a", "b", "c"].map((key) => `${name}/${key}`);
    const listed = await json(`/v1/kv?prefix=${name}/&keys_only`);
    const batch = await post("/v1/batch/get", { keys });
    for (const { items } of [listed, batch] as unknown as { items: Json[] }[]) {
      expect(items[0]).toMatchObject({ lease: lease["id"], ttl_ms: ttl });
      expect(items[1]).toMatchObject({ ttl_ms: ttl });
      expect(items[1]).not.toHaveProperty("lease");
      expect(items[2]).not.toHaveProperty("ttl_ms");
    }
  });

  test("a plain put clears it, ttl=keep keeps it", async () => {
    const put = (body: Json) => json(`/v1/kv/${name}`, { method: "PUT", body });
    await put({ value: "1", ttl: 100 });
    expect(await put({ value: "2", ttl: "keep" })).toHaveProperty("ttl_ms");
    expect(await json(`/v1/kv/${name}`)).toMatchObject({ value: "2", version: 2 });
    expect(await put({ value: "3" })).not.toHaveProperty("ttl_ms");
  });
});

describe("leases", () => {
  test("are granted, told of, renewed and revoked with their keys", async () => {
    const reply = await site.ask("/v1/leases", { method: "POST", body: { ttl: 30 } });
    expect(reply.status).toBe(201);
    const { id } = JSON.parse(reply.text) as { id: number };
    expect(reply.headers["location"]).toBe(`/v1/leases/${id}`);
    for (const key of ["b", "a"]) {
      await json(`/v1/kv/${name}/${key}?lease=${id}`, { method: "PUT", body: { value: "v" } });
    }
    expect(await json(`/v1/kv/${name}/a`)).toMatchObject({ lease: id });
    const found = await json(`/v1/leases/${id}?keys`);
    expect(found).toMatchObject({ id, ttl_ms: 30_000, keys: [`${name}/a`, `${name}/b`] });
    expect(await json(`/v1/leases/${id}`, { method: "PUT" })).toMatchObject({ id });
    expect(await json(`/v1/leases/${id}`, { method: "DELETE" })).toMatchObject({ deleted: 2 });
    expect(await isThere(`${name}/a`)).toBe(false);
    const gone = await site.ask(`/v1/leases/${id}`);
    expect(failureIn(gone)).toMatchObject({ status: 404, code: "LEASE_NOT_FOUND" });
  });

  test("tell their keys in pages that are bounded by count and by bytes (section 2)", async () => {
    const { id } = await post("/v1/leases", { ttl: 60 });
    const lease = Number(id);
    const names = Array.from({ length: 256 }, (_, at) => {
      return `${String.fromCharCode(1).repeat(4090)}${name}-${at + 1_000}`.slice(-4096);
    });
    for (const part of [names.slice(0, 128), names.slice(128)]) {
      const success = part.map((key) => ({ put: { key, value: "", lease } }));
      expect(await post("/v1/txn", { success })).toMatchObject({ succeeded: true });
    }
    const pages = await keyPages(`/v1/leases/${lease}?keys`);
    expect(pages.flatMap(({ keys }) => keys)).toEqual(names);
    // Of 256 KiB, 4 KiB each; as JSON, every byte of these takes six.
    expect(pages.map(({ keys }) => keys.length)).toEqual([64, 64, 64, 64]);
    expect(Math.max(...pages.map(({ bytes }) => bytes))).toBeLessThan(2 * 1024 * 1024);
    const few = await json(`/v1/leases/${lease}?keys&limit=2`);
    expect(few["keys"]).toEqual(names.slice(0, 2));
    expect(await json(`/v1/leases/${lease}`)).not.toHaveProperty("cursor");
  });

  test("tell keys of any bytes, and go on behind one that is gone meanwhile", async () => {
    const { id } = await post("/v1/leases", { ttl: 60 });
    const lease = Number(id);
    const names = ["+PA=", "+vA=", "/PA=", "/v8="];
    const binary = names.map((key) => ({ key, key_encoding: "base64" }));
    const success = binary.map((key) => ({ put: { ...key, value: "", lease } }));
    await post("/v1/txn", { success });
    const { keys, cursor } = await json(`/v1/leases/${lease}?keys&limit=2`);
    expect(keys).toEqual(binary.slice(0, 2));
    await post("/v1/txn", { success: [{ delete: { key: names[1], key_encoding: "base64" } }] });
    const rest = await json(`/v1/leases/${lease}?keys&cursor=${String(cursor)}`);
    expect(rest).toMatchObject({ keys: binary.slice(2), cursor: null });
  });

  test("live as long as they are renewed, and not much longer", async () => {
    const { id } = await post("/v1/leases", { ttl: 0.4 });
    await json(`/v1/kv/${name}?lease=${String(id)}`, { method: "PUT", body: { value: "v" } });
    for (let round = 0; round < 8; round++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await json(`/v1/leases/${String(id)}`, { method: "PUT" })).toMatchObject({ id });
    }
    expect(await isThere(name)).toBe(true);
    await vi.waitFor(async () => expect(await isThere(name)).toBe(false), { timeout: 2_000 });
  });

  test("many renewals at once share entries of the log", async () => {
    const { id } = await post("/v1/leases", { ttl: 60 });
    const entries = () => site.holder.open().raftStatus().lastIndex;
    const before = entries();
    const url = `/v1/leases/${String(id)}`;
    await Promise.all(Array.from({ length: 200 }, () => site.ask(url, { method: "PUT" })));
    expect(entries() - before).toBeLessThan(50);
  });

  test.each([{}, { ttl: 0 }, { ttl: "x" }, { ttl: 1e12 }, { ttl: 1, id: 0 }, { ttl: 1, more: 1 }])(
    "%o is refused",
    async (body) => {
      const reply = await site.ask("/v1/leases", { method: "POST", body });
      expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    },
  );
});
