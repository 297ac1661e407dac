/** What the document says of requests is what the server takes: parameters, headers, bodies. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as bodies from "../../src/http/body-schemas.ts";
import * as clusterBodies from "../../src/http/cluster-bodies.ts";
import { REQUEST_HEADERS, type RequestHeader } from "../../src/http/openapi/headers.ts";
import { incrementBodySchema, txnSchema } from "../../src/http/txn-body.ts";
import type { Lab } from "../service/lab.ts";
import { described, operation } from "./openapi-check.ts";
import { errorIn, type Question, Site } from "./site.ts";

let site: Site;
let lab: Lab;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(async () => {
  await site.ask("/v1/kv/k", { method: "PUT", body: { value: "1" } });
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

/** A value of each parameter that makes sense everywhere. */
const VALUES: Readonly<Record<string, string>> = {
  all: "true",
  consistency: "stale",
  count_only: "true",
  cursor: "none",
  delimiter: "/",
  end: "z",
  events: "put,delete",
  fail: "409",
  initial: "true",
  key: "k",
  keys: "true",
  keys_only: "true",
  lease: "1",
  limit: "10",
  max_stale: "1s",
  min_revision: "1",
  prefix: "k",
  prev: "true",
  raw: "true",
  reverse: "true",
  revision: "1",
  since: "1",
  start: "a",
  strict: "true",
  timeout: "2s",
  token: "1",
  ttl: "60",
  verbose: "true",
  version: "1",
  wait: "1ms",
};

const NOT_KNOWN = /there is no parameter/;
const ended = described.filter(({ operation: { isStream } }) => isStream === undefined);

function upper(method: string): NonNullable<Question["method"]> {
  return method.toUpperCase() as NonNullable<Question["method"]>;
}

describe.each(ended)("$name", ({ operation: { query, example, path }, method }) => {
  const [url = ""] = example.url.split("?");
  const question = {
    method: upper(method),
    ...(example.body !== undefined && { body: example.body }),
  };

  test("knows each parameter that is described, under this very name", async () => {
    for (const name of Object.keys(query.shape)) {
      const { text } = await site.ask(`${url}?${name}=${VALUES[name]}`, question);
      expect(text, `${path} ?${name}=`).not.toMatch(NOT_KNOWN);
    }
  });

  test("knows no other parameter", async () => {
    const others = Object.keys(VALUES).filter((name) => !Object.hasOwn(query.shape, name));
    for (const name of [...others, "Timeout", "__proto__", "constructor"]) {
      const reply = await site.ask(`${url}?${name}=${VALUES[name] ?? "1"}`, question);
      expect(reply.status, `${path} ?${name}=`).toBe(400);
      if (method === "head") continue;
      expect(errorIn(reply)).toMatchObject({ code: "INVALID_PARAM" });
      expect(reply.text).toMatch(NOT_KNOWN);
    }
  });
});

describe.each(["getValue", "getKey", "watch"])("%s with events", (id) => {
  const { query, eventsQuery = query, path } = operation(id);
  const url = path.replace("{key}", "k");

  test("knows no other parameter", async () => {
    const headers = { accept: "text/event-stream" };
    const others = Object.keys(VALUES).filter((name) => !Object.hasOwn(eventsQuery.shape, name));
    for (const name of others) {
      const reply = await site.ask(`${url}?${name}=${VALUES[name]}`, { headers });
      expect(errorIn(reply)).toMatchObject({ code: "INVALID_PARAM" });
      expect(reply.text).toMatch(NOT_KNOWN);
    }
  });

  test("knows each parameter that is described", async () => {
    const headers = { accept: "text/event-stream" };
    for (const name of Object.keys(eventsQuery.shape)) {
      // The second one is wrong, so that no stream begins.
      const reply = await site.ask(`${url}?${name}=${VALUES[name]}&other=1`, { headers });
      expect(errorIn(reply).error).toBe('there is no parameter "other" here');
    }
  });
});

/** A request whose answer shows that the header was read. */
const EFFECTS: Readonly<Record<RequestHeader, Question & { url: string; status: number }>> = {
  "If-Match": { url: "/v1/kv/k", status: 412, headers: { "if-match": '"999"' } },
  "If-None-Match": { url: "/v1/kv/k", status: 304, headers: { "if-none-match": "*" } },
  "Idempotency-Key": {
    url: "/v1/kv/k",
    method: "PUT",
    body: { value: "1" },
    status: 400,
    headers: { "idempotency-key": "two words" },
  },
  Prefer: { url: "/v1/kv?since=999999&prefix=k", status: 304, headers: { prefer: "wait=1" } },
  "Last-Event-ID": {
    url: "/v1/watch?prefix=k",
    status: 400,
    headers: { "last-event-id": "none" },
  },
  Accept: { url: "/v1/kv/k", status: 200, headers: { accept: "application/octet-stream" } },
  "Quorate-Forward": { url: "/v1/kv/k", status: 400, headers: { "quorate-forward": "always" } },
  "Quorate-Timeout-Ms": { url: "/v1/kv/k", status: 400, headers: { "quorate-timeout-ms": "0" } },
  "Request-Id": { url: "/v1/kv/k", status: 200, headers: { "request-id": "mine" } },
};

test.each(Object.keys(REQUEST_HEADERS) as RequestHeader[])(
  "the header %s is read",
  async (name) => {
    const { url, status, ...question } = EFFECTS[name];
    const reply = await site.ask(url, question);
    expect(reply.status).toBe(status);
    if (name === "Accept") expect(reply.headers["content-type"]).toBe("application/octet-stream");
    if (name === "Request-Id") expect(reply.headers["request-id"]).toBe("mine");
  },
);

describe("each operation reads the headers that are described for it", () => {
  const checked = ["If-Match", "Idempotency-Key", "Quorate-Forward", "Quorate-Timeout-Ms"] as const;
  const bad = { "If-Match": "x", "Idempotency-Key": "two words", "Quorate-Forward": "x" };

  test.each(ended.filter(({ method }) => method !== "head"))("$name", async (one) => {
    const { example, headers: names } = one.operation;
    const { url, body } = example;
    for (const name of checked.filter((header) => names.includes(header))) {
      const headers = { [name]: { ...bad, "Quorate-Timeout-Ms": "0" }[name] };
      const reply = await site.ask(url, {
        method: upper(one.method),
        headers,
        ...(body !== undefined && { body }),
      });
      expect(`${name} ${errorIn(reply).code}`).toBe(`${name} INVALID_PARAM`);
    }
  });
});

/** Values that a field may or may not have: schema and server must be of one mind. */
const TRIED: readonly unknown[] = [
  "text",
  "",
  "keep",
  "1",
  "1.5",
  "0",
  "1e3",
  "5s",
  "utf8",
  "base64",
  0,
  1,
  1.5,
  -1,
  99,
  1e30,
  null,
  true,
  [],
  ["k"],
  [""],
  [1],
  [{ key: "k" }],
  [{ key: "k", more: 1 }],
  [{ get: { key: "k" } }],
  [{ key: "k", version: 1 }],
  {},
];

/** Where the schema cannot say all there is to say, in words that the description has. */
const FINER: Readonly<Record<string, readonly unknown[]>> = {
  "takeLock.wait": ["text", "", "keep", "1", "1.5", "0", "1e3", "utf8", "base64"],
  // A compare names one target, which this one does not.
  "transact.compare": [[{ key: "k" }]],
  "putValue.ttl": ["0"],
  "putKey.ttl": ["0"],
  "grantLease.ttl": ["0"],
  // Which URLs there are, and that a change has something to change, no schema says.
  "addMember.peer_url": ["text", "", "keep", "1", "1.5", "0", "1e3", "5s", "utf8", "base64"],
  "changeMembers.add": [[]],
  "takeLock.ttl": ["0"],
  "renewLock.ttl": ["0"],
};

describe.each([
  { id: "putValue", schema: bodies.valueBody },
  { id: "putKey", schema: bodies.kvBody },
  { id: "getKeys", schema: bodies.batchBody },
  { id: "grantLease", schema: bodies.leaseBody },
  { id: "takeLock", schema: bodies.lockBody },
  { id: "renewLock", schema: bodies.lockRenewalBody },
  { id: "transact", schema: txnSchema },
  { id: "addMember", schema: clusterBodies.memberBody },
  { id: "changeMembers", schema: clusterBodies.changesBody },
  { id: "transferLeadership", schema: clusterBodies.leaderBody },
  { id: "incrementKey", schema: incrementBodySchema },
])("the body of $id", ({ id, schema }) => {
  const { example, methods } = operation(id);
  const ask = (body: Readonly<Record<string, unknown>>) =>
    site.ask(example.url, { method: upper(methods[0]), body });

  test("is the one of the document, whose example it accepts", () => {
    const described = operation(id).body?.["application/json"];
    expect(described?.safeParse(example.body).success).toBe(true);
    expect(Object.keys((described as typeof schema).shape)).toEqual(Object.keys(schema.shape));
  });

  test("has fields whose values are refused exactly where the schema refuses them", async () => {
    for (const name of Object.keys(schema.shape)) {
      const finer = (FINER[`${id}.${name}`] ?? []).map((one) => JSON.stringify(one));
      for (const value of TRIED.filter((one) => !finer.includes(JSON.stringify(one)))) {
        const body = { ...example.body, [name]: value };
        const reply = await ask(body);
        const isRefused = reply.status === 400;
        expect(
          `${name}=${JSON.stringify(value)} refused: ${isRefused} ${isRefused ? reply.text : ""}`,
        ).toMatch(`refused: ${!schema.safeParse(body).success}`);
      }
    }
  });

  test("has no other field", async () => {
    for (const name of ["more", "Value", "constructor"]) {
      const reply = await ask({ ...example.body, [name]: 1 });
      expect(errorIn(reply)).toMatchObject({ code: "INVALID_PARAM" });
    }
  });
});
