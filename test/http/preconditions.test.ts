/** Conditions on writes and reads, the same on both presentations. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { Lab } from "../service/lab.ts";
import { errorIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
let key: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  key = `key-${++count}`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

/** What a condition is about: `now` stands for the present ETag. */
interface Case {
  readonly name: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  /** The status where the key is at version 2, and where it is missing. */
  readonly there: number;
  readonly missing: number;
  /** The code, where it is not the usual one of the status. */
  readonly code?: string;
}

const CODES: Readonly<Record<number, string>> = {
  404: "KEY_NOT_FOUND",
  409: "VERSION_MISMATCH",
  412: "PRECONDITION_FAILED",
};

const cases: readonly Case[] = [
  { name: "If-Match of now", headers: { "if-match": '"now"' }, there: 200, missing: 412 },
  { name: "If-Match of then", headers: { "if-match": '"1"' }, there: 412, missing: 412 },
  { name: "If-Match *", headers: { "if-match": "*" }, there: 200, missing: 412 },
  { name: "If-None-Match *", headers: { "if-none-match": "*" }, there: 412, missing: 200 },
  { name: "If-None-Match of now", headers: { "if-none-match": '"now"' }, there: 412, missing: 200 },
  { name: "If-None-Match of then", headers: { "if-none-match": '"1"' }, there: 200, missing: 200 },
  { name: "version=2", query: "version=2", there: 200, missing: 404 },
  { name: "version=1", query: "version=1", there: 409, missing: 404 },
  { name: "version=3", query: "version=3", there: 409, missing: 404 },
  { name: "version=0", query: "version=0", there: 409, missing: 200 },
  {
    name: "two that hold",
    headers: { "if-match": '"now"' },
    query: "version=2",
    there: 200,
    missing: 412,
  },
  {
    name: "two of which one holds",
    headers: { "if-match": '"now"' },
    query: "version=1",
    there: 409,
    missing: 412,
  },
  {
    name: "two of which the other holds",
    headers: { "if-match": '"1"' },
    query: "version=2",
    there: 412,
    missing: 412,
  },
];

const writes = [
  { prefix: "/keys/", method: "PUT" },
  { prefix: "/keys/", method: "POST" },
  { prefix: "/keys/", method: "DELETE" },
  { prefix: "/v1/kv/", method: "PUT" },
  { prefix: "/v1/kv/", method: "DELETE" },
] as const;

/** Makes the key as the case wants it, and returns its mod revision. */
async function prepare(state: "there" | "missing"): Promise<number> {
  if (state === "missing") return 0;
  await site.ask(`/keys/${key}/`, { method: "PUT", body: { value: "1" } });
  const reply = await site.ask(`/keys/${key}/`, { method: "PUT", body: { value: "2" } });
  return Number(reply.headers["quorate-revision"]);
}

describe.each(writes)("$method $prefix", ({ prefix, method }) => {
  describe.each(["there", "missing"] as const)("of a key that is %s", (state) => {
    test.each(cases)("$name", async (about) => {
      const revision = await prepare(state);
      const headers = Object.fromEntries(
        Object.entries(about.headers ?? {}).map(([name, value]) => [
          name,
          value.replace("now", String(state === "there" ? revision : 999_999)),
        ]),
      );
      const reply = await site.ask(`${prefix}${key}?${about.query ?? ""}`, {
        method,
        headers,
        ...(method !== "DELETE" && { body: { value: "3" } }),
      });
      const status = about[state];
      if (status === 200) expect(reply.status).toBeLessThan(300);
      else await expectRefused(reply, { status, revision });
    });
  });
});

async function expectRefused(reply: Reply, about: { status: number; revision: number }) {
  const { status, revision } = about;
  expect(reply.status).toBe(status);
  const { code, outcome, details } = errorIn(reply);
  expect({ code, outcome }).toEqual({ code: CODES[status], outcome: "not_applied" });
  // All that is needed for the next attempt.
  const version = revision === 0 ? 0 : 2;
  expect(details).toMatchObject({ version, mod_revision: revision });
  const now = await site.ask(`/keys/${key}/`);
  expect(now.headers["quorate-version"]).toBe(String(version));
  expect(now.text).toBe(revision === 0 ? '{"value":""}' : '{"value":"2"}');
}

describe("reads", () => {
  test.each(["/keys/", "/v1/kv/"])("%s: If-Match that does not match is a 412", async (prefix) => {
    const revision = await prepare("there");
    const ask = (tag: string) => site.ask(prefix + key, { headers: { "if-match": tag } });
    expect((await ask(`"${revision}"`)).status).toBe(200);
    expect((await ask("*")).status).toBe(200);
    const failed = await ask('"1"');
    expect(failed.status).toBe(412);
    expect(errorIn(failed)).toMatchObject({
      code: "PRECONDITION_FAILED",
      details: { version: 2, mod_revision: revision },
    });
  });
});

test.each([
  ["if-match", 'W/"2"'],
  ["if-none-match", 'W/"2"'],
  ["if-match", "2"],
  ["if-match", '"0"'],
  ["if-none-match", '"0"'],
  ["if-match", '"2", "3"'],
  ["if-none-match", '"two"'],
  ["if-match", ""],
  ["if-match", '"99999999999999999999"'],
])("%s: %s is no condition, so nothing is done", async (name, tag) => {
  await prepare("there");
  const questions = [
    { method: "PUT", body: { value: "3" } },
    { method: "DELETE" },
    { method: "GET" },
  ] as const;
  for (const question of questions) {
    const reply = await site.ask(`/keys/${key}/`, { ...question, headers: { [name]: tag } });
    expect(reply.status).toBe(400);
    expect(errorIn(reply).code).toBe("INVALID_PARAM");
  }
  expect((await site.ask(`/keys/${key}/`)).text).toBe('{"value":"2"}');
});

test("of many who create a key, or update a version of it, one succeeds (X5)", async () => {
  const race = async (query: string) => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        site.ask(`/keys/${key}/?${query}`, { method: "PUT", body: { value: String(at) } }),
      ),
    );
    const winner = replies.findIndex(({ status }) => status === 200);
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(19);
    const now = await site.ask(`/keys/${key}/`);
    expect(now.text).toBe(must(replies[winner], "a winner").text);
  };
  await race("version=0");
  await race("version=1");
});
