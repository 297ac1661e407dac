/** Bad input in headers and paths (http-api.md, sections 1, 3, 4, 5 and 7). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/service/errors.ts";
import { Refusals } from "./refusals.ts";
import type { Question } from "./site.ts";

let refusals: Refusals;

beforeAll(async () => {
  refusals = await Refusals.start();
});

afterAll(() => refusals.close());

type Method = NonNullable<Question["method"]>;

const value = { value: "after" };
const txn = { success: [{ put: { key: "k", value: "after" } }] };
const lock = { owner: "a", ttl: 30 };
const reads: readonly [Method, string, Question["body"]?][] = [
  ["GET", "/keys/k/"],
  ["GET", "/v1/kv/k"],
];
const writes: readonly [Method, string, Question["body"]?][] = [
  ["PUT", "/keys/k/", value],
  ["POST", "/keys/k/", value],
  ["DELETE", "/keys/k/"],
  ["PUT", "/v1/kv/k", value],
  ["POST", "/v1/kv/k", value],
  ["DELETE", "/v1/kv/k"],
];
/** Requests about no single key, or about none: there is nothing that an ETag could mean. */
const others: readonly [Method, string, Question["body"]?][] = [
  ["GET", "/v1/kv"],
  ["DELETE", "/v1/kv?all", undefined],
  ["POST", "/v1/kv/n/increment", {}],
  ["POST", "/v1/txn", txn],
  ["POST", "/v1/batch/get", { keys: ["k"] }],
  ["POST", "/v1/leases", { ttl: 30 }],
  ["GET", "/v1/leases/7"],
  ["PUT", "/v1/leases/7"],
  ["DELETE", "/v1/leases/7"],
  ["GET", "/v1/locks/l"],
  ["POST", "/v1/locks/l", lock],
  ["PUT", "/v1/locks/l", { token: 1, ttl: 30 }],
  ["DELETE", "/v1/locks/l?token=1"],
];
/** Those that are done under a name, once. */
const named = [
  ...writes,
  ...others.filter(([method, path]) => {
    return /DELETE|incr|txn|leases$|POST.*locks/.test(`${method} ${path}`);
  }),
];
/** Those that wait no longer than they are told. */
const timed = [
  ...reads,
  ...writes,
  ...others.filter(([method, path]) => {
    return method === "GET" || !path.includes("locks");
  }),
];

function refuse(
  [method, path, body]: readonly [Method, string, Question["body"]?],
  headers: Record<string, string>,
  code: ErrorCode = "INVALID_PARAM",
): Promise<void> {
  const question = { method, headers, ...(body !== undefined && { body }) };
  if (body !== undefined) question.headers = { "content-type": "application/json", ...headers };
  return refusals.expect(path, question, { code });
}

const tags = [
  ["", "1", "812", '"0"', '"-1"', '"01"', '"1', '1"', "'1'", '"1.5"', '"1e3"', '"x"', '" 1"'],
  ['W/"1"', 'w/"1"', "W/*", '"1", "2"', '"1","2"', "*, *", '* , "1"', "**", '"*"', "null"],
  ['"9007199254740992"', '"99999999999999999"'],
].flat();

describe.each(["if-match", "if-none-match"])("%s (section 3)", (name) => {
  test.each(tags)("%s is no ETag of this server", async (tag) => {
    for (const route of [...reads, ...writes]) await refuse(route, { [name]: tag });
  });

  test.each(others)("%s %s is not about one key, and does not pass it over", async (...route) => {
    for (const tag of ['"1"', "*"]) await refuse(route, { [name]: tag });
  });
});

test.each(named)("%s %s: an Idempotency-Key is visible ASCII, and short", async (...route) => {
  for (const key of ["", "with spaces", "\u00e4", "a, a", "x".repeat(129)]) {
    await refuse(route, { "idempotency-key": key });
  }
});

test.each(timed)("%s %s: Quorate-Timeout-Ms is a whole number up to a minute", async (...route) => {
  const wrong = ["", "0", "-1", "+1", "60001", "5s", "1.5", "1e3", "0x10", "10, 10", "99999999999"];
  for (const ms of wrong) await refuse(route, { "quorate-timeout-ms": ms });
  const [method, path, body] = route;
  const twice = `${path}${path.includes("?") ? "&" : "?"}timeout=1s`;
  await refuse([method, twice, body], { "quorate-timeout-ms": "1000" });
});

test.each([...reads, ...writes, ...others])(
  "%s %s: Quorate-Forward can only be never",
  async (...route) => {
    for (const word of ["", "always", "Never", "NEVER", "false", "never, never"]) {
      await refuse(route, { "quorate-forward": word });
    }
  },
);

test.each(["abc", "-1", "+1", "1.5", "1e3", "0x1", "1, 2", "9007199254740992", "1".repeat(40)])(
  "Last-Event-ID: %s is no id of an event (section 5)",
  async (id) => {
    await refuse(["GET", "/v1/watch?key=k"], { "last-event-id": id });
    await refuse(["GET", "/keys/k/"], { "last-event-id": id, accept: "text/event-stream" });
  },
);

test.each<[Method, string]>([
  ["GET", "/v1/kv"],
  ["HEAD", "/keys/k/"],
])("%s %s: events are for a GET of a key", async (method, path) => {
  const headers = { accept: "text/event-stream" };
  if (method === "GET") {
    const says = /GET \/v1\/watch/;
    return refusals.expect(path, { method, headers }, { code: "NOT_ACCEPTABLE", says });
  }
  expect((await refusals.ask(path, { method, headers })).status).toBe(406);
});

describe("keys in paths (section 1)", () => {
  const long = "k".repeat(1_025);
  const paths: readonly [string, ErrorCode][] = [
    ["", "INVALID_KEY"],
    ["/", "INVALID_KEY"],
    ["%", "INVALID_KEY"],
    ["%4", "INVALID_KEY"],
    ["%zz", "INVALID_KEY"],
    ["%u0041", "INVALID_KEY"],
    ["%ff", "INVALID_KEY"],
    ["%C3", "INVALID_KEY"],
    ["%C0%80", "INVALID_KEY"],
    ["%ED%A0%80", "INVALID_KEY"],
    ["%F4%90%80%80", "INVALID_KEY"],
    [long, "KEY_TOO_LONG"],
    ["%41".repeat(1_025), "KEY_TOO_LONG"],
    ["%E2%82%AC".repeat(342), "KEY_TOO_LONG"],
    ["k".repeat(8_192), "URL_TOO_LONG"],
  ];

  test.each(paths)("%.30s is refused with %s", async (key, code) => {
    const slash = key === "/" ? "" : key;
    const methods: [Method, Question["body"]?][] = [["GET"], ["PUT", value], ["DELETE"]];
    for (const [method, body] of methods) {
      await refuse([method, `/keys/${slash}/`, body], {}, code);
      await refuse([method, `/v1/kv/${slash}/`, body], {}, code);
      if (code !== "INVALID_KEY" || slash === "") continue;
      await refuse(["POST", `/v1/kv/${slash}/increment`, {}], {}, code);
    }
    await refuse(["POST", `/v1/locks/${slash}/`, lock], {}, code);
    await refuse(["GET", `/v1/locks/${slash}/`], {}, code);
  });

  test("a key to be watched is held to the same", async () => {
    await refuse(["GET", "/v1/watch?key="], {}, "INVALID_KEY");
    await refuse(["GET", `/v1/watch?key=${"k".repeat(4_097)}`], {}, "KEY_TOO_LONG");
    await refuse(["GET", `/v1/watch?prefix=${"k".repeat(4_097)}`], {}, "KEY_TOO_LONG");
    await refuse(["DELETE", `/v1/kv?prefix=${"k".repeat(4_097)}`], {}, "KEY_TOO_LONG");
  });
});

describe("routes (section 7)", () => {
  test.each(
    [
      ["/", "/nowhere", "/keys", "/v1", "/v1/", "/v1/kvs", "/v1/txn/k", "/v1/locks", "/KEYS/k/"],
      ["/v1/KV/k", "/livez/", "/v2/kv/k", "//keys/k/", "/./keys/k/", "/v1//kv/k"],
    ].flat(),
  )("%s is none", async (path) => {
    for (const method of ["GET", "POST", "DELETE"] as const) {
      await refuse([method, path], {}, "ROUTE_NOT_FOUND");
    }
  });

  test("a path that is none is not read for its body", async () => {
    const headers = { "content-type": "text/html" };
    await refuse(["POST", "/nowhere", "x"], headers, "ROUTE_NOT_FOUND");
  });

  test.each<[string, Method, string]>([
    ["/keys/k/", "PATCH", "GET, HEAD, PUT, POST, DELETE, OPTIONS"],
    ["/v1/kv/k", "PATCH", "GET, HEAD, PUT, POST, DELETE, OPTIONS"],
    ["/v1/kv", "PUT", "GET, HEAD, DELETE, OPTIONS"],
    ["/v1/txn", "GET", "POST, OPTIONS"],
    ["/v1/batch/get", "GET", "POST, OPTIONS"],
    ["/v1/watch", "POST", "GET, OPTIONS"],
    ["/v1/leases", "GET", "POST, OPTIONS"],
    ["/v1/leases/7", "POST", "GET, HEAD, PUT, DELETE, OPTIONS"],
    ["/v1/locks/l", "PATCH", "GET, HEAD, POST, PUT, DELETE, OPTIONS"],
    ["/livez", "POST", "GET, HEAD, OPTIONS"],
    ["/readyz", "DELETE", "GET, HEAD, OPTIONS"],
    ["/v1/status", "PUT", "GET, HEAD, OPTIONS"],
    ["/version", "PUT", "GET, HEAD, OPTIONS"],
  ])("%s %s is not for it, and Allow says what is", async (path, method, allow) => {
    await refuse([method, path], {}, "METHOD_NOT_ALLOWED");
    expect((await refusals.ask(path, { method })).headers["allow"]).toBe(allow);
    const options = await refusals.ask(path, { method: "OPTIONS" });
    expect(options).toMatchObject({ status: 204, text: "" });
    expect(options.headers["allow"]).toBe(allow);
  });

  test("a URL that is too long", async () => {
    const path = `/keys/k/?timeout=${"0".repeat(8_192)}`;
    await refuse(["GET", path], {}, "URL_TOO_LONG");
  });
});
