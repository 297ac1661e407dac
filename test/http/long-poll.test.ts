/** Long polls: section 2 of the HTTP API. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Lab, LabNode } from "../service/lab.ts";
import { errorIn, failureIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let node: LabNode;
let count = 0;
let key: string;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
});

beforeEach(() => {
  key = `poll-${++count}`;
});

afterAll(async () => {
  expect(node.service.watches.count).toBe(0);
  await site.close();
  await lab.close();
});

function put(value: string): Promise<Reply> {
  return site.ask(`/v1/kv/${key}`, { method: "PUT", body: { value } });
}

/** Begins to wait, and does `then` once the request waits. */
async function meanwhile(waiting: Promise<Reply>, then: () => Promise<unknown>): Promise<Reply> {
  await vi.waitFor(() => expect(node.service.watches.count).toBe(1));
  await then();
  return waiting;
}

describe.each(["/v1/kv/", "/keys/"])("with a tag that is right, %s<key>", (prefix) => {
  test.each([
    ["?wait=30s", {}],
    ["", { prefer: "respond-async, wait=30" }],
  ])("200 on change (%s)", async (query, more) => {
    const { etag = "" } = (await put("1")).headers;
    const headers = { "if-none-match": etag, ...more };
    const reply = await meanwhile(site.ask(prefix + key + query, { headers }), () => put("2"));
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toMatchObject({ value: "2" });
    expect(reply.headers["etag"]).not.toBe(etag);
  });

  test("304 at the timeout, and not before", async () => {
    const { etag = "" } = (await put("1")).headers;
    const start = performance.now();
    const reply = await site.ask(`${prefix}${key}?wait=200ms`, {
      headers: { "if-none-match": etag },
    });
    expect(reply.status).toBe(304);
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  test("a tag that is wrong is answered at once", async () => {
    await put("1");
    const reply = await site.ask(`${prefix}${key}?wait=30s`, {
      headers: { "if-none-match": '"1"' },
    });
    expect(reply.status).toBe(200);
  });
});

test("a delete is a change, too", async () => {
  const { etag = "" } = (await put("1")).headers;
  const headers = { "if-none-match": etag };
  const waiting = site.ask(`/v1/kv/${key}?wait=30s`, { headers });
  const reply = await meanwhile(waiting, () => site.ask(`/v1/kv/${key}`, { method: "DELETE" }));
  expect(failureIn(reply)).toMatchObject({ status: 404, code: "KEY_NOT_FOUND" });
});

describe("since", () => {
  test("waits for a key that is not there yet", async () => {
    const since = node.store.revision;
    const waiting = site.ask(`/v1/kv/${key}?since=${since}&wait=30s`);
    const reply = await meanwhile(waiting, () => put("1"));
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toMatchObject({ value: "1" });
  });

  test("304 where nothing came after it, and the answer at once where something did", async () => {
    const { headers } = await put("1");
    const revision = Number(headers["quorate-revision"]);
    expect((await site.ask(`/v1/kv/${key}?since=${revision}`)).status).toBe(304);
    expect((await site.ask(`/v1/kv/${key}?since=${revision - 1}&wait=30s`)).status).toBe(200);
  });

  test("a key that was deleted after it is a change, and one before is none", async () => {
    await put("1");
    const since = node.store.revision;
    await site.ask(`/v1/kv/${key}`, { method: "DELETE" });
    expect((await site.ask(`/v1/kv/${key}?since=${since}`)).status).toBe(404);
    expect((await site.ask(`/v1/kv/${key}?since=${since + 1}&wait=50ms`)).status).toBe(304);
  });

  test.each([
    ["/v1/kv/", ""],
    ["/keys/", "strict&"],
  ])("the 404 of %s<key> says from where to go on (sections 1 and 2)", async (prefix, query) => {
    await put("1");
    const since = node.store.revision;
    const waiting = site.ask(`${prefix}${key}?${query}since=${since}&wait=30s`);
    const reply = await meanwhile(waiting, () => site.ask(`/v1/kv/${key}`, { method: "DELETE" }));
    expect(failureIn(reply)).toMatchObject({ status: 404, code: "KEY_NOT_FOUND" });
    expect(errorIn(reply).details).toEqual({ revision: since + 1 });
    expect(reply.headers).toMatchObject({
      "quorate-version": "0",
      "quorate-store-revision": String(since + 1),
      "quorate-consistency": "linearizable",
    });
    const next = Number(reply.headers["quorate-store-revision"]);
    const again = site.ask(`${prefix}${key}?${query}since=${next}&wait=30s`);
    expect((await meanwhile(again, () => put("2"))).status).toBe(200);
  });
});

describe("lists", () => {
  const list = (query: string) => site.ask(`/v1/kv?prefix=poll-${count}${query}`);
  const bodyOf = ({ text }: Reply) =>
    JSON.parse(text) as { items: { key: string }[]; revision: number };

  test("wait for a change of a key with the prefix, and say what changed", async () => {
    await put("1");
    const since = node.store.revision;
    const waiting = list(`&since=${since}&wait=30s`);
    const reply = await meanwhile(waiting, async () => {
      await site.ask(`/v1/kv/elsewhere-${count}`, { method: "PUT", body: { value: "x" } });
      await site.ask(`/v1/kv/${key}/more`, { method: "PUT", body: { value: "2" } });
    });
    expect(reply.status).toBe(200);
    const { items, revision } = bodyOf(reply);
    expect(items.map((item) => item.key)).toEqual([`${key}/more`]);
    expect(revision).toBe(since + 2);
  });

  test("a delete is a change, which leaves nothing to list", async () => {
    await put("1");
    const since = node.store.revision;
    const remove = () => site.ask(`/v1/kv/${key}`, { method: "DELETE" });
    const reply = await meanwhile(list(`&since=${since}&wait=30s`), remove);
    expect(reply.status).toBe(200);
    expect(bodyOf(reply)).toMatchObject({ items: [], revision: since + 1 });
  });

  test("answer at once where something came already, and 304 at the timeout", async () => {
    await put("1");
    const since = node.store.revision;
    expect(bodyOf(await list(`&since=${since - 1}&wait=30s`)).items).toHaveLength(1);
    const start = performance.now();
    expect((await list(`&since=${since}&wait=200ms`)).status).toBe(304);
    expect(performance.now() - start).toBeGreaterThan(190);
    expect((await list(`&since=${since + 100}&wait=10ms`)).status).toBe(304);
  });

  test("304 says up to which revision nothing came: the rest is told the next time", async () => {
    await put("1");
    const wait = async (since: number) => {
      const reply = await list(`&since=${since}&wait=2ms&keys_only`);
      if (reply.status === 304) return Number(reply.headers["quorate-store-revision"]);
      told.push(...bodyOf(reply).items.map((item) => item.key));
      return bodyOf(reply).revision;
    };
    const told: string[] = [];
    const keys = Array.from({ length: 60 }, (_, at) => `${key}/${at}`);
    let since = node.store.revision;
    const writing = (async () => {
      for (const each of keys)
        await site.ask(`/v1/kv/${each}`, { method: "PUT", body: { value: "" } });
    })();
    await vi.waitFor(
      async () => {
        since = await wait(since);
        expect(told).toHaveLength(keys.length);
      },
      { timeout: 10_000, interval: 1 },
    );
    await writing;
    expect(told.sort()).toEqual([...keys].sort());
  });

  test("of all keys, and by Prefer", async () => {
    const since = node.store.revision;
    const headers = { prefer: "wait=30" };
    const waiting = site.ask(`/v1/kv?since=${since}&keys_only`, { headers });
    const reply = await meanwhile(waiting, () => put("1"));
    expect(bodyOf(reply).items.map((item) => item.key)).toEqual([key]);
  });

  test.each(["wait=1s", "wait=1s&since=1&start=a", "wait=1s&since=1&revision=1"])(
    "400 where there is nothing to wait for: %s",
    async (query) => {
      const reply = await site.ask(`/v1/kv?${query}`);
      expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    },
  );
});

test("400 where the past is waited for, or for too long", async () => {
  await put("1");
  for (const query of ["revision=2&wait=1s", "wait=2m"]) {
    const reply = await site.ask(`/v1/kv/${key}?${query}`);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  }
});

test("a client that goes away is not waited for", async () => {
  const { etag = "" } = (await put("1")).headers;
  const connection = await site.connect();
  const path = `/v1/kv/${key}?wait=30s`;
  connection.send(`GET ${path} HTTP/1.1\r\nhost: x\r\nif-none-match: ${etag}\r\n\r\n`);
  await vi.waitFor(() => expect(node.service.watches.count).toBe(1));
  connection.destroy();
  await vi.waitFor(() => expect(node.service.watches.count).toBe(0));
});
