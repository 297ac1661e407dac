/** `GET /v1/kv`: lists of keys (section 2), and HEAD. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cursorFor } from "../../src/http/cursor.ts";
import { LIST_BYTES_MAX } from "../../src/http/limits.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import { bytes, keyFor, Lab, type LabNode } from "../service/lab.ts";
import { errorIn, failureIn, type Reply, Site } from "./site.ts";

interface Body {
  readonly items: readonly (Readonly<Record<string, unknown>> & { readonly key: string })[];
  readonly prefixes: readonly unknown[];
  readonly cursor: string | null;
  readonly revision: number;
  readonly count: number | null;
}

const KEYS = ["a", "b", "dir/1", "dir/2", "dir/sub/1", "dir/sub/2", "dir2/1", "é", "中"];
const IN_ORDER = ["a", "b", "dir/1", "dir/2", "dir/sub/1", "dir/sub/2", "dir2/1", "é", "中"];

let site: Site;
let lab: Lab;
let node: LabNode;
/** When all of KEYS were there, and nothing else. */
let full: number;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
  for (const each of KEYS.toReversed()) await write(each, `of ${each}`);
  full = node.store.revision;
});

afterEach(async () => {
  for (const { key } of (await listed("prefix=x/&limit=1000")).items) await remove(key);
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function write(key: string, value: string): Promise<Reply> {
  return site.ask(`/v1/kv/${encodeURIComponent(key)}`, { method: "PUT", body: { value } });
}

function remove(key: string): Promise<Reply> {
  return site.ask(`/v1/kv/${encodeURIComponent(key)}`, { method: "DELETE" });
}

function ask(query: string): Promise<Reply> {
  return site.ask(`/v1/kv?${query}`);
}

async function listed(query: string): Promise<Body> {
  const reply = await ask(query);
  expect(reply.status, reply.text).toBe(200);
  return JSON.parse(reply.text) as Body;
}

async function keysOf(query: string): Promise<readonly string[]> {
  return (await listed(query)).items.map(({ key }) => key);
}

/** All pages of a list, to the last. */
async function pages(query: string): Promise<readonly Body[]> {
  const all = [await listed(query)];
  for (let left = 100; left > 0; left--) {
    const cursor = all.at(-1)?.cursor ?? null;
    if (cursor === null) return all;
    expect(cursor).toMatch(/^[\w-]+$/);
    all.push(await listed(`${query}&cursor=${cursor}`));
  }
  throw new Error("the list does not end");
}

describe("a list", () => {
  test("of everything is in bytewise order, with all that is known of each key", async () => {
    const body = await listed("");
    expect(body.items.map(({ key }) => key)).toEqual(IN_ORDER);
    expect(body).toMatchObject({ prefixes: [], cursor: null, revision: full, count: 9 });
    const [single] = [JSON.parse((await site.ask("/v1/kv/a")).text) as unknown];
    expect(body.items[0]).toEqual(single);
  });

  test("says in headers how it was read, and has no ETag", async () => {
    const { headers } = await ask("prefix=dir/");
    expect(headers).toMatchObject({
      "quorate-store-revision": String(full),
      "quorate-consistency": "linearizable",
    });
    expect(headers).not.toHaveProperty("etag");
  });

  test.each([
    ["prefix=dir/", ["dir/1", "dir/2", "dir/sub/1", "dir/sub/2"]],
    ["prefix=", IN_ORDER],
    ["prefix=%C3%A9", ["é"]],
    ["prefix=none", []],
    ["start=dir/2", IN_ORDER.slice(3)],
    ["end=b", ["a"]],
    ["start=b&end=dir/2", ["b", "dir/1"]],
    ["start=c&end=b", []],
    ["prefix=dir/&reverse", ["dir/sub/2", "dir/sub/1", "dir/2", "dir/1"]],
    ["reverse=true&limit=2", ["中", "é"]],
    ["limit=2", ["a", "b"]],
  ])("?%s has the keys %j", async (query, keys) => {
    expect(await keysOf(query)).toEqual(keys);
  });

  test("keys_only leaves the values out", async () => {
    const { items } = await listed("start=b&end=c&keys_only");
    expect(items).toEqual([
      {
        key: "b",
        version: 1,
        create_revision: expect.any(Number) as number,
        mod_revision: expect.any(Number) as number,
      },
    ]);
  });

  test("keys and values that are not text are told as base64", async () => {
    const name = keyOf(Uint8Array.of(0x78, 0x2f, 0xff, 0x2f, 0x01));
    const value = Uint8Array.of(0xfe);
    const put = { type: "put", key: name, value, conditions: [], returnPrevious: false } as const;
    await committed(encodeCommand(put));
    const { items } = await listed("prefix=x/");
    expect(items).toMatchObject([
      { key: "eC//LwE=", key_encoding: "base64", value: "/g==", encoding: "base64" },
    ]);
    const { prefixes } = await listed("prefix=x/&delimiter=/");
    expect(prefixes).toEqual([{ key: "eC//Lw==", encoding: "base64" }]);
    await committed(
      encodeCommand({ type: "delete", key: name, conditions: [], returnPrevious: false }),
    );
  });
});

/** Writes what paths cannot name. */
async function committed(command: Uint8Array): Promise<void> {
  const { revision } = node.store;
  node.node.submit([command], () => {});
  await listed(`min_revision=${revision + 1}&limit=1`);
}

describe("delimiter", () => {
  test("tells what is behind it as one prefix, as S3 does", async () => {
    const body = await listed("delimiter=/");
    expect(body.items.map(({ key }) => key)).toEqual(["a", "b", "é", "中"]);
    expect(body).toMatchObject({ prefixes: ["dir/", "dir2/"], count: 6 });
    const below = await listed("prefix=dir/&delimiter=/");
    expect(below.items.map(({ key }) => key)).toEqual(["dir/1", "dir/2"]);
    expect(below).toMatchObject({ prefixes: ["dir/sub/"], count: 3 });
  });

  test.each(["", "&reverse"])("counts each prefix once towards the limit%s", async (reverse) => {
    const all = await pages(`delimiter=/&limit=1${reverse}`);
    const told = all.flatMap(({ items, prefixes }) => [
      ...items.map(({ key }) => key),
      ...prefixes,
    ]);
    const want = ["a", "b", "dir/", "dir2/", "é", "中"];
    expect(told).toEqual(reverse === "" ? want : want.reverse());
  });

  test("may be longer than one character, and is taken behind the prefix only", async () => {
    expect((await listed("delimiter=sub/")).prefixes).toEqual(["dir/sub/"]);
    expect((await listed("prefix=dir/sub/&delimiter=dir")).items).toHaveLength(2);
  });
});

describe("since, revision and count_only", () => {
  test("since has only what was changed after that revision", async () => {
    const { headers } = await write("x/1", "v");
    await write("x/2", "v");
    const before = Number(headers["quorate-revision"]);
    expect(await keysOf(`since=${before}`)).toEqual(["x/2"]);
    expect(await keysOf(`since=${before - 1}&prefix=x/`)).toEqual(["x/1", "x/2"]);
    expect(await listed(`since=${before + 1}`)).toMatchObject({ items: [], count: 0 });
  });

  test("revision reads the past", async () => {
    await write("x/1", "first");
    const { headers } = await write("x/1", "second");
    const revision = Number(headers["quorate-revision"]);
    await remove("x/1");
    expect(await listed(`prefix=x/&revision=${revision - 1}`)).toMatchObject({
      items: [{ key: "x/1", value: "first" }],
      revision: revision - 1,
    });
    expect(await keysOf(`prefix=x/&revision=${revision}`)).toEqual(["x/1"]);
    expect(await keysOf("prefix=x/")).toEqual([]);
    expect(await keysOf(`revision=${full}`)).toEqual(IN_ORDER);
  });

  test("count_only counts, and sends nothing else", async () => {
    const rest = { items: [], prefixes: [], cursor: null };
    const { revision } = node.store;
    expect(await listed("count_only")).toEqual({ ...rest, revision, count: 9 });
    expect(await listed("count_only&prefix=dir/&delimiter=/")).toMatchObject({ count: 3 });
    expect(await listed(`count_only&since=${full - 2}`)).toMatchObject({ count: 2 });
  });

  test("the count of a part is not told", async () => {
    const [first, ...more] = await pages("limit=5");
    expect(first?.count).toBeNull();
    expect(more.map(({ count }) => count)).toEqual([null]);
  });

  test.each(["revision", "since"])("a %s that is not written yet is a 400", async (name) => {
    const reply = await ask(`${name}=${node.store.revision + 1}`);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "REVISION_IN_FUTURE" });
  });
});

describe("a cursor", () => {
  test.each(["", "&reverse", "&prefix=dir", "&keys_only"])("goes on%s", async (more) => {
    const whole = await keysOf(more.slice(1));
    for (const limit of [1, 2, 3, 4]) {
      const all = await pages(`limit=${limit}${more}`);
      expect(all.flatMap(({ items }) => items.map(({ key }) => key))).toEqual(whole);
      expect(all).toHaveLength(Math.ceil(whole.length / limit));
    }
  });

  test("pins the revision of the first page", async () => {
    const first = await listed("limit=2&prefix=dir/");
    await write("dir/2", "changed");
    await write("dir/3", "new");
    await remove("dir/sub/1");
    const second = await listed(`prefix=dir/&cursor=${first.cursor}`);
    expect(second.revision).toBe(first.revision);
    expect(second.items.map(({ key }) => key)).toEqual(["dir/sub/1", "dir/sub/2"]);
    await remove("dir/3");
    await write("dir/sub/1", "of dir/sub/1");
  });

  test("takes another limit, and the revision that it pins", async () => {
    const { cursor, revision } = await listed("limit=2");
    expect(await keysOf(`limit=1&cursor=${cursor}&revision=${revision}`)).toEqual(["dir/1"]);
    const reply = await ask(`cursor=${cursor}&revision=${revision - 1}`);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });

  test.each(["prefix=d", "start=a", "end=z", "reverse", "delimiter=/", "since=1"])(
    "of another list than %s is a 400",
    async (other) => {
      const { cursor } = await listed("limit=1");
      const error = errorIn(await ask(`${other}&cursor=${cursor}`));
      expect(error).toMatchObject({ code: "INVALID_PARAM" });
      expect(error.error).toMatch(/another list/);
    },
  );

  test("with any character changed, left out or added is a 400", async () => {
    const cursor = (await listed("limit=1")).cursor ?? "";
    const changed = cursor
      .split("")
      .flatMap((letter, at) => [
        cursor.slice(0, at) + cursor.slice(at + 1),
        cursor.slice(0, at) + (letter === "A" ? "B" : "A") + cursor.slice(at + 1),
      ]);
    for (const each of ["", "x", `${cursor}A`, `${cursor}=`, `${cursor}%20`, ...changed]) {
      expect(failureIn(await ask(`cursor=${each}`)), each).toMatchObject({
        status: 400,
        code: "INVALID_PARAM",
      });
    }
  });
});

describe("a page is cut by bytes", () => {
  test("and a cursor goes on behind it", async () => {
    const size = LIST_BYTES_MAX / 4;
    for (let i = 0; i < 6; i++) await write(`x/${i}`, "v".repeat(size));
    const all = await pages("prefix=x/");
    expect(all.map(({ items }) => items.length)).toEqual([3, 3]);
    expect(await keysOf("prefix=x/&keys_only")).toHaveLength(6);
  });
});

describe("what makes no sense is a 400 that says so", () => {
  test.each([
    ["limit=0", /from 1 to 1000/],
    ["limit=1001", /from 1 to 1000/],
    ["limit=-1", /from 1 to 1000/],
    ["limit=1&limit=2", /given twice/],
    ["limits=1", /no parameter "limits"/],
    ["prefix=a&start=b", /"prefix" and "start" cannot be used together/],
    ["prefix=a&end=b", /"prefix" and "end" cannot be used together/],
    ["count_only&limit=5", /"count_only" and "limit"/],
    ["count_only&reverse", /"count_only" and "reverse"/],
    ["count_only&keys_only", /"count_only" and "keys_only"/],
    ["count_only&cursor=x", /"count_only" and "cursor"/],
    ["delimiter=", /"delimiter" cannot be used: it must not be empty/],
    ["end=", /"end" cannot be used: it must not be empty/],
    ["since=5&revision=4", /"since" must not be greater/],
    ["since=x", /whole number/],
    ["reverse=maybe", /true or false/],
    ["prefix=%ff", /escape/],
    ["consistency=quick", /linearizable, lease or stale/],
    ["max_stale=1s", /consistency=stale/],
  ])("%s", async (query, text) => {
    const reply = await ask(query);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    expect(errorIn(reply).error).toMatch(text);
  });

  test.each(["if-match", "if-none-match"])("%s, as lists have no ETag", async (name) => {
    const reply = await site.ask("/v1/kv", { headers: { [name]: "*" } });
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });
});

describe("HEAD", () => {
  test("of a key says what GET would, without the body", async () => {
    const [get, head] = [
      await site.ask("/v1/kv/a"),
      await site.ask("/v1/kv/a", { method: "HEAD" }),
    ];
    expect(head).toMatchObject({ status: 200, text: "" });
    for (const name of ["etag", "quorate-version", "quorate-revision", "content-length"]) {
      expect(head.headers[name], name).toBe(get.headers[name]);
    }
    expect(await site.ask("/keys/a/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  test("of a list, too", async () => {
    const reply = await site.ask("/v1/kv?count_only", { method: "HEAD" });
    expect(reply).toMatchObject({ status: 200, text: "" });
  });
});

describe("consistency (section 4)", () => {
  test("a follower lists what was written, and goes on where another node began", async () => {
    const trio = await Lab.start(["n1", "n2", "n3"]);
    const [leader, follower] = [await trio.leader(), await trio.follower()];
    const sites = [leader, follower].map(({ id, service }) => {
      const front = new Site(id);
      front.holder.serve(service);
      return front;
    });
    const [first, second] = sites as [Site, Site];
    for (const each of ["a", "b", "c"]) {
      await first.ask(`/v1/kv/${each}`, { method: "PUT", body: { value: each } });
    }
    const page = JSON.parse((await first.ask("/v1/kv?limit=1")).text) as Body;
    const url = `/v1/kv?consistency=stale&cursor=${page.cursor}`;
    const rest = JSON.parse((await second.ask(url)).text) as Body;
    expect(rest.items.map(({ key }) => key)).toEqual(["b", "c"]);
    const away = await second.ask("/v1/kv", { headers: { "quorate-forward": "never" } });
    expect(away.status).toBe(307);
    trio.cut(follower.id);
    const cut = await second.ask("/v1/kv?timeout=50ms");
    expect(cut.status).toBeGreaterThanOrEqual(503);
    expect((await second.ask("/v1/kv?consistency=stale")).status).toBe(200);
    for (const each of sites) await each.close();
    await trio.close();
  });
});

describe("a revision that is forgotten", () => {
  test("is a 410, also under a cursor", async () => {
    const other = await Site.alone();
    const { store, node: raft } = other.node;
    for (const each of ["a", "b"]) {
      await other.site.ask(`/v1/kv/${each}`, { method: "PUT", body: { value: each } });
    }
    const page = JSON.parse((await other.site.ask("/v1/kv?limit=1")).text) as Body;
    await other.site.ask("/v1/kv/c", { method: "PUT", body: { value: "c" } });
    const { revision } = store;
    raft.submit([encodeCommand({ type: "compact", revision })], () => {});
    await other.site.ask("/v1/kv/d", { method: "PUT", body: { value: "d" } });
    for (const query of [`cursor=${page.cursor}`, `revision=${revision - 1}`]) {
      const reply = await other.site.ask(`/v1/kv?${query}`);
      expect(failureIn(reply)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
      expect(errorIn(reply).details).toEqual({ oldest: revision, current: revision + 1 });
    }
    await other.site.close();
    await other.lab.close();
  });
});

describe("a range that takes long", () => {
  test("is given up at the deadline, and holds nothing after that", async () => {
    const { service, store } = node;
    const range = { start: "" as Key, end: null, isReverse: false, since: 0, grouping: null };
    for (let i = 0; i < 20_000; i++) {
      const put = { type: "put", key: keyFor(`x/${i}`), value: bytes("v") } as const;
      node.node.submit(
        [encodeCommand({ ...put, conditions: [], returnPrevious: false })],
        () => {},
      );
    }
    const options = { consistency: "stale", maxStaleMs: null, minRevision: null } as const;
    await listed(`min_revision=${store.revision}&limit=1`);
    const counts = Array.from({ length: 500 }, () =>
      service.count({ range, revision: null }, { ...options, timeoutMs: 5 }).then(
        () => "counted",
        (error: { readonly code: string }) => error.code,
      ),
    );
    expect(new Set(await Promise.all(counts))).toContain("READ_TIMEOUT");
    expect((await listed("limit=1")).items).toHaveLength(1);
  });
});

test("a cursor fits into a URL, whatever the key", () => {
  const position = "k".repeat(4_097) as Key;
  const range = { start: "" as Key, end: null, isReverse: false, since: 0, grouping: null };
  expect(cursorFor(range, { revision: Number.MAX_SAFE_INTEGER, position }).length).toBeLessThan(
    6_000,
  );
});
