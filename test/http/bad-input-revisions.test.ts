/** Revisions and cursors that cannot be gone on from (http-api.md, sections 2, 4, 5 and 7). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { cursorFor } from "../../src/http/cursor.ts";
import type { Key } from "../../src/kv/key.ts";
import type { ListRange } from "../../src/kv/range.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import { Refusals } from "./refusals.ts";
import type { Question } from "./site.ts";

/** Where the store is compacted, and where it is. */
const OLDEST = 4;
const NEWEST = 6;
const FAR = Number.MAX_SAFE_INTEGER;

let refusals: Refusals;
/** Given before the compaction, and after it. */
let oldCursor: string;
let cursor: string;

beforeAll(async () => {
  refusals = await Refusals.start();
  for (let at = refusals.node.store.revision; at < OLDEST - 1; at++) await put(`a/${at}`);
  oldCursor = await firstCursor();
  while (refusals.node.store.revision < NEWEST - 1) await put("b");
  refusals.node.node.submit([encodeCommand({ type: "compact", revision: OLDEST })], () => {});
  // What is written after it comes after it.
  await put("b");
  cursor = await firstCursor();
  const { compactRevision, revision } = refusals.node.store;
  expect({ compactRevision, revision }).toEqual({ compactRevision: OLDEST, revision: NEWEST });
});

afterAll(() => refusals.close());

async function put(key: string): Promise<void> {
  const reply = await refusals.ask(`/v1/kv/${key}`, { method: "PUT", body: { value: "v" } });
  expect(reply.status).toBeLessThan(300);
}

async function firstCursor(): Promise<string> {
  const { text } = await refusals.ask("/v1/kv?limit=1");
  const page = JSON.parse(text) as { cursor: string | null };
  return must(page.cursor, "another page");
}

const everything: ListRange = {
  start: "" as Key,
  end: null,
  isReverse: false,
  since: 0,
  grouping: null,
};
const forged = (revision: number, range = everything) =>
  cursorFor(range, { revision, position: "a" as Key });
const batch = { method: "POST", body: { keys: ["k"] } } as const;
const events = { headers: { accept: "text/event-stream" } };

describe("REVISION_COMPACTED says what is the oldest", () => {
  test.each<[string, string, Question?]>([
    ["a key in the past", `/v1/kv/k?revision=${OLDEST - 1}`],
    ["a key at the beginning", "/v1/kv/k?revision=0"],
    ["several keys in the past", `/v1/batch/get?revision=${OLDEST - 1}`, batch],
    ["a list of the past", `/v1/kv?revision=${OLDEST - 1}`],
    ["a stale list of the past", `/v1/kv?revision=1&consistency=stale`],
    ["a count of the past", `/v1/kv?count_only&revision=${OLDEST - 1}`],
    ["a cursor to the past", `/v1/kv?cursor=${forged(OLDEST - 1)}`],
    ["a watch of what is forgotten", `/v1/watch?prefix=&since=${OLDEST - 2}`],
    ["a watch from the beginning on", "/v1/watch?prefix=&since=0"],
    ["a watch of a key", `/keys/k/?since=${OLDEST - 2}`, events],
    ["a watch that goes on", "/v1/watch?prefix=", { headers: { "last-event-id": "1" } }],
    ["a long poll for a key that is not there", "/v1/kv/none?since=1&wait=5s"],
  ])("%s", async (_name, path, question = {}) => {
    const details = { oldest: OLDEST, current: NEWEST };
    await refusals.expect(path, question, { code: "REVISION_COMPACTED", details });
  });

  test("a cursor that was given before the compaction", async () => {
    const details = { oldest: OLDEST, current: NEWEST };
    const path = `/v1/kv?limit=1&cursor=${oldCursor}`;
    await refusals.expect(path, {}, { code: "REVISION_COMPACTED", details });
  });

  test("the oldest itself is still there", async () => {
    for (const path of [`/v1/kv/k?revision=${OLDEST}`, `/v1/kv?revision=${OLDEST}`]) {
      expect((await refusals.ask(path)).status).toBe(200);
    }
  });
});

describe("the future", () => {
  test.each<[string, Question?]>([
    [`/v1/kv/k?revision=${NEWEST + 1}`],
    [`/v1/kv/k?revision=${FAR}`],
    [`/v1/kv?revision=${NEWEST + 1}`],
    [`/v1/kv?since=${NEWEST + 1}`],
    [`/v1/kv?count_only&revision=${FAR}`],
    [`/v1/batch/get?revision=${FAR}`, batch],
  ])("REVISION_IN_FUTURE: %s", async (path, question = {}) => {
    await refusals.expect(path, question, { code: "REVISION_IN_FUTURE" });
  });

  test.each<[string, Question?]>([
    [`/keys/k/?min_revision=${NEWEST + 1}`],
    [`/v1/kv/k?min_revision=${FAR}&consistency=stale`],
    [`/v1/kv?min_revision=${FAR}`],
    [`/v1/batch/get?min_revision=${FAR}`, batch],
    [`/v1/watch?prefix=&min_revision=${FAR}`],
  ])("REVISION_NOT_REACHED, after the time that there is: %s", async (path, question = {}) => {
    const more = `${path}&timeout=50ms`;
    await refusals.expect(more, question, { code: "REVISION_NOT_REACHED", retryable: true });
  });

  test("REVISION_NOT_REACHED: a cursor of another node that is ahead", async () => {
    const path = `/v1/kv?timeout=50ms&cursor=${forged(FAR)}`;
    await refusals.expect(path, {}, { code: "REVISION_NOT_REACHED", retryable: true });
  });

  test("a long poll waits for it, and is answered 304", async () => {
    for (const path of ["/keys/k/", "/v1/kv/k", "/v1/kv/none"]) {
      const startedAt = performance.now();
      const reply = await refusals.ask(`${path}?since=${FAR}&wait=60ms`);
      expect({ path, status: reply.status, text: reply.text }).toEqual({
        path,
        status: 304,
        text: "",
      });
      // Timers count whole milliseconds.
      expect(performance.now() - startedAt).toBeGreaterThan(59);
    }
  });
});

describe("cursors (section 2)", () => {
  test.each(["prefix=k", "start=a", "end=z", "reverse", "delimiter=/", "since=5"])(
    "INVALID_PARAM: one of another list, with %s",
    async (query) => {
      const path = `/v1/kv?${query}&cursor=${cursor}`;
      await refusals.expect(path, {}, { code: "INVALID_PARAM", says: /another list/ });
    },
  );

  test("INVALID_PARAM: one of another revision", async () => {
    const path = `/v1/kv?revision=${OLDEST}&cursor=${cursor}`;
    await refusals.expect(path, {}, { code: "INVALID_PARAM", says: /revision/ });
  });

  test("INVALID_PARAM: one that is cut off anywhere, or goes on", async () => {
    for (let length = 0; length < cursor.length; length++) {
      const path = `/v1/kv?cursor=${cursor.slice(0, length)}`;
      await refusals.expect(path, {}, { code: "INVALID_PARAM" });
    }
    for (const more of ["A", "AAAA", "%3D", "%20", "%00"]) {
      const path = `/v1/kv?cursor=${cursor}${more}`;
      await refusals.expect(path, {}, { code: "INVALID_PARAM" });
    }
  });

  test("INVALID_PARAM: one with any character changed", async () => {
    for (let at = 0; at < cursor.length; at++) {
      const other = cursor[at] === "A" ? "B" : "A";
      const path = `/v1/kv?cursor=${cursor.slice(0, at)}${other}${cursor.slice(at + 1)}`;
      await refusals.expect(path, {}, { code: "INVALID_PARAM" });
    }
  });

  test("INVALID_PARAM: one that is made up, and leads outside of its list", async () => {
    const range = { ...everything, start: "b" as Key, end: "c" as Key };
    for (const each of ["a", "cc"]) {
      const made = cursorFor(range, { revision: NEWEST, position: each as Key });
      const path = `/v1/kv?prefix=b&cursor=${made}`;
      await refusals.expect(path, {}, { code: "INVALID_PARAM", says: /another list/ });
    }
  });
});
