/** `POST /v1/txn`, counters and the deleting of many keys (http-api.md, section 2). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Lab } from "../service/lab.ts";
import { failureIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
let prefix: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  prefix = `t${++count}/`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

type Json = Readonly<Record<string, unknown>>;

function txn(body: Json, query = ""): Promise<Reply> {
  return site.ask(`/v1/txn${query}`, { method: "POST", body });
}

function put(name: string, value = "v"): Promise<Reply> {
  return site.ask(`/v1/kv/${prefix}${name}`, { method: "PUT", body: { value } });
}

async function value(name: string): Promise<unknown> {
  const reply = await site.ask(`/v1/kv/${prefix}${name}`);
  return reply.status === 404 ? null : (JSON.parse(reply.text) as Json)["value"];
}

async function revision(): Promise<number> {
  return Number((await site.ask("/keys/none/")).headers["quorate-store-revision"]);
}

describe("transactions", () => {
  test("all of one list is done, under one revision, or all of the other", async () => {
    await put("a", "1");
    const before = await revision();
    const compare = [{ key: `${prefix}a`, version: 1 }];
    const success = [
      { put: { key: `${prefix}a`, value: "2", prev: true } },
      { put: { key: `${prefix}b`, value: "x" } },
      { get: { prefix } },
      { delete: { key: `${prefix}none` } },
      { increment: { key: `${prefix}n`, by: 5, initial: 10 } },
    ];
    const failure = [{ get: { key: `${prefix}a` } }];
    const first = await txn({ compare, success, failure });
    expect(first.status).toBe(200);
    const done = JSON.parse(first.text) as { results: Json[] };
    expect(done).toMatchObject({ succeeded: true, revision: before + 1 });
    expect(done.results).toMatchObject([
      { put: { version: 2, mod_revision: before + 1, prev: { value: "1" } } },
      { put: { version: 1, create_revision: before + 1 } },
      { get: { count: 2, more: false, items: [{ value: "2" }, { value: "x" }] } },
      { delete: { deleted: 0 } },
      { increment: { value: 15, version: 1 } },
    ]);
    const second = JSON.parse((await txn({ compare, success, failure })).text) as Json;
    expect(second).toMatchObject({ succeeded: false, revision: before + 1 });
    expect(second["results"]).toMatchObject([{ get: { items: [{ value: "2" }] } }]);
    expect(await value("b")).toBe("x");
  });

  test.each([
    [{ exists: true }, true],
    [{ exists: false }, false],
    [{ value: "1" }, true],
    [{ value: "2", op: "<" }, true],
    [{ value: "1", op: "!=" }, false],
    [{ version: 0, op: ">" }, true],
    [{ lease: 0 }, true],
    [{ create_revision: 1, op: ">" }, true],
    [{ mod_revision: 1, op: "<" }, false],
  ])("compare %o", async (target, expected) => {
    await put("a", "1");
    const reply = await txn({ compare: [{ key: `${prefix}a`, ...target }] });
    expect(JSON.parse(reply.text)).toMatchObject({ succeeded: expected, results: [] });
  });

  test("fail=409 tells of a failed compare by its status", async () => {
    const compare = [{ key: `${prefix}a`, exists: true }];
    const reply = await txn({ compare, success: [] }, "?fail=409");
    expect(failureIn(reply)).toMatchObject({ status: 409, code: "TXN_FAILED" });
  });

  test.each<[string, Json, RegExp]>([
    ["a key put twice", { success: [op("a"), op("a")] }, /twice/],
    ["put and deleted", { success: [op("a"), { delete: { key: "a" } }] }, /twice/],
    [
      "put below a deleted prefix",
      { success: [op("ab"), { delete_prefix: { prefix: "a" } }] },
      /tw/,
    ],
    ["too many", { success: Array.from({ length: 129 }, (_, at) => op(`k${at}`)) }, /128/],
    ["an unknown operation", { success: [{ move: { key: "a" } }] }, /success.0/],
    ["two targets", { compare: [{ key: "a", version: 1, exists: true }] }, /exactly one/],
    ["no target", { compare: [{ key: "a" }] }, /exactly one/],
    ["an unknown property", { success: [], fallback: [] }, /fallback/],
    ["a ttl and a lease", { success: [op("a", { ttl: 1, lease: 1 })] }, /not both/],
  ])("%s is refused, and nothing is written", async (_, body, says) => {
    const before = await revision();
    const reply = await txn(body);
    expect(failureIn(reply)).toMatchObject({ status: 400, outcome: "not_applied" });
    expect(reply.text).toMatch(says);
    expect(await revision()).toBe(before);
  });

  test("a lease that is not there: nothing of the transaction is done", async () => {
    const success = [op(`${prefix}a`), op(`${prefix}b`, { lease: 987_654 })];
    expect(failureIn(await txn({ success }))).toMatchObject({ code: "LEASE_NOT_FOUND" });
    expect(await value("a")).toBeNull();
  });

  test("one that would read too much is refused, and nothing is written", async () => {
    const text = "v".repeat(1024 * 1024);
    for (const name of ["a", "b", "c"]) await put(name, text);
    const before = await revision();
    const gets = Array.from({ length: 3 }, () => ({ get: { prefix } }));
    for (const success of [gets, [op(`${prefix}d`), ...gets]]) {
      const reply = await txn({ success });
      const failure = { status: 413, code: "VALUE_TOO_LARGE", outcome: "not_applied" };
      expect(failureIn(reply)).toMatchObject(failure);
      expect(reply.text).toMatch(/use a list/);
    }
    expect(await revision()).toBe(before);
    expect((await txn({ success: gets.slice(1) })).status).toBe(200);
  });

  test("bytes that are no text travel as base64", async () => {
    const bytes = Buffer.from([0xff, 0x00]).toString("base64");
    const key = Buffer.from([0xfe, 0x01]).toString("base64");
    const named = { key, key_encoding: "base64" };
    await txn({ success: [{ put: { ...named, value: bytes, encoding: "base64" } }] });
    const reply = JSON.parse((await txn({ success: [{ get: named }] })).text) as Json;
    expect(reply["results"]).toMatchObject([
      { get: { items: [{ ...named, value: bytes, encoding: "base64" }] } },
    ]);
  });
});

function op(key: string, more: Json = {}) {
  return { put: { key, value: "v", ...more } };
}

describe("counters", () => {
  test("count, from what they begin with", async () => {
    const path = `/v1/kv/${prefix}n/increment`;
    const one = await site.ask(path, { method: "POST", body: {} });
    expect(JSON.parse(one.text)).toMatchObject({ value: 1, version: 1 });
    const two = await site.ask(path, { method: "POST", body: { by: -5 } });
    expect(JSON.parse(two.text)).toMatchObject({ value: -4, version: 2 });
    expect(await value("n")).toBe("-4");
  });

  test("say what the key is now in their headers, and how long it lives (section 1)", async () => {
    const { id } = JSON.parse(
      (await site.ask("/v1/leases", { method: "POST", body: { ttl: 60 } })).text,
    ) as { id: number };
    await site.ask(`/v1/kv/${prefix}n?lease=${id}`, { method: "PUT", body: { value: "6" } });
    const before = await revision();
    const path = `/v1/kv/${prefix}n/increment`;
    const { headers } = await site.ask(path, { method: "POST", body: {} });
    expect(headers).toMatchObject({
      etag: `"${before + 1}"`,
      "quorate-version": "2",
      "quorate-revision": String(before + 1),
      "quorate-store-revision": String(before + 1),
    });
    expect(Number(headers["quorate-ttl-ms"])).toBeGreaterThan(30_000);
    expect(Number(headers["quorate-ttl-ms"])).toBeLessThanOrEqual(60_000);
    const immortal = await site.ask(`/v1/kv/${prefix}m/increment`, { method: "POST", body: {} });
    expect(immortal.headers["quorate-version"]).toBe("1");
    expect(immortal.headers).not.toHaveProperty("quorate-ttl-ms");
  });

  test("what is no number is left alone", async () => {
    await put("n", "many");
    const reply = await site.ask(`/v1/kv/${prefix}n/increment`, { method: "POST", body: {} });
    expect(failureIn(reply)).toMatchObject({ status: 409, code: "NOT_A_NUMBER" });
    expect(await value("n")).toBe("many");
  });
});

describe("DELETE /v1/kv", () => {
  test("all keys below a prefix go under one revision", async () => {
    for (const name of ["a", "b", "c"]) await put(name);
    const before = await revision();
    const reply = await site.ask(`/v1/kv?prefix=${prefix}`, { method: "DELETE" });
    expect(JSON.parse(reply.text)).toEqual({ deleted: 3, revision: before + 1 });
    expect(reply.headers["quorate-deleted"]).toBe("3");
    expect(await value("b")).toBeNull();
  });

  test.each(["", "?prefix=", "?prefix=a&all=true", "?all=false"])(
    "%s says not which",
    async (query) => {
      const reply = await site.ask(`/v1/kv${query}`, { method: "DELETE" });
      expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    },
  );
});

describe("Idempotency-Key (X1, X2)", () => {
  test("the same request twice is done once, and answered twice", async () => {
    const headers = { "idempotency-key": `${prefix}once` };
    const ask = () =>
      site.ask(`/v1/kv/${prefix}n/increment`, { method: "POST", headers, body: { by: 3 } });
    const [first, second] = [await ask(), await ask()];
    expect(second.text).toBe(first.text);
    expect(first.headers["idempotency-replayed"]).toBeUndefined();
    expect(second.headers["idempotency-replayed"]).toBe("true");
    expect(await value("n")).toBe("3");
  });

  test("a replay does not repeat values that were read", async () => {
    const before = await revision();
    await put("a", "1");
    const headers = { "idempotency-key": `${prefix}read` };
    const success = [
      { put: { key: `${prefix}a`, value: "2", prev: true } },
      { get: { prefix } },
      { delete: { key: `${prefix}a2`, prev: true } },
    ];
    const ask = async () => {
      const reply = await site.ask("/v1/txn", { method: "POST", headers, body: { success } });
      return (JSON.parse(reply.text) as { results: Json[] }).results;
    };
    await put("a2", "3");
    const first = await ask();
    expect(first).toMatchObject([
      { put: { version: 2, prev: { value: "1" } } },
      { get: { items: [{ value: "2" }, { value: "3" }], count: 2, more: false } },
      { delete: { deleted: 1, prev: [{ value: "3" }] } },
    ]);
    const metadata = { version: 2, create_revision: before + 1, mod_revision: before + 3 };
    expect(await ask()).toEqual([
      { put: metadata },
      { get: { items: [], count: 2, more: true } },
      { delete: { deleted: 1 } },
    ]);
  });

  test("another request under the same key is refused", async () => {
    const headers = { "idempotency-key": `${prefix}once` };
    const ask = (text: string) =>
      site.ask(`/keys/${prefix}k/`, { method: "PUT", headers, body: { value: text } });
    expect((await ask("a")).status).toBe(200);
    const failure = failureIn(await ask("b"));
    expect(failure).toMatchObject({ status: 409, code: "IDEMPOTENCY_CONFLICT" });
    expect(await value("k")).toBe("a");
  });
});
