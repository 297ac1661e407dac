/** Bad input in the query: every parameter of every route (http-api.md, sections 1, 2 and 7). */
import { afterAll, beforeAll, describe, test } from "vitest";
import { Refusals, WRONG } from "./refusals.ts";
import type { Question } from "./site.ts";

let refusals: Refusals;

beforeAll(async () => {
  refusals = await Refusals.start();
});

afterAll(() => refusals.close());

const { wholeNumber, duration, flag } = WRONG;
/** At least 1 ms, at most a minute. */
const timeout = [...duration, "0s", "0ms", "0.9ms", "61s", "60001ms", "1.1m"];
const any = { timeout };
const reads = {
  ...any,
  consistency: ["", "strong", "leased", "STALE", "stale%20", "stale,linearizable", "null"],
  max_stale: [...duration, "86400001ms"],
  min_revision: wholeNumber,
};
const waits = { wait: [...duration, "61s", "60001ms"], since: wholeNumber };
const ttl = [
  "0",
  "-1",
  "0.05",
  "1e3",
  "Infinity",
  "NaN",
  "soon",
  "30s",
  "KEEP",
  "1,5",
  "9999999999",
];
const lease = ["", "0", ...wholeNumber];
const writes = { ...any, version: wholeNumber, ttl: ["", "%201", ...ttl], lease };
const watches = {
  ...reads,
  since: wholeNumber,
  initial: flag,
  prev: flag,
  events: ["", ",", "put,", "PUT", "put;delete", "put,%20delete", "puts", "all"],
};

interface Route {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  /** What the route takes, and what is wrong for each. */
  readonly params: Readonly<Record<string, readonly string[]>>;
  /** Without which there is nothing to ask. */
  readonly with?: string;
  readonly body?: Question["body"];
  readonly headers?: Readonly<Record<string, string>>;
}

const value = { value: "after" };
const events = { accept: "text/event-stream" };
const routes: readonly Route[] = [
  { method: "GET", path: "/keys/k/", params: { ...reads, ...waits, strict: flag } },
  { method: "GET", path: "/keys/k/", params: watches, headers: events },
  { method: "PUT", path: "/keys/k/", params: writes, body: value },
  { method: "POST", path: "/keys/k/", params: writes, body: value },
  { method: "DELETE", path: "/keys/k/", params: writes },
  {
    method: "GET",
    path: "/v1/kv/k",
    params: { ...reads, ...waits, raw: flag, revision: wholeNumber },
  },
  { method: "GET", path: "/v1/kv/k", params: watches, headers: events },
  { method: "PUT", path: "/v1/kv/k", params: { ...writes, prev: flag }, body: value },
  { method: "POST", path: "/v1/kv/k", params: { ...writes, prev: flag }, body: value },
  { method: "DELETE", path: "/v1/kv/k", params: { ...writes, prev: flag } },
  { method: "POST", path: "/v1/kv/n/increment", params: any, body: {} },
  {
    method: "GET",
    path: "/v1/kv",
    params: {
      ...reads,
      wait: waits.wait,
      end: [""],
      delimiter: [""],
      since: wholeNumber,
      revision: wholeNumber,
      limit: ["0", "1001", ...wholeNumber],
      cursor: ["", "x", "AAAA", "%00", "..%2F", "null"],
      reverse: flag,
      keys_only: flag,
      count_only: flag,
    },
  },
  {
    method: "DELETE",
    path: "/v1/kv",
    params: { ...any, prefix: [""], all: [...flag, "false", "0"] },
  },
  {
    method: "POST",
    path: "/v1/txn",
    params: { ...any, fail: ["", "200", "true", "409.0"] },
    body: {},
  },
  {
    method: "POST",
    path: "/v1/batch/get",
    params: { ...reads, revision: wholeNumber },
    body: { keys: ["k"] },
  },
  { method: "GET", path: "/v1/watch", with: "key=k", params: watches },
  { method: "POST", path: "/v1/leases", params: any, body: { ttl: 30 } },
  {
    method: "GET",
    path: "/v1/leases/7",
    with: "keys",
    params: { ...any, limit: ["0", "1001", ...wholeNumber], cursor: ["", "x", "%00", "..%2F"] },
  },
  { method: "GET", path: "/v1/leases/7", params: { keys: flag, limit: ["1"], cursor: ["AAAA"] } },
  { method: "PUT", path: "/v1/leases/7", params: any },
  { method: "DELETE", path: "/v1/leases/7", params: any },
  { method: "GET", path: "/v1/locks/l", params: any },
  { method: "POST", path: "/v1/locks/l", params: any, body: { owner: "a", ttl: 30 } },
  { method: "PUT", path: "/v1/locks/l", params: any, body: { token: 1, ttl: 30 } },
  { method: "DELETE", path: "/v1/locks/l", params: { ...any, token: wholeNumber } },
  { method: "GET", path: "/livez", params: {} },
  { method: "GET", path: "/readyz", params: { verbose: flag } },
  { method: "GET", path: "/version", params: {} },
  { method: "GET", path: "/v1/status", params: {} },
];

/** Names that no route knows. */
const unknown = ["unknown=1", "=1", "__proto__=1", "constructor=1", "%00=1", "timeout%20=1s"];
const unreadable = ["%ff=1", "%zz=1", "unknown=%", "%ED%A0%80=1"];

describe.each(routes)("$method $path $headers", (route) => {
  const { method, path, params, headers = {}, body } = route;
  const question: Question = { method, headers, ...(body !== undefined && { body }) };

  async function refuse(query: string): Promise<void> {
    const whole = [route.with, query].filter((part) => part !== undefined).join("&");
    await refusals.expect(`${path}?${whole}`, question, { code: "INVALID_PARAM" });
  }

  test.each(Object.entries(params))("%s: none of these values", async (name, values) => {
    // A bound of staleness needs a stale read.
    const before = name === "max_stale" ? "consistency=stale&" : "";
    for (const wrong of values) await refuse(`${before}${name}=${wrong}`);
  });

  test("a parameter in another case is another one", async () => {
    for (const name of Object.keys(params)) {
      await refuse(`${name.toUpperCase()}=1`);
      await refuse(`${name.slice(0, -1)}=1`);
    }
  });

  test("a parameter is given once", async () => {
    for (const name of Object.keys(params)) {
      await refuse(`${name}=1&${name}=1`);
      await refuse(`${name}=1&%${name.charCodeAt(0).toString(16)}${name.slice(1)}=2`);
    }
  });

  test("a parameter that nobody knows, or that cannot be read, is not passed over", async () => {
    for (const query of [...unknown, ...unreadable]) await refuse(query);
  });
});

describe("parameters that take the meaning from each other", () => {
  test.each([
    ["GET", "/keys/k/?max_stale=1s"],
    ["GET", "/v1/kv/k?revision=1&since=1"],
    ["GET", "/v1/kv/k?revision=1&wait=1s"],
    ["GET", "/v1/kv?prefix=a&start=b"],
    ["GET", "/v1/kv?prefix=a&end=b"],
    ["GET", "/v1/kv?since=2&revision=1"],
    ["GET", "/v1/kv?count_only&limit=1"],
    ["GET", "/v1/kv?count_only&reverse"],
    ["GET", "/v1/kv?count_only&keys_only"],
    ["GET", "/v1/watch"],
    ["GET", "/v1/watch?key=k&prefix=k"],
    ["GET", "/v1/watch?key=k&initial&since=1"],
    ["GET", "/v1/watch?key=k&initial&events=delete"],
    ["DELETE", "/v1/kv"],
    ["DELETE", "/v1/kv?prefix=k&all"],
    ["DELETE", "/keys/k/?ttl=30"],
    ["DELETE", "/keys/k/?lease=1"],
    ["DELETE", "/v1/locks/l"],
  ] as const)("%s %s", async (method, path) => {
    await refusals.expect(path, { method }, { code: "INVALID_PARAM" });
  });

  test.each(["version=1", "ttl=30", "lease=1"])(
    "%s in the query and in the body",
    async (query) => {
      const [name = "", number] = query.split("=");
      const body = { value: "after", [name]: Number(number) };
      for (const path of ["/keys/k/", "/v1/kv/k"]) {
        await refusals.expect(
          `${path}?${query}`,
          { method: "PUT", body },
          { code: "INVALID_PARAM" },
        );
      }
    },
  );
});
