/** The checker, against histories whose truth is known and against the bare definition. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { isLinearizable } from "./brute-force.ts";
import { generate } from "./generate.ts";
import type { AnyOperation, Operation } from "./history.ts";
import { checkHistory } from "./linearizable.ts";
import { LIES } from "./mutate.ts";
import { JOINED_LIES } from "./mutate-joined.ts";
import { shrink } from "./shrink.ts";
import { timeline } from "./timeline.ts";
import { checkWitness } from "./witness.ts";

const SMALL = {
  operations: 7,
  clients: 3,
  groups: 1,
  keys: 1,
  joinedPercent: 0,
  unknownPercent: 15,
};
const LARGE = {
  operations: 400,
  clients: 8,
  groups: 2,
  keys: 2,
  joinedPercent: 30,
  unknownPercent: 5,
};
const ALL_LIES = { ...LIES, ...JOINED_LIES };

/** One operation, short: `op([call, return], "put", { value }, out)`. */
function op(
  time: readonly [number, number | null],
  kind: Operation["op"],
  fields: Pick<Operation, "in"> & Partial<Operation>,
): Operation {
  const [call, end] = time;
  const outcome = end === null ? "unknown" : "ok";
  return { client: `c${call}`, key: "k0", op: kind, call, return: end, outcome, ...fields };
}

function put(time: readonly [number, number | null], value: string, version: number): Operation {
  const isKnown = time[1] !== null;
  return op(time, "put", { in: { value }, ...(isKnown && { out: { version } }) });
}

function get(time: readonly [number, number], value: string | null, version: number): Operation {
  return op(time, "get", { in: {}, out: { version, value } });
}

describe("well-known histories", () => {
  test.each([
    ["nothing at all", [], "ok"],
    ["a read of what was written", [put([0, 1], "a", 1), get([2, 3], "a", 1)], "ok"],
    ["a read of what was not", [put([0, 1], "a", 1), get([2, 3], "b", 1)], "illegal"],
    ["a read that misses a finished write", [put([0, 1], "a", 1), get([2, 3], null, 0)], "illegal"],
    ["one that misses a write under way", [put([0, 5], "a", 1), get([2, 3], null, 0)], "ok"],
    [
      "a read of a deposed leader",
      [put([0, 1], "a", 1), put([2, 3], "b", 2), get([4, 5], "b", 2), get([6, 7], "a", 1)],
      "illegal",
    ],
    [
      "new, then old, while the write is under way",
      [put([0, 9], "a", 1), get([1, 2], "a", 1), get([3, 4], null, 0)],
      "illegal",
    ],
    [
      "two readers who see two writes in opposite orders",
      [
        put([0, 20], "a", 1),
        put([0, 20], "b", 2),
        get([1, 2], "a", 1),
        get([3, 4], "b", 2),
        get([5, 6], "a", 1),
      ],
      "illegal",
    ],
    ["an unknown write that is read later", [put([0, null], "a", 1), get([50, 51], "a", 1)], "ok"],
    [
      "an unknown write that comes and goes",
      [put([0, null], "a", 1), get([10, 11], "a", 1), get([20, 21], null, 0)],
      "illegal",
    ],
    ["an unknown write that was never done", [put([0, null], "a", 1), get([9, 10], null, 0)], "ok"],
    [
      "two winners of one condition",
      [
        op([0, 9], "put", { in: { value: "a", ifVersion: 0 }, out: { version: 1 } }),
        op([0, 9], "put", { in: { value: "b", ifVersion: 0 }, out: { version: 1 } }),
      ],
      "illegal",
    ],
    [
      "a refusal by a version that never was",
      [
        put([0, 1], "a", 1),
        op([2, 3], "put", {
          in: { value: "b", ifVersion: 1 },
          outcome: "refused",
          out: { version: 2 },
        }),
      ],
      "illegal",
    ],
  ] as const)("%s", (_name, operations, verdict) => {
    expect(checkHistory(operations).verdict).toBe(verdict);
    expect(isLinearizable(operations)).toBe(verdict === "ok");
  });
});

test("the search agrees with the definition on small histories, true ones and lies", () => {
  const random = new Prng("small");
  const lies = Object.values(ALL_LIES);
  const count = { ok: 0, illegal: 0 };
  for (let round = 0; round < 20_000; round++) {
    const isJoined = round % 2 === 0;
    const truth = generate(random, isJoined ? { ...SMALL, keys: 2, joinedPercent: 60 } : SMALL);
    const history = random.chance(20) ? truth : (random.pick(lies)(truth, random) ?? truth);
    const expected = isLinearizable(history) ? "ok" : "illegal";
    const { verdict } = checkHistory(history);
    if (verdict !== expected) expect({ verdict, history }).toEqual({ verdict: expected, history });
    count[expected]++;
  }
  expect(count.ok).toBeGreaterThan(3_000);
  expect(count.illegal).toBeGreaterThan(2_500);
});

test("true histories pass, with and without revisions", () => {
  const random = new Prng("true");
  for (let round = 0; round < 60; round++) {
    const history = generate(random, LARGE);
    expect(checkHistory(history).verdict).toBe("ok");
    expect(checkHistory(history, { ignoreRevisions: true }).verdict).toBe("ok");
    expect(checkWitness(history)).toBeNull();
  }
});

describe.each(Object.entries(ALL_LIES))("%s", (name, lie) => {
  test("is found", () => {
    const random = new Prng(name);
    const found = { lies: 0, bySearch: 0, byWitness: 0 };
    for (let round = 0; round < 150; round++) {
      const history = lie(generate(random, { ...LARGE, unknownPercent: 0 }), random);
      if (history === null) continue;
      found.lies++;
      const isFound = checkHistory(history).verdict === "illegal";
      const isWitnessed = checkWitness(history) !== null;
      if (isFound) found.bySearch++;
      if (isWitnessed) found.byWitness++;
      // What the search finds by key, the witness finds as well: it knows more.
      if (isFound && !isWitnessed) throw new Error(`unseen, in round ${round}`);
    }
    expect(found.lies).toBeGreaterThan(40);
    // A lie may happen to be possible: an answer from before, of a key that nobody touched since.
    expect(found.byWitness).toBeGreaterThan(found.lies * 0.9);
    expect(found.bySearch).toBeGreaterThan(found.lies * 0.3);
  });
});

describe("by revisions", () => {
  const told = (time: readonly [number, number], value: string, at: readonly [number, number]) =>
    op(time, "put", { in: { value }, out: { version: at[0], revision: at[1] } });

  test("one revision for two writes", () => {
    const b = { ...told([0, 1], "b", [1, 2]), key: "k1" };
    expect(checkWitness([told([0, 1], "a", [1, 2]), b])?.what).toMatch(/both told revision 2/);
  });

  test("two keys that are each well, and not together", () => {
    const later = { ...told([10, 11], "b", [1, 2]), key: "k1" };
    const history = [told([0, 1], "a", [1, 3]), later];
    expect(checkHistory(history).verdict).toBe("ok");
    expect(checkWitness(history)?.what).toBe(
      "what is at revision 3 had ended before what is at 2 began",
    );
  });

  test("a version that needs a write which nobody made", () => {
    const history = [told([0, 1], "a", [1, 2]), told([2, 3], "b", [3, 4])];
    expect(checkWitness(history)?.what).toMatch(/was at version 1 of revision 2 .* but put with/);
    const unknown = op([2, null], "put", { in: { value: "c" } });
    expect(checkWitness([...history, unknown])).toBeNull();
  });

  test("a hundred thousand operations in a second", () => {
    const shape = { ...LARGE, operations: 100_000, groups: 200, unknownPercent: 1 };
    const history = generate(new Prng("many"), shape);
    const startedAt = process.cpuUsage();
    expect(checkWitness(history)).toBeNull();
    // Of the processor, as others may use it as well: in microseconds.
    expect(process.cpuUsage(startedAt).user).toBeLessThan(8_000_000);
  });
});

test("twenty thousand operations of ten clients on a hundred keys", () => {
  const shape = {
    operations: 20_000,
    clients: 10,
    groups: 50,
    keys: 2,
    joinedPercent: 20,
    unknownPercent: 3,
  };
  const history = generate(new Prng("wide"), shape);
  expect(checkHistory(history, { ignoreRevisions: true }).verdict).toBe("ok");
});

test("too many possibilities are no verdict, and hide no other key's failure", () => {
  const unknown = Array.from({ length: 40 }, (_, at) => put([at, null], `v${at}`, 0));
  const hard = [...unknown, get([100, 101], "never", 30)];
  expect(checkHistory(hard, { stepsMax: 200_000 })).toEqual({ verdict: "unknown", keys: ["k0"] });
  const wrong = { ...get([0, 1], "nobody's", 1), key: "k1" };
  expect(checkHistory([...hard, wrong], { stepsMax: 200_000 }).verdict).toBe("illegal");
});

test("a failing history becomes small, and a page", () => {
  const random = new Prng("page");
  const lie = LIES["a value from nowhere is read"];
  const history = lie?.(generate(random, LARGE), random) ?? [];
  const fails = (operations: readonly AnyOperation[]) => checkWitness(operations) !== null;
  expect(shrink(history, fails).length).toBeLessThan(4);
  const result = checkHistory(history);
  if (result.verdict !== "illegal") throw new Error("not found");
  const page = timeline({ ...result.failure, key: "<key>" });
  expect(page).toContain("&lt;key>");
  expect(page).not.toMatch(/https?:/);
  expect(page.match(/class="left"/g)?.length).toBeGreaterThan(0);
});
