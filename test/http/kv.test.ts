/** `/v1/kv/<key>`: the full presentation. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Lab } from "../service/lab.ts";
import { failureIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
let key: string;
let path: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  key = `key-${++count}`;
  path = `/v1/kv/${key}`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function put(body: Readonly<Record<string, unknown>>, query = ""): Promise<Reply> {
  return site.ask(path + query, { method: "PUT", body });
}

function putBytes(body: Uint8Array | string, type: string): Promise<Reply> {
  return site.ask(path, { method: "PUT", headers: { "content-type": type }, body });
}

async function bodyOf(reply: Promise<Reply>): Promise<Record<string, unknown>> {
  return JSON.parse((await reply).text) as Record<string, unknown>;
}

describe("writing", () => {
  test("201 for a new key and 200 for an old one, with all that is known of it", async () => {
    const first = await put({ value: "a" });
    const revision = Number(first.headers["quorate-revision"]);
    expect(first.status).toBe(201);
    expect(JSON.parse(first.text)).toEqual({
      key,
      version: 1,
      create_revision: revision,
      mod_revision: revision,
    });
    expect(first.headers["etag"]).toBe(`"${revision}"`);
    const second = await site.ask(path, { method: "POST", body: { value: "b" } });
    expect(second.status).toBe(200);
    expect(JSON.parse(second.text)).toEqual({
      key,
      version: 2,
      create_revision: revision,
      mod_revision: revision + 1,
    });
  });

  test("prev=true adds what the key was before", async () => {
    expect(await bodyOf(put({ value: "a" }, "?prev=true"))).toMatchObject({
      version: 1,
      prev: null,
    });
    const body = await bodyOf(put({ value: "b" }, "?prev"));
    expect(body).toMatchObject({
      version: 2,
      prev: { key, value: "a", encoding: "utf8", version: 1 },
    });
    expect(await bodyOf(put({ value: "c" }, "?prev=false"))).not.toHaveProperty("prev");
  });

  test("a replay has no prev, which would say that the key is new (section 3)", async () => {
    const ask = (method: "PUT" | "DELETE") =>
      site.ask(`${path}?prev`, {
        method,
        headers: { "idempotency-key": `${key}-${method}` },
        ...(method === "PUT" && { body: { value: "b" } }),
      });
    await put({ value: "a" });
    for (const method of ["PUT", "DELETE"] as const) {
      const first = await bodyOf(ask(method));
      const { prev, ...rest } = first;
      expect(prev).toMatchObject({ value: method === "PUT" ? "a" : "b" });
      const again = await bodyOf(ask(method));
      expect(again).toEqual(rest);
    }
  });

  test.each([
    ["utf8", "text", "text", "utf8"],
    ["base64", "dGV4dA==", "text", "utf8"],
    ["base64", "", "", "utf8"],
    ["base64", "//4=", "//4=", "base64"],
  ])("a value as %s %j is read as %j in %s", async (encoding, value, read, readEncoding) => {
    await put({ value, encoding });
    expect(await bodyOf(site.ask(path))).toMatchObject({ value: read, encoding: readEncoding });
  });

  test.each(["application/octet-stream", "text/plain", "text/plain; charset=utf-8"])(
    "a body of %s is stored as it is",
    async (type) => {
      const bytes = Buffer.from('{"value":"not JSON here"}\n\u0000');
      expect((await putBytes(bytes, type)).status).toBe(201);
      expect((await site.ask(`${path}?raw`)).bytes).toEqual(new Uint8Array(bytes));
    },
  );

  test("a body of no bytes is a value of none", async () => {
    expect((await putBytes("", "application/octet-stream")).status).toBe(201);
    expect(await bodyOf(site.ask(path))).toMatchObject({ value: "", version: 1 });
  });
});

describe("reading", () => {
  test("a key with all that is known of it", async () => {
    await put({ value: "a" });
    const { headers } = await put({ value: "b" });
    const revision = Number(headers["quorate-revision"]);
    const reply = await site.ask(path);
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toEqual({
      key,
      value: "b",
      encoding: "utf8",
      version: 2,
      create_revision: revision - 1,
      mod_revision: revision,
    });
    expect(reply.headers).toMatchObject({ etag: `"${revision}"`, "quorate-version": "2" });
  });

  test("a missing key is a 404", async () => {
    expect(failureIn(await site.ask(path))).toMatchObject({ status: 404, code: "KEY_NOT_FOUND" });
    expect(await site.ask(path, { method: "HEAD" })).toMatchObject({ status: 404, text: "" });
  });

  test.each([
    ["?raw", {}],
    ["?raw=true", {}],
    ["", { accept: "application/octet-stream" }],
    ["", { accept: "text/html, application/octet-stream;q=0.9" }],
  ])("%s %j: the bytes, which no browser takes for a page", async (query, headers) => {
    const bytes = Uint8Array.of(0, 0xff, 0x3c, 0x68);
    await putBytes(bytes, "application/octet-stream");
    const reply = await site.ask(path + query, { headers });
    expect(reply.bytes).toEqual(bytes);
    expect(reply.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-length": "4",
      "x-content-type-options": "nosniff",
      "content-security-policy": "sandbox",
    });
  });

  test("what the client has already is not sent again, whatever the form", async () => {
    const { headers } = await put({ value: "a" });
    const etag = headers["etag"] ?? "";
    for (const url of [path, `${path}?raw`]) {
      const reply = await site.ask(url, { headers: { "if-none-match": etag } });
      expect(reply).toMatchObject({ status: 304, text: "" });
    }
  });

  test("HEAD is GET without the body", async () => {
    await put({ value: "a" });
    const head = await site.ask(path, { method: "HEAD" });
    const got = await site.ask(path);
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["content-length"]).toBe(String(got.text.length));
    expect(head.headers["etag"]).toBe(got.headers["etag"]);
  });

  test("revision=N reads the past", async () => {
    const { headers } = await put({ value: "a" });
    const revision = Number(headers["quorate-revision"]);
    await put({ value: "b" });
    await site.ask(path, { method: "DELETE" });
    const at = (offset: number) => site.ask(`${path}?revision=${revision + offset}`);
    expect((await at(-1)).status).toBe(404);
    expect(JSON.parse((await at(0)).text)).toMatchObject({ value: "a", version: 1 });
    expect(JSON.parse((await at(1)).text)).toMatchObject({ value: "b", version: 2 });
    expect((await at(2)).status).toBe(404);
    expect(failureIn(await at(3))).toEqual({
      status: 400,
      code: "REVISION_IN_FUTURE",
      outcome: "not_applied",
    });
  });
});

describe("deleting", () => {
  test("says how many keys are gone, and at which revision", async () => {
    const { headers } = await put({ value: "a" });
    const revision = Number(headers["quorate-revision"]) + 1;
    const gone = await site.ask(path, { method: "DELETE" });
    expect(gone.status).toBe(200);
    expect(JSON.parse(gone.text)).toEqual({ deleted: 1, revision });
    const again = await site.ask(path, { method: "DELETE" });
    expect(JSON.parse(again.text)).toEqual({ deleted: 0, revision });
    expect((await site.ask(path)).status).toBe(404);
  });

  test("prev=true adds what the key was", async () => {
    await put({ value: "a" });
    const gone = await bodyOf(site.ask(`${path}?prev=true`, { method: "DELETE" }));
    expect(gone).toMatchObject({ deleted: 1, prev: { key, value: "a", version: 1 } });
    const again = await bodyOf(site.ask(`${path}?prev=true`, { method: "DELETE" }));
    expect(again).toMatchObject({ deleted: 0, prev: null });
  });
});

test("a key that is created again is at version 1 again", async () => {
  await put({ value: "a" });
  await put({ value: "b" });
  await site.ask(path, { method: "DELETE" });
  expect(await bodyOf(put({ value: "c" }))).toMatchObject({ version: 1 });
});

test("both presentations show one store", async () => {
  await put({ value: "text" });
  expect((await site.ask(`/keys/${key}/`)).text).toBe('{"value":"text"}');
  await site.ask(`/keys/${key}`, { method: "POST", body: { value: "other" } });
  expect(await bodyOf(site.ask(path))).toMatchObject({ value: "other", version: 2 });
});
