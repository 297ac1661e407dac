/** Every lie and every disorder that a history can have is found: the checks can fail. */
import { describe, expect, test } from "vitest";
import type { Truth } from "./audit.ts";
import { lies } from "./audit.ts";
import { RequestSplitter } from "./http-requests.ts";
import type { Operation } from "../checker/history.ts";
import { disorder } from "./order.ts";

/** The log: `a` was put at 2 and 4, and deleted at 5; `b` was put at 3. */
const truth: Truth = {
  since: 0,
  changes: new Map([
    [
      "a",
      [
        { revision: 2, value: "v1", version: 1 },
        { revision: 4, value: "v3", version: 2 },
        { revision: 5, value: null, version: 0 },
      ],
    ],
    ["b", [{ revision: 3, value: "v2", version: 1 }]],
  ]),
};

let clients = 0;

function operation(about: Partial<Operation> & Pick<Operation, "op">): Operation {
  clients += 1;
  return {
    client: String(clients),
    key: "a",
    in: {},
    call: 0,
    return: 1_000,
    outcome: "ok",
    ...about,
  };
}

function put(value: string, revision: number, about: Partial<Operation> = {}): Operation {
  const change = [...truth.changes.values()].flat().find((each) => each.revision === revision);
  const out = { version: change?.version ?? 1, revision, storeRevision: revision, deleted: 0 };
  return operation({ op: "put", in: { value }, out, ...about });
}

function get(value: string | null, version: number, storeRevision: number): Operation {
  return operation({ op: "get", out: { version, storeRevision, value, deleted: 0 } });
}

const good: readonly Operation[] = [
  put("v1", 2, { call: 0, return: 10 }),
  put("v2", 3, { key: "b", call: 5, return: 20 }),
  { ...get("v1", 1, 3), call: 15, return: 30 },
  put("v3", 4, { call: 25, return: 40, in: { value: "v3", ifVersion: 1 } }),
  operation({
    op: "delete",
    call: 41,
    return: 50,
    out: { version: 0, revision: 5, storeRevision: 5, deleted: 1 },
  }),
  { ...get(null, 0, 5), call: 51, return: 60 },
  operation({
    op: "put",
    in: { value: "v4", ifVersion: 7 },
    outcome: "refused",
    call: 61,
    return: 70,
    out: { version: 0, storeRevision: 5 },
  }),
  operation({ op: "put", in: { value: "v5" }, outcome: "failed" }),
  operation({ op: "put", in: { value: "v6" }, outcome: "unknown", return: null }),
];

test("a history as it was is in order, and true", () => {
  expect(lies(good, truth)).toEqual([]);
  expect(disorder(good, truth)).toEqual([]);
});

describe("a lie is found:", () => {
  test.each<[string, Operation]>([
    ["a write that was acknowledged and is lost", put("v9", 4)],
    ["a write that was acknowledged at another revision", put("v3", 3)],
    ["a write called not applied that was", put("v1", 2, { outcome: "failed" })],
    ["a refused write that was applied", put("v1", 2, { outcome: "refused" })],
  ])("%s", (_name, lie) => {
    expect(lies([...good, lie], truth)).toHaveLength(1);
  });

  test("a write that was applied twice", () => {
    const twice = [{ revision: 6, value: "v2", version: 2 }];
    const changes = new Map([...truth.changes, ["c", twice]]);
    expect(lies(good, { since: 0, changes })).toEqual([
      expect.stringContaining("2 times: at 3, 6"),
    ]);
  });

  test("but not where the past was compacted", () => {
    expect(lies([put("v0", 1)], { ...truth, since: 2 })).toEqual([]);
  });
});

describe("a disorder is found:", () => {
  test.each<[string, Operation]>([
    ["a stale read", { ...get("v1", 1, 3), call: 45, return: 55 }],
    ["a read of what was never written", get("v9", 1, 3)],
    ["a read of what was deleted", get("v3", 2, 5)],
    ["a read of another version", get("v1", 2, 3)],
    ["a write before what had ended", put("v2", 3, { key: "b", call: 45, return: 46 })],
    ["a condition that did not hold", put("v3", 4, { in: { value: "v3", ifVersion: 2 } })],
    [
      "a refusal whose condition held",
      operation({
        op: "put",
        in: { value: "v7", ifVersion: 1 },
        outcome: "refused",
        out: { version: 1, storeRevision: 3 },
      }),
    ],
  ])("%s", (_name, disorderly) => {
    expect(disorder([...good, disorderly], truth)).not.toEqual([]);
  });
});

test("requests are found whole, however they are cut into pieces", () => {
  const one = "POST /a HTTP/1.1\r\nquorate-from: n1\r\ncontent-length: 3\r\n\r\n\r\n\r";
  const two = "POST /b HTTP/1.1\r\nQuorate-From: n2\r\ncontent-length: 0\r\n\r\n";
  const bytes = Buffer.from(one + two);
  for (let size = 1; size <= bytes.length; size++) {
    const found: string[] = [];
    const splitter = new RequestSplitter(({ path, from, bytes: raw }) =>
      found.push(`${path} ${from} ${raw.length}`),
    );
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
    expect(found).toEqual([`/a n1 ${one.length}`, `/b n2 ${two.length}`]);
  }
});
