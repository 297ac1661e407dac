/** Bad input in bodies: every route that takes one (http-api.md, sections 1, 2 and 7). */
import { afterAll, beforeAll, describe, test } from "vitest";
import type { ErrorCode } from "../../src/service/errors.ts";
import { type Refusal, Refusals } from "./refusals.ts";
import type { Question } from "./site.ts";

let refusals: Refusals;

beforeAll(async () => {
  refusals = await Refusals.start();
});

afterAll(() => refusals.close());

const MIB = 1024 * 1024;
const KEYS = "/keys/k/";
const KV = "/v1/kv/k";
const json = { "content-type": "application/json" };
const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

/** The first name in a body, its first letter written as an escape. */
function escaped(body: string): string {
  const code = body.charCodeAt(2).toString(16).padStart(4, "0");
  return `{"\\u${code}${body.slice(3)}`;
}

/** Routes with a body that would be good. */
const routes = [
  { method: "PUT", path: KEYS, good: '{"value":"after"}' },
  { method: "POST", path: KEYS, good: '{"value":"after"}' },
  { method: "PUT", path: KV, good: '{"value":"after"}' },
  { method: "POST", path: KV, good: '{"value":"after"}' },
  { method: "POST", path: "/v1/kv/n/increment", good: '{"by":1}' },
  { method: "POST", path: "/v1/txn", good: '{"success":[{"put":{"key":"k","value":"after"}}]}' },
  { method: "POST", path: "/v1/batch/get", good: '{"keys":["k"]}' },
  { method: "POST", path: "/v1/leases", good: '{"ttl":30}' },
  { method: "POST", path: "/v1/locks/l", good: '{"owner":"a","ttl":30}' },
  { method: "PUT", path: "/v1/locks/l", good: '{"token":1,"ttl":30}' },
] as const;

describe.each(routes)("$method $path", ({ method, path, good }) => {
  const doubled = `${good.slice(0, -1)},${good.slice(1)}`;
  const refuse = (
    body: string | Uint8Array,
    refusal: Refusal,
    headers: Question["headers"] = json,
  ) => refusals.expect(path, { method, headers, body }, refusal);

  test.each([
    ["nothing", ""],
    ["blanks", "  \n"],
    ["no JSON", "value"],
    ["JSON that is cut off", good.slice(0, -1)],
    ["JSON that is cut off within a string", good.slice(0, good.indexOf('"') + 2)],
    ["more after the end", `${good}}`],
    ["two documents", `${good}${good}`],
    ["single quotes", good.replaceAll('"', "'")],
    ["a comment", `/* */${good}`],
    ["a comma at the end", `${good.slice(0, -1)},}`],
    ["a byte order mark", `\ufeff${good}`],
    ["an array", `[${good}]`],
    ["a string", '"after"'],
    ["null", "null"],
    ["a number", "7"],
    ["true", "true"],
    ["NaN", "NaN"],
    ["what is not UTF-8", Buffer.from('{"value":"\xff"}', "latin1")],
    ["a surrogate in UTF-8", Buffer.from('{"value":"\xed\xa0\x80"}', "latin1")],
    ["deep arrays", deep(4_000_000)],
    ["deep arrays that never end", "[".repeat(8_000_000)],
    ["deep objects", `${'{"a":'.repeat(400_000)}1${"}".repeat(400_000)}`],
    ["a property that is deep", `${good.slice(0, -1)},"x":${deep(16)}}`],
    ["very many parts", `${good.slice(0, -1)},"x":[${"1,".repeat(3_000_000)}1]}`],
    ["a string that never ends", `${good.slice(0, -1)},"x":"${'\\"'.repeat(3_000_000)}`],
    ["a property twice", doubled],
    ["a property twice, once in escapes", `${good.slice(0, -1)},${escaped(good).slice(1)}`],
    ["a property twice, deep within", `${good.slice(0, -1)},"x":[{"a":1,"a":2}]}`],
  ])("INVALID_JSON: %s", async (_name, body) => {
    await refuse(body, { code: "INVALID_JSON" });
  });

  test.each([
    ["a property that nobody knows", '"vresion":1'],
    ["a prototype", '"__proto__":{"value":"x"}'],
    ["a constructor", '"constructor":{"prototype":{"x":1}}'],
    ["an empty name", '"":1'],
    ["a property in another case", '"TTL":30'],
    ["a deep property", `"x":${deep(15)}`],
    ["a name that is longer than any sentence", `"${"x".repeat(100_000)}":1`],
  ])("INVALID_PARAM: %s", async (_name, property) => {
    await refuse(`${good.slice(0, -1)},${property}}`, { code: "INVALID_PARAM" });
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
  ])("UNSUPPORTED_MEDIA_TYPE: %s", async (type) => {
    await refuse(good, { code: "UNSUPPORTED_MEDIA_TYPE" }, { "content-type": type });
  });

  test("UNSUPPORTED_MEDIA_TYPE: a compressed body", async () => {
    const headers = { ...json, "content-encoding": "gzip" };
    await refuse(good, { code: "UNSUPPORTED_MEDIA_TYPE" }, headers);
  });

  test("VALUE_TOO_LARGE: more than 8 MiB", async () => {
    await refuse(`${good}${" ".repeat(8 * MIB)}`, { code: "VALUE_TOO_LARGE" });
  });
});

/** Fields that are wrong on both presentations of a key. */
const fields: readonly [string, ErrorCode][] = [
  [`{"value":${deep(15)}}`, "INVALID_VALUE"],
  ["{}", "INVALID_VALUE"],
  ['{"value":null}', "INVALID_VALUE"],
  ['{"value":7}', "INVALID_VALUE"],
  ['{"value":true}', "INVALID_VALUE"],
  ['{"value":["after"]}', "INVALID_VALUE"],
  ['{"value":{"value":"after"}}', "INVALID_VALUE"],
  ['{"Value":"after"}', "INVALID_PARAM"],
  ['{"value":"\\ud83d"}', "INVALID_VALUE"],
  ['{"value":"\\ude00x"}', "INVALID_VALUE"],
  ['{"__proto__":{"value":"after"}}', "INVALID_PARAM"],
  ...['""', "-1", "0", "0.05", "1e400", "true", "null", "[30]", '"soon"', '"1e3"', '"KEEP"'].map(
    (ttl): [string, ErrorCode] => [`{"value":"after","ttl":${ttl}}`, "INVALID_PARAM"],
  ),
  ...['"1"', "-1", "0", "1.5", "1e300", "9007199254740992", "null", "[1]"].map(
    (lease): [string, ErrorCode] => [`{"value":"after","lease":${lease}}`, "INVALID_PARAM"],
  ),
  ...['"1"', "-1", "1.5", "1e300", "9007199254740992", "null", "true", "{}"].map(
    (version): [string, ErrorCode] => [`{"value":"after","version":${version}}`, "INVALID_PARAM"],
  ),
  ['{"value":"after","ttl":30,"lease":1}', "INVALID_PARAM"],
];

describe.each([KEYS, KV])("the fields of PUT %s", (path) => {
  test.each(fields)("%.60s is refused with %s", async (body, code) => {
    await refusals.expect(path, { method: "PUT", headers: json, body }, { code });
  });

  test.each([
    ["one byte too many", "x".repeat(MIB + 1)],
    ["few characters of too many bytes", "€".repeat(MIB / 2)],
  ])("VALUE_TOO_LARGE: %s", async (_name, value) => {
    await refusals.expect(path, { method: "PUT", body: { value } }, { code: "VALUE_TOO_LARGE" });
  });

  test("LEASE_NOT_FOUND: a lease that is not there", async () => {
    const body = { value: "after", lease: 987_654 };
    await refusals.expect(path, { method: "PUT", body }, { code: "LEASE_NOT_FOUND" });
  });

  test("DELETE takes no body", async () => {
    const body = { version: 1 };
    await refusals.expect(path, { method: "DELETE", body }, { code: "INVALID_PARAM" });
  });
});

describe("bytes", () => {
  test.each(["text/plain", "application/octet-stream"])(
    "%s is not for the simple presentation",
    async (type) => {
      const question = { method: "PUT", headers: { "content-type": type }, body: "after" } as const;
      await refusals.expect(KEYS, question, { code: "UNSUPPORTED_MEDIA_TYPE" });
    },
  );

  test("VALUE_TOO_LARGE: one too many", async () => {
    const headers = { "content-type": "application/octet-stream" };
    const question = { method: "PUT", headers, body: new Uint8Array(MIB + 1) } as const;
    await refusals.expect(KV, question, { code: "VALUE_TOO_LARGE" });
  });

  test.each(["dGV4dA", "dGV4dA=", "dGV4dA===", "dGV4dB==", "dGV4 dA==", "_-8=", 7, null])(
    "base64 that is none: %j",
    async (value) => {
      const question = { method: "PUT", body: { value, encoding: "base64" } } as const;
      await refusals.expect(KV, question, { code: "INVALID_VALUE" });
    },
  );

  test.each(["hex", "", "UTF8", null, 64])("another encoding: %j", async (encoding) => {
    const question = { method: "PUT", body: { value: "00", encoding } } as const;
    await refusals.expect(KV, question, { code: "INVALID_VALUE" });
  });

  test("an encoding on the simple presentation", async () => {
    const question = { method: "PUT", body: { value: "after", encoding: "utf8" } } as const;
    await refusals.expect(KEYS, question, { code: "INVALID_PARAM" });
  });
});
