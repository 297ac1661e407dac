/** Whatever is wrong with a request: a clear answer in JSON, and nothing written. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Lab } from "../service/lab.ts";
import { errorIn, type Question, Site } from "./site.ts";

const KEYS = "/keys/k/";
const KV = "/v1/kv/k";
let site: Site;
let lab: Lab;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(async () => {
  await site.ask(KEYS, { method: "PUT", body: { value: "before" } });
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

/** Asserts that the request is refused as it should be, and that the store is as it was. */
async function expectRefused(
  url: string,
  question: Question,
  expected: { readonly status: number; readonly code: string; readonly says?: RegExp },
): Promise<void> {
  const before = await site.ask(KEYS);
  const reply = await site.ask(url, question);
  const error = errorIn(reply);
  expect({ status: reply.status, code: error.code }).toEqual({
    status: expected.status,
    code: expected.code,
  });
  expect(error).toMatchObject({ outcome: "not_applied", leader: "n1", term: expect.any(Number) });
  if (expected.says !== undefined) expect(error.error).toMatch(expected.says);
  const after = await site.ask(KEYS);
  expect(after.text).toBe('{"value":"before"}');
  for (const name of ["etag", "quorate-version", "quorate-store-revision"]) {
    expect(after.headers[name]).toBe(before.headers[name]);
  }
}

const json = { "content-type": "application/json" };
const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** Bodies that are wrong on both presentations. */
const bodies: readonly [string, string | Uint8Array, string][] = [
  ["nothing", "", "INVALID_JSON"],
  ["blank", "  \n", "INVALID_JSON"],
  ["no JSON", "value", "INVALID_JSON"],
  ["cut off within the value", '{"value":"aft', "INVALID_JSON"],
  ["cut off after the value", '{"value":"after"', "INVALID_JSON"],
  ["with more after the end", '{"value":"after"}}', "INVALID_JSON"],
  ["two documents", '{"value":"a"}{"value":"b"}', "INVALID_JSON"],
  ["single quotes", "{'value':'after'}", "INVALID_JSON"],
  ["an array", '["after"]', "INVALID_JSON"],
  ["a string", '"after"', "INVALID_JSON"],
  ["null", "null", "INVALID_JSON"],
  ["a number", "7", "INVALID_JSON"],
  ["not UTF-8", Buffer.from('{"value":"\xff"}', "latin1"), "INVALID_JSON"],
  ["a byte order mark", '\ufeff{"value":"after"}', "INVALID_JSON"],
  ["deep arrays", deep(400_000), "INVALID_JSON"],
  ["a deep value", `{"value":${deep(400_000)}}`, "INVALID_VALUE"],
  ["no value", "{}", "INVALID_VALUE"],
  ["a value of null", '{"value":null}', "INVALID_VALUE"],
  ["a number as value", '{"value":7}', "INVALID_VALUE"],
  ["a boolean as value", '{"value":true}', "INVALID_VALUE"],
  ["an object as value", '{"value":{"value":"after"}}', "INVALID_VALUE"],
  ["half a surrogate pair", '{"value":"\\ud83d"}', "INVALID_VALUE"],
  ["the other half", '{"value":"\\ude00x"}', "INVALID_VALUE"],
  ["an unknown property", '{"value":"after","vresion":1}', "INVALID_PARAM"],
  ["a prototype", '{"value":"after","__proto__":{"value":"x"}}', "INVALID_PARAM"],
  ["a value in the prototype", '{"__proto__":{"value":"after"}}', "INVALID_PARAM"],
  ["a time to live", '{"value":"after","ttl":30}', "INVALID_PARAM"],
  ["a lease", '{"value":"after","lease":"1"}', "INVALID_PARAM"],
  ["a version that is text", '{"value":"after","version":"1"}', "INVALID_PARAM"],
  ["a negative version", '{"value":"after","version":-1}', "INVALID_PARAM"],
  ["a broken version", '{"value":"after","version":1.5}', "INVALID_PARAM"],
  ["a version beyond numbers", '{"value":"after","version":1e300}', "INVALID_PARAM"],
  ["a version of null", '{"value":"after","version":null}', "INVALID_PARAM"],
];

describe.each([KEYS, KV])("PUT %s", (url) => {
  test.each(bodies)("%s", async (_name, body, code) => {
    await expectRefused(url, { method: "PUT", headers: json, body }, { status: 400, code });
  });

  test("a value of one byte too many", async () => {
    const body = { value: "x".repeat(1024 * 1024 + 1) };
    const expected = { status: 413, code: "VALUE_TOO_LARGE", says: /1048577/ };
    await expectRefused(url, { method: "PUT", body }, expected);
  });

  test("few characters of too many bytes", async () => {
    const body = { value: "€".repeat(512 * 1024) };
    await expectRefused(url, { method: "PUT", body }, { status: 413, code: "VALUE_TOO_LARGE" });
  });

  test("a body that no value needs", async () => {
    const body = `{"value":"after"}${" ".repeat(7 * 1024 * 1024)}`;
    const question = { method: "PUT", headers: json, body } as const;
    await expectRefused(url, question, { status: 413, code: "VALUE_TOO_LARGE" });
  });

  test.each([
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/html",
    "application/jsonp",
    "application/json; charset=utf-16",
    "application/json\tcharset=utf-8",
    "json",
    "application/",
    "*/*",
  ])("a body of %s", async (type) => {
    const headers = { "content-type": type };
    const question = { method: "PUT", headers, body: '{"value":"after"}' } as const;
    await expectRefused(url, question, { status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
  });

  test("a compressed body", async () => {
    const headers = { ...json, "content-encoding": "gzip" };
    const question = { method: "PUT", headers, body: '{"value":"after"}' } as const;
    await expectRefused(url, question, { status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
  });

  test("a version both in the query and in the body", async () => {
    const question = { method: "PUT", body: { value: "after", version: 1 } } as const;
    await expectRefused(`${url}?version=1`, question, { status: 400, code: "INVALID_PARAM" });
  });

  test("Idempotency-Key, which would be ignored", async () => {
    const headers = { "idempotency-key": "1" };
    const question = { method: "PUT", headers, body: { value: "after" } } as const;
    const expected = { status: 400, code: "INVALID_PARAM", says: /Idempotency-Key/ };
    await expectRefused(url, question, expected);
  });
});

describe("PUT of bytes", () => {
  test("as text on the simple presentation", async () => {
    const headers = { "content-type": "text/plain" };
    const question = { method: "PUT", headers, body: "after" } as const;
    await expectRefused(KEYS, question, { status: 415, code: "UNSUPPORTED_MEDIA_TYPE" });
  });

  test("one too many", async () => {
    const headers = { "content-type": "application/octet-stream" };
    const question = { method: "PUT", headers, body: new Uint8Array(1024 * 1024 + 1) } as const;
    await expectRefused(KV, question, { status: 413, code: "VALUE_TOO_LARGE" });
  });

  test.each(["dGV4dA", "dGV4dA=", "dGV4dA===", "dGV4dB==", "dGV4 dA==", "_-8=", 7, null])(
    "in base64 that is none: %j",
    async (value) => {
      const question = { method: "PUT", body: { value, encoding: "base64" } } as const;
      await expectRefused(KV, question, { status: 400, code: "INVALID_VALUE" });
    },
  );

  test.each(["hex", "", null, 64])("in another encoding: %j", async (encoding) => {
    const question = { method: "PUT", body: { value: "00", encoding } } as const;
    await expectRefused(KV, question, { status: 400, code: "INVALID_VALUE" });
  });

  test("with an encoding on the simple presentation", async () => {
    const question = { method: "PUT", body: { value: "after", encoding: "utf8" } } as const;
    await expectRefused(KEYS, question, { status: 400, code: "INVALID_PARAM" });
  });
});

const anyQueries = [
  "unknown=1",
  "Version=1",
  "=1",
  "__proto__=1",
  "constructor=1",
  "timeout=1s&timeout=2s",
  "timeout=1s&t%69meout=2s",
  "timeout=",
  "timeout=5",
  "timeout=0s",
  "timeout=61s",
  "timeout=1h",
  "timeout=-1s",
  "timeout=1e3ms",
  "timeout=%zz",
  "timeout=%ff",
];

describe("parameters", () => {
  test.each([...anyQueries, "version=1", "prev=true", "wait=30s", "since=1", "strict=maybe"])(
    "GET ?%s",
    async (query) => {
      await expectRefused(`${KEYS}?${query}`, {}, { status: 400, code: "INVALID_PARAM" });
    },
  );

  test.each([
    "consistency=",
    "consistency=strong",
    "consistency=lease",
    "consistency=stale&consistency=stale",
    "consistency=stale&max_stale=soon",
    "min_revision=-1",
    "min_revision=1.5",
    "min_revision=0x10",
    "min_revision=99999999999999999",
    "min_revision=9007199254740993",
  ])("GET ?%s", async (query) => {
    await expectRefused(`${KEYS}?${query}`, {}, { status: 400, code: "INVALID_PARAM" });
    await expectRefused(`${KV}?${query}`, {}, { status: 400, code: "INVALID_PARAM" });
  });

  test.each(["strict", "revision=", "revision=-1", "raw=yes"])("GET /v1/kv ?%s", async (query) => {
    await expectRefused(`${KV}?${query}`, {}, { status: 400, code: "INVALID_PARAM" });
  });

  test.each([...anyQueries, "version=", "version=one", "version=-1", "ttl=30", "lease=1", "raw"])(
    "PUT and DELETE ?%s",
    async (query) => {
      const body = { value: "after" };
      const expected = { status: 400, code: "INVALID_PARAM" };
      for (const url of [KEYS, KV]) {
        await expectRefused(`${url}?${query}`, { method: "PUT", body }, expected);
        await expectRefused(`${url}?${query}`, { method: "DELETE" }, expected);
      }
    },
  );

  test.each([
    ["unknown=1", /"unknown"/],
    ["timeout=1s&timeout=2s", /"timeout".*twice/],
    ["timeout=61s", /"timeout".*60000/],
    ["consistency=lease", /lease.*not enabled/],
    ["min_revision=x", /"min_revision".*whole number/],
  ])("?%s is answered by words that name it", async (query, says) => {
    const expected = { status: 400, code: "INVALID_PARAM", says };
    await expectRefused(`${KEYS}?${query}`, {}, expected);
  });

  test.each(["0", "-1", "60001", "5s", "1.5", ""])("Quorate-Timeout-Ms: %s", async (value) => {
    const headers = { "quorate-timeout-ms": value };
    await expectRefused(KEYS, { headers }, { status: 400, code: "INVALID_PARAM" });
  });

  test("the timeout both as header and parameter", async () => {
    const headers = { "quorate-timeout-ms": "100" };
    const expected = { status: 400, code: "INVALID_PARAM" };
    await expectRefused(`${KEYS}?timeout=1s`, { headers }, expected);
  });

  test("Quorate-Forward with another word", async () => {
    const headers = { "quorate-forward": "always" };
    await expectRefused(KEYS, { headers }, { status: 400, code: "INVALID_PARAM" });
  });
});

describe("routes", () => {
  test.each([
    "/",
    "/nowhere",
    "/keys",
    "/v1",
    "/v1/kv",
    "/v1/txn",
    "/KEYS/k/",
    "/livez/",
    "/v2/kv/k",
  ])("%s is none", async (url) => {
    for (const method of ["GET", "POST", "DELETE"] as const) {
      await expectRefused(url, { method }, { status: 404, code: "ROUTE_NOT_FOUND" });
    }
  });

  test("a path that is none is not read for its body", async () => {
    const question = {
      method: "POST",
      headers: { "content-type": "text/html" },
      body: "x",
    } as const;
    await expectRefused("/nowhere", question, { status: 404, code: "ROUTE_NOT_FOUND" });
  });

  test.each([
    [KEYS, "PATCH", "GET, HEAD, PUT, POST, DELETE, OPTIONS"],
    [KV, "PATCH", "GET, HEAD, PUT, POST, DELETE, OPTIONS"],
    ["/livez", "POST", "GET, HEAD, OPTIONS"],
    ["/readyz", "DELETE", "GET, HEAD, OPTIONS"],
    ["/v1/status", "PUT", "GET, HEAD, OPTIONS"],
    ["/version", "PUT", "GET, HEAD, OPTIONS"],
  ] as const)("%s %s is not for it", async (url, method, allow) => {
    await expectRefused(url, { method }, { status: 405, code: "METHOD_NOT_ALLOWED" });
    expect((await site.ask(url, { method })).headers["allow"]).toBe(allow);
    const options = await site.ask(url, { method: "OPTIONS" });
    expect(options).toMatchObject({ status: 204, text: "" });
    expect(options.headers["allow"]).toBe(allow);
  });

  test("a URL that is too long", async () => {
    const url = `${KEYS}?timeout=${"0".repeat(8_192)}`;
    await expectRefused(url, {}, { status: 414, code: "URL_TOO_LONG" });
  });
});
