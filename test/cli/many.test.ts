/** `quorate list` and `txn` against a running node. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { QuorateClient } from "../../src/client/index.ts";
import { documents, printed } from "./run.ts";
import { Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await Site.start();
  const success = ["a", "b/1", "b/2", "c"].map((name) => ({
    put: { key: `many/${name}`, value: name },
  }));
  printed(await site.run(["txn"], { input: JSON.stringify({ success }) }));
}, 30_000);
afterAll(() => site.end());

async function listed(...args: string[]): Promise<unknown[]> {
  const found = documents(await site.run(["list", ...args]));
  return found.map(({ key, prefix }) => key ?? prefix);
}

describe("list", () => {
  test("a line of JSON for each key, in order", async () => {
    const [first, ...others] = documents(await site.run(["list", "many/"]));
    expect(first).toMatchObject({ key: "many/a", value: "a", version: 1 });
    expect(others).toHaveLength(3);
  });

  test("limits, the other direction, delimiters, and only keys", async () => {
    expect(await listed("many/", "--limit", "2")).toEqual(["many/a", "many/b/1"]);
    expect(await listed("many/", "--reverse", "--limit", "1")).toEqual(["many/c"]);
    const grouped = ["many/a", "many/b/", "many/c"];
    expect(await listed("many/", "--delimiter", "/")).toEqual(grouped);
    expect(await listed("many/", "--delimiter", "/", "--reverse")).toEqual(grouped.toReversed());
    const [only] = documents(await site.run(["list", "many/a", "--keys-only"]));
    expect(only).not.toHaveProperty("value");
  });

  test("more than a page of a node, and how many there are", async () => {
    const client = new QuorateClient({ endpoints: [site.endpoints] });
    onTestFinished(() => client.close());
    for (let from = 0; from < 1_100; from += 100) {
      const success = Array.from({ length: 100 }, (_, at) => ({
        put: { key: `page/${String(from + at).padStart(4, "0")}`, value: "" },
      }));
      await client.txn({ success });
    }
    const all = await listed("page/");
    const names = Array.from({ length: 1_100 }, (_, at) => `page/${String(at).padStart(4, "0")}`);
    expect(all).toEqual(names);
    expect(await listed("page/", "--limit", "1050")).toEqual(all.slice(0, 1_050));
    expect(printed(await site.run(["list", "page/", "--count"]))).toEqual({ count: 1_100 });
  });

  test("as it was at a revision", async () => {
    const { revision } = printed(await site.run(["put", "past/a", "1"]));
    await site.run(["put", "past/b", "2"]);
    expect(await listed("past/", "--revision", String(revision))).toEqual(["past/a"]);
  });

  test("a reader that has enough ends it quietly", async () => {
    const running = site.start(["list", "page/"]);
    running.closeOutput();
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("txn", () => {
  test("what looks like a property within a text is none", async () => {
    const value = '"success": [\\",": {}';
    const input = JSON.stringify({ success: [{ put: { key: 'txn/:"', value } }] });
    expect(printed(await site.run(["txn"], { input }))).toMatchObject({ succeeded: true });
    expect(printed(await site.run(["get", 'txn/:"']))).toMatchObject({ value });
  });

  const swap = {
    compare: [
      { key: "many/a", op: "!=", value: "z" },
      { key: "many/none", exists: false },
    ],
    success: [
      { put: { key: "txn/a", value: "/w==", encoding: "base64", ttl: 60, prev: true } },
      { put: { key: "many/a", value: "new", prev: true } },
      { get: { prefix: "many/b", limit: 1, keys_only: false } },
      { get: { key: "many/c", keys_only: true, limit: 1 } },
      { get: { key: "many/c", count_only: true } },
      { increment: { key: "txn/n", by: 2, initial: 40 } },
      { delete: { key: "many/c", prev: true } },
      { delete_prefix: { prefix: "nowhere/" } },
    ],
    failure: [{ get: { key: "many/a" } }],
  };

  test("all or nothing, as POST /v1/txn has it; exit code 1 where it did not hold", async () => {
    const input = JSON.stringify(swap);
    const done = printed(await site.run(["txn"], { input }));
    expect(done).toMatchObject({
      succeeded: true,
      results: [
        { put: { version: 1 } },
        { put: { version: 2, prev: { key: "many/a", value: "a" } } },
        { get: { items: [{ key: "many/b/1", value: "b/1" }], count: 2, more: true } },
        { get: { items: [{ key: "many/c", value: "" }], count: 1, more: false } },
        { get: { items: [], count: 1, more: false } },
        { increment: { value: 42, version: 1 } },
        { delete: { deleted: 1, prev: [{ key: "many/c", value: "c" }] } },
        { delete: { deleted: 0 } },
      ],
    });
    const bytes = printed(await site.run(["get", "txn/a"]));
    expect(bytes).toMatchObject({ value: "/w==", encoding: "base64" });
    expect(bytes["ttl_ms"]).toBeGreaterThan(0);
    const failing = { ...swap, compare: [{ key: "many/a", version: 1 }] };
    const { code, stdout } = await site.run(["txn"], { input: JSON.stringify(failing) });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      succeeded: false,
      results: [{ get: { items: [{ key: "many/a", value: "new" }] } }],
    });
  });

  test("bytes that are no UTF-8 are no transaction, and not stored as something else", async () => {
    const text = '{"success":[{"put":{"key":"a","value":"?"}}]}';
    const input = Buffer.from(text);
    input[text.indexOf("?")] = 0xff;
    const { code, stdout, stderr } = await site.run(["txn"], { input });
    expect(stderr).toContain("standard input has no transaction: it is no UTF-8; quorate txn");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("from a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "quorate-txn-"));
    const file = join(folder, "txn.json");
    writeFileSync(file, '{"success":[{"put":{"key":"filed","value":"1"}}]}');
    expect(printed(await site.run(["txn", "--file", file]))).toMatchObject({ succeeded: true });
    rmSync(folder, { recursive: true });
    const { code, stderr } = await site.run(["txn", "--file", file]);
    expect(stderr).toContain(`cannot read --file ${file}: ENOENT`);
    expect(code).toBe(2);
  });

  test.each([
    ["{", "in JSON at position 1"],
    ["[]", "expected object"],
    ['{"sucess":[]}', '"sucess"'],
    [
      '{"success":[{"put":{"key":"a","value":"1","tll":5}}]}',
      'success.0.put: Unrecognized key: "t',
    ],
    ['{"success":[{"put":{"key":"a","value":"1","ttl":5,"lease":1}}]}', "either ttl or lease"],
    ['{"success":[{"put":{"key":"","value":"1"}}]}', "at least one character"],
    ['{"success":[{"get":{}}]}', "either key or prefix"],
    ['{"success":[{}]}', "name exactly one of put, get"],
    ['{"compare":[{"key":"a"}]}', "name exactly one of version"],
    ['{"compare":[{"key":"a","version":1,"value":"1"}]}', "name exactly one of version"],
    ['{"compare":[{"key":"a","exists":true,"op":"<"}]}', '"exists" takes no op'],
    [
      '{"success":[{"put":{"key":"a","value":"!!!not base64","encoding":"base64"}}]}',
      "success.0.put.value: it is not base64",
    ],
    ['{"success":[{"put":{"key":"a","value":"YQ","encoding":"base64"}}]}', "it is not base64"],
    ['{"compare":[{"key":"a","value":"YR==","encoding":"base64"}]}', "compare.0.value: it is not"],
    [
      '{"success":[{"put":{"key":"a","value":"1"}}],"success":[]}',
      "an object names a property twice",
    ],
    [
      '{"success":[{"put":{"key":"a:\\":","value":"{\\\\","value":"1"}}]}',
      "an object names a property twice",
    ],
    ['{"success":[{"put":{"key":"a","value":"1","ttl":1e306}}]}', "success.0.put.ttl: "],
    ['{"success":[{"put":{"key":"a","value":"1","ttl":0}}]}', "use 0.1 to 3162240000 seconds"],
    ['{"success":[{"put":{"key":"a","value":"1","ttl":"9999999999"}}]}', "success.0.put.ttl: "],
  ])("%s is no transaction, and nothing is sent", async (input, expected) => {
    const { code, stdout, stderr } = await site.run(["txn"], { input });
    expect(stderr).toMatch(/^quorate: standard input has no transaction: .*\n$/);
    expect(stderr).toContain(expected);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});
