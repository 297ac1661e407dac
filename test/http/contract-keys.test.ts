/** Rules of sections 1 and 3 of the HTTP API that hold for every route of a key. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Lab } from "../service/lab.ts";
import { failureIn, type Question, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
let key: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  key = `c${++count}`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

type Json = Readonly<Record<string, unknown>>;

function put(url: string, body: Json): Promise<Reply> {
  return site.ask(url, { method: "PUT", body });
}

async function json(url: string, question: Question = {}): Promise<Json> {
  return JSON.parse((await site.ask(url, question)).text) as Json;
}

describe.each(["/keys/", "/v1/kv/"])("PUT %s", (prefix) => {
  test("takes version, ttl and lease in the body (section 1)", async () => {
    expect((await put(prefix + key, { value: "a", version: 0, ttl: 60 })).status).toBeLessThan(300);
    const short = Number((await json(`/v1/kv/${key}`))["ttl_ms"]);
    expect(short).toBeGreaterThan(30_000);
    expect(short).toBeLessThanOrEqual(60_000);
    const { id } = await json("/v1/leases", { method: "POST", body: { ttl: 600 } });
    expect((await put(prefix + key, { value: "b", version: 1, lease: id })).status).toBe(200);
    expect(await json(`/v1/kv/${key}`)).toMatchObject({ value: "b", version: 2, lease: id });
    const refused = failureIn(await put(prefix + key, { value: "c", version: 1 }));
    expect(refused).toMatchObject({ status: 409, code: "VERSION_MISMATCH" });
  });

  test("tells in Quorate-Ttl-Ms how long the key lives, and nothing where for ever", async () => {
    const mortal = await put(prefix + key, { value: "a", ttl: 60 });
    expect(Number(mortal.headers["quorate-ttl-ms"])).toBeGreaterThan(30_000);
    const immortal = await put(prefix + key, { value: "b" });
    expect(immortal.headers).not.toHaveProperty("quorate-ttl-ms");
  });
});

test("both presentations say the same of a key in their headers (section 1)", async () => {
  await put(`/keys/${key}/`, { value: "a", ttl: 60 });
  const [simple, full] = [await site.ask(`/keys/${key}/`), await site.ask(`/v1/kv/${key}`)];
  const perRequest = ["request-id", "date", "content-length", "quorate-ttl-ms"];
  const told = ({ headers }: Reply) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => !perRequest.includes(name)));
  expect(told(simple)).toEqual(told(full));
  expect(Object.keys(simple.headers)).toEqual(
    expect.arrayContaining([
      "etag",
      "quorate-version",
      "quorate-revision",
      "quorate-store-revision",
      "quorate-node",
      "quorate-leader",
      "quorate-term",
      "quorate-consistency",
      "quorate-ttl-ms",
      "request-id",
      "cache-control",
    ]),
  );
  expect(simple.headers["cache-control"]).toBe("no-store");
});

test("a key of 4 KiB, of any bytes, goes through /v1/txn, and a longer one does not", async () => {
  const bytes = Buffer.alloc(4_096, 0xff);
  const named = { key: bytes.toString("base64"), key_encoding: "base64" };
  const txn = (success: readonly Json[]) =>
    site.ask("/v1/txn", { method: "POST", body: { success } });
  expect((await txn([{ put: { ...named, value: "v" } }])).status).toBe(200);
  const read = JSON.parse((await txn([{ get: named }])).text) as Json;
  expect(read["results"]).toMatchObject([{ get: { count: 1, items: [{ value: "v" }] } }]);
  const longer = { ...named, key: Buffer.alloc(4_097, 0xff).toString("base64") };
  expect(failureIn(await txn([{ put: { ...longer, value: "v" } }]))).toMatchObject({ status: 414 });
});

describe("Idempotency-Key (section 3): a retry is done once, and answered as the first", () => {
  const writes: readonly (readonly [string, Question, string])[] = [
    ["PUT /keys/", { method: "PUT", body: { value: "a" } }, "/keys/KEY/"],
    ["POST /keys/", { method: "POST", body: { value: "a" } }, "/keys/KEY/"],
    ["DELETE /keys/", { method: "DELETE" }, "/keys/KEY/"],
    ["PUT /v1/kv/", { method: "PUT", body: { value: "a" } }, "/v1/kv/KEY"],
    ["DELETE /v1/kv/", { method: "DELETE" }, "/v1/kv/KEY"],
    ["DELETE /v1/kv", { method: "DELETE" }, "/v1/kv?prefix=KEY"],
    ["POST increment", { method: "POST", body: {} }, "/v1/kv/KEYn/increment"],
    [
      "POST /v1/txn",
      { method: "POST", body: { success: [{ increment: { key: "in-txn" } }] } },
      "/v1/txn",
    ],
    ["POST /v1/leases", { method: "POST", body: { ttl: 3_600 } }, "/v1/leases"],
    ["DELETE /v1/leases/", { method: "DELETE" }, "/v1/leases/LEASE"],
  ];

  test.each(writes)("%s is done once", async (_name, question, url) => {
    await put(`/keys/${key}/`, { value: "before" });
    const { id } = await json("/v1/leases", { method: "POST", body: { ttl: 600 } });
    const headers = { "idempotency-key": `once-${key}` };
    const path = url.replace("KEY", key).replace("LEASE", String(id));
    const ask = () => site.ask(path, { ...question, headers });
    const first = await ask();
    const revision = (await json("/v1/status"))["revision"];
    const second = await ask();
    expect(second.status).toBe(first.status);
    expect(withoutTime(second)).toEqual(withoutTime(first));
    expect(first.headers).not.toHaveProperty("idempotency-replayed");
    expect(second.headers["idempotency-replayed"]).toBe("true");
    expect((await json("/v1/status"))["revision"]).toBe(revision);
  });
});

const NEVER = { compare: [{ key: "none", exists: true }] };

describe("Idempotency-Key (section 3): what was refused is refused again, as a replay", () => {
  const refused: readonly (readonly [number, string, Question, string])[] = [
    [412, "PUT", { method: "PUT", body: { value: "a" }, headers: { "if-match": '"1"' } }, "/keys/"],
    [412, "DELETE", { method: "DELETE", headers: { "if-none-match": "*" } }, "/v1/kv/"],
    [409, "PUT", { method: "PUT", body: { value: "a", version: 7 } }, "/v1/kv/"],
    [404, "PUT", { method: "PUT", body: { value: "a", lease: 999_999 } }, "/keys/"],
    [409, "POST", { method: "POST", body: {} }, "/v1/kv/KEY/increment"],
    [
      409,
      "POST",
      { method: "POST", body: { ...NEVER, success: [{ put: { key: "x", value: "a" } }] } },
      "/v1/txn?fail=409",
    ],
    [404, "DELETE", { method: "DELETE" }, "/v1/leases/999999"],
    [400, "POST", { method: "POST", body: { revision: 1_000_000 } }, "/v1/admin/compact"],
  ];

  test.each(refused)("%i of %s %o %s", async (status, _method, question, path) => {
    await put(`/keys/${key}/`, { value: "text" });
    const headers = { ...question.headers, "idempotency-key": `refused-${key}` };
    const url = path.endsWith("/") ? `${path}${key}` : path.replace("KEY", key);
    const first = await site.ask(url, { ...question, headers });
    expect(failureIn(first)).toMatchObject({ status, outcome: "not_applied" });
    // Some of them would be done now, under another name.
    await site.ask(`/keys/${key}/`, { method: "DELETE" });
    const second = await site.ask(url, { ...question, headers });
    expect(failureIn(second)).toEqual(failureIn(first));
    expect(first.headers).not.toHaveProperty("idempotency-replayed");
    expect(second.headers["idempotency-replayed"]).toBe("true");
    const other = { ...headers, "idempotency-key": `other-${key}` };
    const fresh = await site.ask(url, { ...question, headers: other });
    expect(fresh.headers).not.toHaveProperty("idempotency-replayed");
  });
});

/** A lease that was granted a moment ago ends a moment sooner. */
function withoutTime({ text }: Reply): Json {
  const { deadline_ms: _, ...body } = JSON.parse(text) as Json;
  return body;
}
