/** `POST /v1/batch/get`: several keys, as they were at one revision (section 2). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { BATCH_BYTES_MAX, BATCH_KEYS_MAX } from "../../src/http/limits.ts";
import type { Lab } from "../service/lab.ts";
import { failureIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let revision: number;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
  await write("a", "1");
  await write("é", "2");
  const { headers } = await write("a", "3");
  revision = Number(headers["quorate-revision"]);
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function write(key: string, value: string): Promise<Reply> {
  return site.ask(`/v1/kv/${encodeURIComponent(key)}`, { method: "PUT", body: { value } });
}

function get(keys: unknown, query = ""): Promise<Reply> {
  return site.ask(`/v1/batch/get${query}`, { method: "POST", body: { keys } });
}

test("keys come in the order in which they are named, null where one is missing", async () => {
  const reply = await get(["é", "none", "a", { key: "YQ==", encoding: "base64" }, { key: "a" }]);
  expect(reply.status).toBe(200);
  const a = JSON.parse((await site.ask("/v1/kv/a")).text) as unknown;
  expect(JSON.parse(reply.text)).toEqual({
    items: [expect.objectContaining({ key: "é", value: "2" }), null, a, a, a],
    revision,
  });
  expect(reply.headers).toMatchObject({ "quorate-store-revision": String(revision) });
});

test("revision reads all of them as they were then", async () => {
  const reply = await get(["a", "é"], `?revision=${revision - 2}`);
  expect(JSON.parse(reply.text)).toMatchObject({ items: [{ value: "1" }, null] });
  expect(failureIn(await get(["a"], `?revision=${revision + 99}`))).toMatchObject({ status: 400 });
});

test("no keys are no items, and as many as may be are all answered", async () => {
  expect(JSON.parse((await get([])).text)).toEqual({ items: [], revision });
  const all = JSON.parse((await get(Array(BATCH_KEYS_MAX).fill("a"))).text) as { items: unknown[] };
  expect(all.items).toHaveLength(BATCH_KEYS_MAX);
});

test.each([
  ["no array", "a", 400, "INVALID_PARAM"],
  ["no keys", undefined, 400, "INVALID_PARAM"],
  ["too many", Array(BATCH_KEYS_MAX + 1).fill("a"), 400, "INVALID_PARAM"],
  ["an empty key", [""], 400, "INVALID_KEY"],
  ["a number", [1], 400, "INVALID_KEY"],
  ["bad base64", [{ key: "YQ", encoding: "base64" }], 400, "INVALID_KEY"],
  ["an unknown encoding", [{ key: "YQ", encoding: "hex" }], 400, "INVALID_KEY"],
  ["an unknown property", [{ key: "a", x: 1 }], 400, "INVALID_PARAM"],
  ["half a surrogate pair", ["\ud800"], 400, "INVALID_KEY"],
  ["a key that is too long", ["k".repeat(4_097)], 414, "KEY_TOO_LONG"],
])("%s is refused", async (_name, keys, status, code) => {
  expect(failureIn(await get(keys))).toEqual({ status, code, outcome: "not_applied" });
});

test("more than an answer can hold is a 413", async () => {
  const size = 1024 * 1024;
  await write("big", "v".repeat(size));
  const most = Math.floor(BATCH_BYTES_MAX / (size + 3));
  expect((await get(Array(most).fill("big"))).status).toBe(200);
  const reply = await get(Array(most + 1).fill("big"));
  expect(failureIn(reply)).toMatchObject({ status: 413, code: "VALUE_TOO_LARGE" });
});
