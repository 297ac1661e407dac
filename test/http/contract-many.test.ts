/** Rules of section 2 of the HTTP API about many keys, on a store of their own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lab } from "../service/lab.ts";
import { type Question, Site } from "./site.ts";

let site: Site;
let lab: Lab;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

type Json = Readonly<Record<string, unknown>>;

async function json(url: string, question: Question = {}): Promise<Json> {
  return JSON.parse((await site.ask(url, question)).text) as Json;
}

async function putMany(count: number): Promise<void> {
  for (let begin = 0; begin < count; begin += 128) {
    const length = Math.min(128, count - begin);
    const success = Array.from({ length }, (_, at) => ({
      put: { key: `many/${String(begin + at).padStart(5, "0")}`, value: "v" },
    }));
    const { status } = await site.ask("/v1/txn", { method: "POST", body: { success } });
    expect(status).toBe(200);
  }
}

test("a page has 100 keys unless it is said, and 1000 at most (section 2)", async () => {
  await putMany(1_001);
  const usual = await json("/v1/kv?prefix=many/&keys_only");
  expect(usual["items"]).toHaveLength(100);
  expect(usual["cursor"]).toBeTypeOf("string");
  expect((await json("/v1/kv?prefix=many/&keys_only&limit=1000"))["items"]).toHaveLength(1_000);
  expect((await site.ask("/v1/kv?limit=1001")).status).toBe(400);
});

test("of increments at once, none is lost (section 2: an atomic counter)", async () => {
  const url = "/v1/kv/counter/increment";
  const before = Number((await json("/v1/status"))["revision"]);
  const all = await Promise.all(
    Array.from({ length: 50 }, () => json(url, { method: "POST", body: { by: 2, initial: 100 } })),
  );
  const values = all.map(({ value }) => Number(value)).toSorted((a, b) => a - b);
  expect(values).toEqual(Array.from({ length: 50 }, (_, at) => 102 + 2 * at));
  expect((await json("/v1/status"))["revision"]).toBe(before + 50);
});

test("a transaction is one revision, whatever is in it (section 2)", async () => {
  const success = [
    { put: { key: "one/a", value: "1" } },
    { put: { key: "one/b", value: "2" } },
    { increment: { key: "one/c" } },
    { delete_prefix: { prefix: "many/0000" } },
  ];
  const before = Number((await json("/v1/status"))["revision"]);
  const { revision } = await json("/v1/txn", { method: "POST", body: { success } });
  expect(revision).toBe(before + 1);
  const { items } = (await json("/v1/kv?prefix=one/")) as { items: Json[] };
  expect(items.map((item) => item["mod_revision"])).toEqual([revision, revision, revision]);
});

test("DELETE /v1/kv?all=true deletes all there is, under one revision (section 2)", async () => {
  const { count } = await json("/v1/kv?count_only");
  const before = Number((await json("/v1/status"))["revision"]);
  expect(count).toBeGreaterThan(100);
  const gone = await json("/v1/kv?all=true", { method: "DELETE" });
  expect(gone).toEqual({ deleted: count, revision: before + 1 });
  expect(await json("/v1/kv")).toMatchObject({ items: [], count: 0 });
});
