/** `/keys/<key>/`: the simple presentation. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { Lab } from "../service/lab.ts";
import { errorIn, failureIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let count = 0;
/** A path that nobody has written to. */
let path: string;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

beforeEach(() => {
  path = `/keys/key-${++count}/`;
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function put(value: string, more: Readonly<Record<string, unknown>> = {}): Promise<Reply> {
  return site.ask(path, { method: "PUT", body: { value, ...more } });
}

function revisionIn(reply: Reply): number {
  return Number(reply.headers["quorate-revision"]);
}

describe("reading", () => {
  test("a missing key is an empty value of version 0, without an ETag", async () => {
    const reply = await site.ask(path);
    expect(reply).toMatchObject({ status: 200, text: '{"value":""}' });
    expect(reply.headers).toMatchObject({ "quorate-version": "0", "cache-control": "no-store" });
    expect(reply.headers).not.toHaveProperty("etag");
    expect(reply.headers).not.toHaveProperty("quorate-revision");
  });

  test.each(["strict", "strict=true", "strict=1"])(
    "%s makes a missing key a 404",
    async (query) => {
      expect(failureIn(await site.ask(`${path}?${query}`))).toEqual({
        status: 404,
        code: "KEY_NOT_FOUND",
        outcome: "not_applied",
      });
      await put("");
      expect(await site.ask(`${path}?${query}`)).toMatchObject({
        status: 200,
        text: '{"value":""}',
      });
    },
  );

  test("an empty value is told from a missing key by its headers", async () => {
    await put("");
    const reply = await site.ask(path);
    expect(reply.text).toBe('{"value":""}');
    expect(reply.headers["quorate-version"]).toBe("1");
    expect(reply.headers["etag"]).toMatch(/^"\d+"$/);
  });

  test("the headers say what the key is, and who answered", async () => {
    await put("1");
    const written = await put("2");
    await site.ask("/keys/another/", { method: "PUT", body: { value: "x" } });
    const { headers } = await site.ask(path);
    const revision = revisionIn(written);
    expect(headers).toMatchObject({
      etag: `"${revision}"`,
      "quorate-version": "2",
      "quorate-revision": String(revision),
      "quorate-store-revision": String(revision + 1),
      "quorate-node": "n1",
      "quorate-leader": "http://n1.test:4001",
      "quorate-term": "1",
      "quorate-consistency": "linearizable",
      "cache-control": "no-store",
    });
    expect(headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(headers).not.toHaveProperty("quorate-last-contact-ms");
    expect(headers["request-id"]).toMatch(/^[\w-]{8,}$/);
  });

  test("what has not changed is not sent again", async () => {
    const etag = must((await put("v")).headers["etag"], "an ETag");
    const known = await site.ask(path, { headers: { "if-none-match": etag } });
    expect(known).toMatchObject({ status: 304, text: "" });
    expect(known.headers["etag"]).toBe(etag);
    await put("w");
    const news = await site.ask(path, { headers: { "if-none-match": etag } });
    expect(news).toMatchObject({ status: 200, text: '{"value":"w"}' });
    const any = await site.ask(path, { headers: { "if-none-match": "*" } });
    expect(any.status).toBe(304);
  });

  test("a missing key matches no ETag", async () => {
    for (const tag of ['"1"', "*"]) {
      const reply = await site.ask(path, { headers: { "if-none-match": tag } });
      expect(reply).toMatchObject({ status: 200, text: '{"value":""}' });
    }
  });

  test("HEAD is GET without the body", async () => {
    await put("hello");
    const { headers: got, text } = await site.ask(path);
    const head = await site.ask(path, { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, text: "" });
    const { date: _d1, "request-id": _r1, ...expected } = got;
    const { date: _d2, "request-id": _r2, ...headers } = head.headers;
    expect(headers).toEqual({ ...expected, "content-length": String(text.length) });
  });

  test("bytes that are not text are not shown as something else", async () => {
    const body = Uint8Array.of(0xff, 0xfe);
    const headers = { "content-type": "application/octet-stream" };
    await site.ask(path.replace("/keys/", "/v1/kv/"), { method: "PUT", headers, body });
    expect(failureIn(await site.ask(path))).toMatchObject({ status: 406, code: "NOT_ACCEPTABLE" });
  });
});

describe("writing", () => {
  test.each(["POST", "PUT"] as const)("%s sets the value and says where it is", async (method) => {
    const first = await site.ask(path, { method, body: { value: "v" } });
    expect(first).toMatchObject({ status: 200, text: '{"value":"v"}' });
    const revision = revisionIn(first);
    expect(first.headers).toMatchObject({
      etag: `"${revision}"`,
      "quorate-version": "1",
      "quorate-store-revision": String(revision),
    });
    const second = await site.ask(path, { method, body: { value: "w" } });
    expect(revisionIn(second)).toBe(revision + 1);
    expect(second.headers["quorate-version"]).toBe("2");
    expect((await site.ask(path)).text).toBe('{"value":"w"}');
  });

  test.each([
    ["empty", ""],
    ["blank", " "],
    ["to be escaped", 'quotes " and \\ and / and \u0000\u001f\u2028'],
    ["of many scripts", "grüße, 世界, 👩‍👩‍👧‍👦"],
    ["with a byte order mark", "\ufeffx"],
    ["that looks like a body", '{"value":"nested"}'],
    ["of the largest size", "x".repeat(1024 * 1024)],
    ["of the largest size, all escapes", "\u0000".repeat(1024 * 1024)],
  ])("a value %s is kept as it is", async (_name, value) => {
    const reply = await put(value);
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toEqual({ value });
    expect(JSON.parse((await site.ask(path)).text)).toEqual({ value });
  });

  test("the content type may name its character set, or be left out", async () => {
    for (const type of ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']) {
      const headers = { "content-type": type };
      const reply = await site.ask(path, { method: "PUT", headers, body: '{"value":"v"}' });
      expect(reply.status).toBe(200);
    }
    const reply = await site.ask(path, { method: "PUT", body: '{"value":"w"}' });
    expect(reply.status).toBe(200);
  });

  test("the version in the body is a condition", async () => {
    expect((await put("1", { version: 0 })).status).toBe(200);
    expect((await put("2", { version: 1 })).status).toBe(200);
    expect(failureIn(await put("3", { version: 1 }))).toMatchObject({ status: 409 });
    expect((await site.ask(path)).text).toBe('{"value":"2"}');
  });

  test("the ETag is never that of another life of the key (X6)", async () => {
    const first = await put("v");
    await site.ask(path, { method: "DELETE" });
    const second = await put("v");
    expect(second.headers["quorate-version"]).toBe(first.headers["quorate-version"]);
    expect(second.headers["etag"]).not.toBe(first.headers["etag"]);
  });
});

describe("deleting", () => {
  test("says whether the key was there, and may be repeated", async () => {
    const written = await put("v");
    const first = await site.ask(path, { method: "DELETE" });
    expect(first).toMatchObject({ status: 200, text: '{"value":""}' });
    expect(first.headers).toMatchObject({
      "quorate-deleted": "1",
      "quorate-version": "0",
      "quorate-revision": String(revisionIn(written) + 1),
    });
    expect(first.headers).not.toHaveProperty("etag");
    const second = await site.ask(path, { method: "DELETE" });
    expect(second).toMatchObject({ status: 200, text: '{"value":""}' });
    expect(second.headers["quorate-deleted"]).toBe("0");
    expect((await site.ask(path)).headers["quorate-version"]).toBe("0");
  });

  test("a body would be conditions that nobody reads: it is refused", async () => {
    await put("v");
    const reply = await site.ask(path, { method: "DELETE", body: { version: 7 } });
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    expect((await site.ask(path)).text).toBe('{"value":"v"}');
  });
});

describe("the name of a request", () => {
  test("is the client's, if it has given a sensible one", async () => {
    for (const id of ["abc-123", "01JD.9:x/y=~+"]) {
      const reply = await site.ask(path, { headers: { "request-id": id } });
      expect(reply.headers["request-id"]).toBe(id);
      const failed = await site.ask(`${path}?strict`, { headers: { "request-id": id } });
      expect(errorIn(failed).request_id).toBe(id);
    }
  });

  test.each(["", "two words", "x".repeat(129), '"', "{}"])(
    "is the server's own, not %j",
    async (id) => {
      const reply = await site.ask(path, { headers: { "request-id": id } });
      expect(reply.headers["request-id"]).not.toBe(id);
      expect(reply.headers["request-id"]).toMatch(/^[0-9a-f]{12}-\w+$/);
    },
  );

  test("is never given twice", async () => {
    const replies = await Promise.all(Array.from({ length: 50 }, () => site.ask(path)));
    expect(new Set(replies.map(({ headers }) => headers["request-id"])).size).toBe(50);
  });
});
