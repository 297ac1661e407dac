/** Keys in paths, sent as they are: no client between that would resolve them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keyFromUrl } from "../../src/http/key-path.ts";
import type { Lab, LabNode } from "../service/lab.ts";
import { keyFor } from "../service/lab.ts";
import { errorIn, parseRaw, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let node: LabNode;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

/** What comes after `/keys/`, and the key that it names. */
const keys: readonly [string, string][] = [
  ["a", "a"],
  ["a/", "a"],
  ["a//", "a/"],
  ["a%2F", "a/"],
  ["a%2f/", "a/"],
  ["/a/", "/a"],
  ["a/b/c/", "a/b/c"],
  ["a//b/", "a//b"],
  ["./", "."],
  ["../", ".."],
  ["../../etc/passwd", "../../etc/passwd"],
  ["a/../b/", "a/../b"],
  ["%2e%2e/", ".."],
  ["__proto__/", "__proto__"],
  ["constructor/", "constructor"],
  ["a%00b/", "a\u0000b"],
  ["%00/", "\u0000"],
  ["a%20b/", "a b"],
  ["a+b/", "a+b"],
  ["a;b=c/", "a;b=c"],
  ["a:b@c,d!$&'()*=/", "a:b@c,d!$&'()*="],
  ['a"<>\\^`{|}/', 'a"<>\\^`{|}'],
  ["%25/", "%"],
  ["%252F/", "%2F"],
  ["%3Fa%23b/", "?a#b"],
  ["gr%C3%BC%C3%9Fe/", "grüße"],
  ["%E4%B8%96%E7%95%8C/", "世界"],
  ["%F0%9F%91%A9/", "👩"],
  [".well-known/x/", ".well-known/x"],
  ["v1/kv/a/", "v1/kv/a"],
  ["keys/", "keys"],
  [`${"x".repeat(1_024)}/`, "x".repeat(1_024)],
  [`${"%41".repeat(1_024)}/`, "A".repeat(1_024)],
  [`${"%C3%BC".repeat(512)}/`, "ü".repeat(512)],
];

describe.each(["/keys/", "/v1/kv/"])("%s", (prefix) => {
  test.each(keys)("%s is the key %j", async (path, key) => {
    const value = `${prefix}${path.slice(0, 100)}`;
    const question = { method: "PUT", body: { value } } as const;
    const reply = await site.askOverTcp(`${prefix}${path}`, question);
    expect([200, 201]).toContain(reply.status);
    const stored = node.store.get(keyFor(key))?.value ?? new Uint8Array();
    expect(Buffer.from(stored).toString()).toBe(value);
    const read = await site.askOverTcp(`${prefix}${path}`);
    expect(JSON.parse(read.text)).toMatchObject({ value });
    if (prefix === "/v1/kv/") expect(JSON.parse(read.text)).toMatchObject({ key });
  });

  test.each([
    ["", 400, "INVALID_KEY"],
    ["/", 400, "INVALID_KEY"],
    ["%", 400, "INVALID_KEY"],
    ["a%2", 400, "INVALID_KEY"],
    ["a%zz/", 400, "INVALID_KEY"],
    ["%ff/", 400, "INVALID_KEY"],
    ["%C3/", 400, "INVALID_KEY"],
    ["%C0%AF/", 400, "INVALID_KEY"],
    ["%ED%A0%80/", 400, "INVALID_KEY"],
    [`${"x".repeat(1_025)}/`, 414, "KEY_TOO_LONG"],
    [`${"%41".repeat(1_025)}/`, 414, "KEY_TOO_LONG"],
    [`${"%C3%BC".repeat(513)}/`, 414, "KEY_TOO_LONG"],
  ])("%s is no key", async (path, status, code) => {
    const { revision } = node.store;
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      const body = method === "PUT" ? { body: { value: "x" } } : {};
      const reply = await site.askOverTcp(`${prefix}${path}`, { method, ...body });
      expect(reply.status).toBe(status);
      expect(errorIn(reply)).toMatchObject({ code, outcome: "not_applied" });
    }
    expect(node.store.revision).toBe(revision);
  });
});

describe("over a raw connection", () => {
  test("a path that is not ASCII is no URL, and so no key", async () => {
    const connection = await site.connect();
    connection.send("GET /keys/grüße/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const { status, body } = parseRaw(await connection.untilClosed());
    expect(status).toBe(400);
    expect(JSON.parse(body)).toMatchObject({ code: "INVALID_KEY", outcome: "not_applied" });
  });

  test("a URL may be whole", async () => {
    await site.ask("/keys/a/", { method: "PUT", body: { value: "here" } });
    const connection = await site.connect();
    connection.send(
      "GET http://x:1/keys/a/?strict HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    expect(parseRaw(await connection.untilClosed())).toMatchObject({
      status: 200,
      body: '{"value":"here"}',
    });
  });
});

test("a route that was found in spite of escapes is not guessed at", () => {
  expect(() => keyFromUrl("/%6beys/a/", "/keys/")).toThrow("no such route");
});
