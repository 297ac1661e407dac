/** Bad input in `POST /v1/txn`, `/v1/batch/get` and counters (http-api.md, sections 2 and 7). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/service/errors.ts";
import { type Refusal, Refusals } from "./refusals.ts";

let refusals: Refusals;

beforeAll(async () => {
  refusals = await Refusals.start();
});

afterAll(() => refusals.close());

const MIB = 1024 * 1024;
const json = { "content-type": "application/json" };
/** Half a surrogate pair: no text has it. */
const HALF = "\\ud800";
const LONG = "k".repeat(4_097);

function txn(body: string, refusal: Refusal): Promise<void> {
  return refusals.expect("/v1/txn", { method: "POST", headers: json, body }, refusal);
}

const put = (key: string, more = "") => `{"put":{"key":${JSON.stringify(key)},"value":"v"${more}}}`;
const list = (count: number, each: (at: number) => string) =>
  `[${Array.from({ length: count }, (_, at) => each(at)).join()}]`;

/** What is no compare, and what is no operation. */
const compares = [
  "1",
  "null",
  '"k"',
  "[]",
  "{}",
  '{"key":"k"}',
  '{"version":1}',
  '{"key":1,"version":1}',
  ...['"1"', "-1", "1.5", "1e300", "9007199254740992", "null", "true"].flatMap((number) =>
    ["version", "mod_revision", "create_revision", "lease"].map(
      (name) => `{"key":"k","${name}":${number}}`,
    ),
  ),
  ...['"=="', '">="', '""', "1", "null"].map((op) => `{"key":"k","version":1,"op":${op}}`),
  ...['"true"', "1", "null"].map((exists) => `{"key":"k","exists":${exists}}`),
  '{"key":"k","exists":true,"op":"!="}',
  '{"key":"k","version":1,"exists":true}',
  '{"key":"k","value":1}',
  '{"key":"k","value":"v","encoding":"hex"}',
  '{"key":"k","key_encoding":"hex","version":1}',
  '{"key":"k","Version":1}',
  '{"key":"k","version":1,"__proto__":{"x":1}}',
];
const operations = [
  "1",
  "null",
  '"put"',
  "[]",
  "{}",
  '{"put":null}',
  '{"put":[]}',
  '{"PUT":{}}',
  '{"move":{}}',
  '{"put":{"key":"a"}}',
  '{"put":{"value":"v"}}',
  '{"put":{"key":"a","value":null}}',
  '{"put":{"key":"a","value":1}}',
  '{"put":{"key":["a"],"value":"v"}}',
  '{"put":{"key":"a","value":"v"},"get":{"key":"a"}}',
  ...['"ttl":0', '"ttl":"soon"', '"ttl":null', '"ttl":1e400', '"lease":0', '"lease":-1'].map(
    (more) => put("a", `,${more}`),
  ),
  ...['"lease":"1"', '"lease":1.5', '"ttl":1,"lease":1', '"prev":"true"', '"prev":1'].map((more) =>
    put("a", `,${more}`),
  ),
  ...['"version":1', '"encoding":"hex"', '"encoding":null', '"__proto__":{"x":1}'].map((more) =>
    put("a", `,${more}`),
  ),
  '{"get":{}}',
  '{"get":{"key":"a","prefix":"a"}}',
  '{"get":{"prefix":1}}',
  ...["-1", "1001", "1.5", '"1"', "null"].map((limit) => `{"get":{"prefix":"a","limit":${limit}}}`),
  ...['"keys_only":1', '"count_only":"true"', '"reverse":true'].map(
    (more) => `{"get":{"prefix":"a",${more}}}`,
  ),
  '{"delete":{}}',
  '{"delete":{"prefix":"a"}}',
  '{"delete":{"key":"a","prev":0}}',
  '{"delete_prefix":{}}',
  '{"delete_prefix":{"prefix":""}}',
  '{"delete_prefix":{"key":"a"}}',
  ...["1.5", '"1"', "null", "1e300", "9007199254740992"].flatMap((number) => [
    `{"increment":{"key":"n","by":${number}}}`,
    `{"increment":{"key":"n","initial":${number}}}`,
  ]),
  '{"txn":{"success":[]}}',
];

describe("POST /v1/txn", () => {
  test.each(["1", "null", '"x"', "{}", "true"])("lists are arrays, and not %s", async (value) => {
    for (const name of ["compare", "success", "failure"]) {
      await txn(`{"${name}":${value}}`, { code: "INVALID_PARAM", says: new RegExp(name) });
    }
  });

  test.each(compares)("no compare: %s", async (compare) => {
    const body = `{"compare":[${compare}],"success":[${put("after")}]}`;
    await txn(body, { code: "INVALID_PARAM" });
  });

  test.each(operations)("no operation: %s", async (operation) => {
    for (const name of ["success", "failure"]) {
      await txn(`{"${name}":[${put("after")},${operation}]}`, { code: "INVALID_PARAM" });
    }
  });

  test.each<[string, string]>([
    ["put twice", `${put("a")},${put("a")}`],
    ["put twice, once in base64", `${put("a")},${put("YQ==", ',"key_encoding":"base64"')}`],
    ["put and counted", `${put("a")},{"increment":{"key":"a"}}`],
    ["counted twice", '{"increment":{"key":"a"}},{"increment":{"key":"a"}}'],
    ["put and deleted", `${put("a")},{"delete":{"key":"a"}}`],
    ["deleted and put", `{"delete":{"key":"a"}},${put("a")}`],
    ["put below a prefix that is deleted", `${put("ab")},{"delete_prefix":{"prefix":"a"}}`],
  ])("a key is written once: %s", async (_name, both) => {
    for (const name of ["success", "failure"]) {
      await txn(`{"${name}":[${both}]}`, { code: "INVALID_PARAM", says: /twice/ });
    }
  });

  test("128 compares or operations are the most, and no more are looked at", async () => {
    for (const count of [129, 1_000]) {
      const refusal = { code: "INVALID_PARAM", says: new RegExp(`has ${count} parts`) } as const;
      const ops = list(count, (at) => put(`k${at}`));
      await txn(`{"success":${ops}}`, refusal);
      await txn(`{"failure":${ops}}`, refusal);
      await txn(`{"compare":${list(count, () => '{"key":"k","version":1}')}}`, refusal);
    }
  });

  test("8 MiB are the most, and all of them can be used", async () => {
    const values = list(8, (at) => {
      return `{"put":{"key":"big/${at}","value":"${"x".repeat(MIB - 100)}"}}`;
    });
    const body = `{"success":${values}}`;
    const reply = await refusals.ask("/v1/txn", { method: "POST", headers: json, body });
    expect(reply.status).toBe(200);
    const before = '{"compare":[{"key":"big/0","exists":false}],"success":';
    await txn(`${before}${values},"failure":[${put("x".repeat(2_000))}]}`, {
      code: "VALUE_TOO_LARGE",
    });
  });

  test("what would read more than 8 MiB is refused", async () => {
    const value = "x".repeat(MIB);
    for (const name of ["cut/a", "cut/b", "cut/c"]) {
      const reply = await refusals.ask(`/v1/kv/${name}`, { method: "PUT", body: { value } });
      expect(reply.status).toBe(201);
    }
    const gets = list(3, () => '{"get":{"prefix":"cut/"}}');
    const remove = '{"delete_prefix":{"prefix":"cut/","prev":true}}';
    const body = `{"success":[${gets.slice(1, -1)},${remove}]}`;
    await txn(body, { code: "VALUE_TOO_LARGE" });
  });

  test("a value has 1 MiB at most", async () => {
    const body = `{"success":[{"put":{"key":"a","value":"${"x".repeat(MIB + 1)}"}}]}`;
    await txn(body, { code: "VALUE_TOO_LARGE" });
  });

  test("LEASE_NOT_FOUND: nothing of the transaction is done", async () => {
    const body = `{"success":[${put("a")},${put("b", ',"lease":987654')}]}`;
    await txn(body, { code: "LEASE_NOT_FOUND" });
  });

  test("TXN_FAILED, and fail=409 has no other way to go", async () => {
    const compare = '{"compare":[{"key":"k","version":9}]';
    const question = { method: "POST", headers: json } as const;
    const revision = expect.any(Number) as number;
    await refusals.expect(
      "/v1/txn?fail=409",
      { ...question, body: `${compare},"success":[${put("a")}]}` },
      { code: "TXN_FAILED", details: { revision } },
    );
    await refusals.expect(
      "/v1/txn?fail=409",
      { ...question, body: `${compare},"failure":[${put("a")}]}` },
      { code: "INVALID_PARAM" },
    );
  });
});

/** Keys that are none, as bodies name them, and where they can stand. */
const keys: readonly (readonly [string, string, ErrorCode])[] = [
  ["empty", '"key":""', "INVALID_KEY"],
  ["half a surrogate pair", `"key":"a${HALF}"`, "INVALID_KEY"],
  ["no base64", '"key":"a","key_encoding":"base64"', "INVALID_KEY"],
  ["too long", `"key":"${LONG}"`, "KEY_TOO_LONG"],
  ["few characters of too many bytes", `"key":"${"€".repeat(1_366)}"`, "KEY_TOO_LONG"],
  [
    "too long in base64",
    `"key":"${Buffer.from(LONG).toString("base64")}","key_encoding":"base64"`,
    "KEY_TOO_LONG",
  ],
];

describe.each(keys)("a key in a body: %s", (_name, key, code) => {
  test.each([
    `{"compare":[{${key},"version":1}],"success":[${put("a")}]}`,
    `{"success":[${put("a")},{"put":{${key},"value":"v"}}]}`,
    `{"success":[${put("a")},{"get":{${key}}}]}`,
    `{"success":[${put("a")},{"delete":{${key}}}]}`,
    `{"success":[${put("a")},{"increment":{${key}}}]}`,
  ])("/v1/txn %.40s", async (body) => {
    await txn(body, { code });
  });

  test("/v1/batch/get", async () => {
    const named = key.replace("key_encoding", "encoding");
    const question = { method: "POST", headers: json, body: `{"keys":["k",{${named}}]}` } as const;
    await refusals.expect("/v1/batch/get", question, { code });
  });
});

test.each([
  [`a${HALF}`, "INVALID_KEY"],
  [LONG, "KEY_TOO_LONG"],
] as const)("a prefix in a body: %.10s is refused with %s", async (prefix, code) => {
  for (const name of ["get", "delete_prefix"]) {
    await txn(`{"success":[${put("a")},{"${name}":{"prefix":"${prefix}"}}]}`, { code });
  }
});

describe("POST /v1/batch/get", () => {
  test.each<[string, ErrorCode]>([
    ["{}", "INVALID_PARAM"],
    ['{"keys":"k"}', "INVALID_PARAM"],
    ['{"keys":{"0":"k","length":1}}', "INVALID_PARAM"],
    ['{"keys":null}', "INVALID_PARAM"],
    [`{"keys":${list(1_001, (at) => `"k${at}"`)}}`, "INVALID_PARAM"],
    [`{"keys":${list(1_000_000, () => "1")}}`, "INVALID_JSON"],
    ['{"keys":["k",1]}', "INVALID_KEY"],
    ['{"keys":["k",null]}', "INVALID_KEY"],
    ['{"keys":["k",["k"]]}', "INVALID_KEY"],
    ['{"keys":["k",{}]}', "INVALID_KEY"],
    ['{"keys":["k",{"key":7}]}', "INVALID_KEY"],
    ['{"keys":["k",{"key":"k","encoding":"hex"}]}', "INVALID_KEY"],
    ['{"keys":["k",{"key":"k","encoding":null}]}', "INVALID_KEY"],
    ['{"keys":["k",{"key":"k","extra":1}]}', "INVALID_PARAM"],
  ])("%.50s is refused with %s", async (body, code) => {
    await refusals.expect("/v1/batch/get", { method: "POST", headers: json, body }, { code });
  });
});

describe("POST /v1/kv/<key>/increment", () => {
  const path = "/v1/kv/k/increment";
  const bad = ["1.5", '"1"', "null", "true", "[1]", "1e300", "9007199254740992"];

  test.each(bad)("by and initial are whole numbers, and not %s", async (number) => {
    for (const name of ["by", "initial"]) {
      const question = { method: "POST", headers: json, body: `{"${name}":${number}}` } as const;
      await refusals.expect(path, question, { code: "INVALID_PARAM" });
    }
  });

  test("NOT_A_NUMBER: what is none is left alone, and so is what would not be exact", async () => {
    const count = (by: number) => ({ method: "POST", body: { by } }) as const;
    await refusals.expect(path, count(1), { code: "NOT_A_NUMBER" });
    const most = Number.MAX_SAFE_INTEGER;
    expect((await refusals.ask("/v1/kv/most/increment", count(most))).status).toBe(200);
    await refusals.expect("/v1/kv/most/increment", count(1), { code: "NOT_A_NUMBER" });
  });
});
