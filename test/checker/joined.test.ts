/** Histories of several keys, transactions and leases, judged by both checks. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { generate } from "./generate.ts";
import { type AnyOperation, type Item, lineOf, type TxnOperation } from "./history.ts";
import { checkHistory } from "./linearizable.ts";
import { HistoryError, parseLine, readHistory } from "./read-history.ts";
import { describe as inWords } from "./timeline.ts";
import { checkWitness } from "./witness.ts";

type Time = readonly [number, number | null];

function asked([call, end]: Time) {
  const outcome = end === null ? ("unknown" as const) : ("ok" as const);
  return { client: `c${call}`, call, return: end, outcome };
}

function item(key: string, version: number, revision: number): Item {
  return { key, version, revision, value: `${key}${version}` };
}

/** Lists all keys as they were at this revision, or asks for the past. */
function list(time: Time, storeRevision: number, items: readonly Item[], at?: number) {
  const input = { prefix: "k", at };
  return { ...asked(time), op: "range", in: input, out: { items, storeRevision } } as const;
}

/** Puts a first or next version of each key, if the compares hold. */
function puts(time: Time, revision: number, versions: Readonly<Record<string, number>>) {
  const success = Object.entries(versions).map(([key, version]) => {
    return { op: "put", key, value: `${key}${version}` } as const;
  });
  const results = Object.values(versions).map((version) => ({ version, revision }));
  const out = time[1] === null ? {} : { out: { succeeded: true, revision, results } };
  const input = { compare: [], success, failure: [] };
  return { ...asked(time), op: "txn", in: input, ...out } as const satisfies TxnOperation;
}

function put(time: Time, revision: number, lease?: string) {
  const input = { value: "ka1", lease };
  return {
    ...asked(time),
    key: "ka",
    op: "put",
    in: input,
    out: { version: 1, revision },
  } as const;
}

const both = puts([0, 1], 2, { ka: 1, kb: 1 });
const expire = {
  ...asked([100, null]),
  client: "lease",
  op: "expire",
  in: { lease: "l" },
} as const;

describe("well-known histories", () => {
  const compared = (to: number, succeeded: boolean): AnyOperation => ({
    ...asked([2, 3]),
    op: "txn",
    in: {
      compare: [{ key: "ka", target: "modRevision", relation: "=", to }],
      success: [{ op: "deletePrefix", prefix: "k" }],
      failure: [],
    },
    out: { succeeded, revision: succeeded ? 3 : 2, results: succeeded ? [{ deleted: 2 }] : [] },
  });

  /** As it is told to who asks again: without what was read. */
  const again = (version: number): AnyOperation => ({
    ...asked([2, 3]),
    op: "txn",
    in: {
      compare: [],
      success: [
        { op: "get", key: "ka" },
        { op: "put", key: "ka", value: "again" },
      ],
      failure: [],
    },
    out: { succeeded: true, revision: 3, results: [{}, { version, revision: 3 }] },
  });

  test.each<[string, AnyOperation[], "ok" | "illegal"]>([
    [
      "an answer given again, after one nobody was told of",
      [puts([0, null], 2, { ka: 1 }), again(2)],
      "ok",
    ],
    ["an answer given again, after too few", [puts([0, null], 2, { ka: 1 }), again(3)], "illegal"],
    [
      "both halves of a transaction",
      [both, list([2, 3], 2, [item("ka", 1, 2), item("kb", 1, 2)])],
      "ok",
    ],
    ["one half of it", [both, list([2, 3], 2, [item("ka", 1, 2)])], "illegal"],
    ["none of it, while it is under way", [{ ...both, return: 9 }, list([2, 3], 1, [])], "ok"],
    [
      "one that nobody was told of, and one half of it",
      [puts([0, null], 2, { ka: 1, kb: 1 }), list([2, 3], 2, [item("ka", 1, 2)])],
      "illegal",
    ],
    [
      "one that nobody was told of, and all of it",
      [puts([0, null], 2, { ka: 1, kb: 1 }), list([2, 3], 2, [item("ka", 1, 2), item("kb", 1, 2)])],
      "ok",
    ],
    ["a prefix that is deleted on condition", [both, compared(2, true)], "ok"],
    ["the condition did not hold, by the answer", [both, compared(2, false)], "illegal"],
    ["the condition held, by the answer", [both, compared(1, true)], "illegal"],
    [
      "a prefix that is not",
      [both, compared(2, true), list([4, 5], 3, [item("kb", 1, 2)])],
      "illegal",
    ],
    [
      "a key that is there until its lease ends",
      [put([0, 1], 2, "l"), expire, list([90, 95], 2, [item("ka", 1, 2)])],
      "ok",
    ],
    ["a key that is gone when it may", [put([0, 1], 2, "l"), expire, list([90, 101], 3, [])], "ok"],
    [
      "a key that is gone before it may",
      [put([0, 1], 2, "l"), expire, list([90, 99], 3, [])],
      "illegal",
    ],
    [
      "a key that has no lease, and is gone",
      [put([0, 1], 2), expire, list([150, 151], 3, [])],
      "illegal",
    ],
  ])("%s", (_name, operations, verdict) => {
    expect(checkHistory(operations).verdict).toBe(verdict);
    expect(checkWitness(operations) === null ? "ok" : "illegal").toBe(verdict);
  });

  test("a list of the past, which only the witness judges", () => {
    const later = puts([2, 3], 3, { ka: 2 });
    const [then, now] = [item("ka", 1, 2), item("ka", 2, 3)];
    const other = item("kb", 1, 2);
    const past = (of: Item) => [both, later, list([4, 5], 3, [of, other], 2)];
    expect(checkWitness(past(then))).toBeNull();
    expect(checkWitness(past(now))?.what).toMatch(/key ka was at version 1 .* but read as/);
    expect(checkHistory(past(now)).verdict).toBe("ok");
  });
});

test("keys that an operation joins are searched together, without revisions too", () => {
  const torn = [
    puts([0, 1], 2, { ka: 1, kb: 1 }),
    puts([0, 9], 3, { ka: 2, kb: 2 }),
    list([2, 3], 3, [item("ka", 2, 3), item("kb", 1, 2)]),
  ];
  const verdict = checkHistory(torn, { ignoreRevisions: true });
  expect(verdict.verdict).toBe("illegal");
  if (verdict.verdict === "illegal") expect(verdict.failure.key).toBe("ka, kb");
});

test("a group that is too large is left to the witness, and only if that can judge it", () => {
  const shape = { operations: 6_000, clients: 4, groups: 1, keys: 2 };
  const history = generate(new Prng("wide"), { ...shape, joinedPercent: 30, unknownPercent: 0 });
  expect(checkHistory(history)).toEqual({ verdict: "ok", leftToWitness: ["g0/k0, g0/k1, g0/n"] });
  expect(checkWitness(history)).toBeNull();
  expect(checkHistory(history, { ignoreRevisions: true, stepsMax: 1_000 }).verdict).toBe("unknown");
});

describe("a file", () => {
  test("is read as it was written", () => {
    const shape = { operations: 300, clients: 4, groups: 2, keys: 2 };
    const history = generate(new Prng("file"), { ...shape, joinedPercent: 50, unknownPercent: 10 });
    const folder = mkdtempSync(join(tmpdir(), "quorate-history-"));
    try {
      const path = join(folder, "history.jsonl");
      writeFileSync(path, history.map(lineOf).join(""));
      const plain: unknown = JSON.parse(JSON.stringify(history));
      expect(readHistory(path)).toEqual(plain);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["a result for each step", { ...both, out: { ...both.out, results: [] } }],
    ["either a prefix or keys", { ...list([0, 1], 1, []), in: {} }],
    ["an expire whose outcome is known", { ...expire, return: 101, outcome: "failed" }],
    [
      "a value is compared with a text",
      {
        ...both,
        in: { ...both.in, compare: [{ key: "ka", target: "value", relation: "=", to: 1 }] },
      },
    ],
  ])("is refused: %s", (problem, fields) => {
    const read = () => parseLine(JSON.stringify(fields), "file:1");
    expect(read).toThrow(HistoryError);
    expect(read).toThrow(problem);
  });
});

test("operations on several keys are told in a few words", () => {
  expect(inWords(both)).toBe(
    'put ka ka1, put kb kb1 → [{"version":1,"revision":2},{"version":1,"revision":2}]',
  );
  expect(inWords(list([0, 1], 2, [item("ka", 1, 2)], 7))).toBe("range k at 7 → ka:1 ka1");
  expect(inWords(expire)).toBe("expire l");
});
