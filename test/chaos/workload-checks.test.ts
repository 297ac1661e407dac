/** Every validator of the workloads has seen what is right, and each thing that can be wrong. */
import { Agent } from "undici";
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import type { Change } from "../watch/validate.ts";
import { outcomeOf, withoutAnswer } from "./ask.ts";
import { type Bank, bankProblems, type Reading, type Transfer } from "./bank-checks.ts";
import { type Count, countProblems } from "./count-checks.ts";
import { UnexpectedAnswer } from "./exchange.ts";
import { type LeaseLife, leaseProblems } from "./lease-checks.ts";
import { lockProblems, type LocksTold } from "./lock-checks.ts";
import { end, put } from "./made-up.ts";
import { callers, Crew } from "./workload.ts";
import { tooLittle } from "./workloads.ts";

describe("an answer", () => {
  const body = (outcome: string) => JSON.stringify({ code: "NO_LEADER", outcome });

  test("says what became of the request (http-api.md, section 7)", () => {
    expect(outcomeOf(201, "{}", true)).toEqual({ outcome: "ok", body: {}, isReplayed: true });
    expect(outcomeOf(503, body("not_applied"), false)).toMatchObject({ outcome: "failed" });
    expect(outcomeOf(504, body("unknown"), false)).toMatchObject({ outcome: "unknown" });
    expect(outcomeOf(409, body("not_applied"), false)).toMatchObject({ outcome: "refused" });
  });

  test.each([
    [500, body("unknown")],
    [400, body("not_applied")],
    [409, body("unknown")],
    [200, "no JSON"],
    [503, "{}"],
  ])("that no node may give is a failure of the run: %s %s", (status, text) => {
    expect(() => outcomeOf(status, text, false)).toThrow(UnexpectedAnswer);
  });

  test("that never came is unknown, unless nobody can have heard the request", () => {
    expect(withoutAnswer({ code: "ECONNREFUSED" }).outcome).toBe("failed");
    expect(withoutAnswer({ code: "ECONNRESET" }).outcome).toBe("unknown");
    expect(withoutAnswer({ name: "TimeoutError" }).outcome).toBe("unknown");
  });
});

test("a client that meets what must not be is noted, and the others go on", async () => {
  let steps = 0;
  const ground = { urls: ["http://127.0.0.1:1"], agent: new Agent(), random: new Prng("crew") };
  const crew = new Crew(callers(ground, 2), async (_caller, at) => {
    if (at === 0) throw new Error("no such thing");
    steps += 1;
    await new Promise(setImmediate);
  });
  await new Promise(setImmediate);
  await crew.stop();
  expect(crew.problems).toEqual([expect.stringContaining("no such thing")]);
  expect(steps).toBeGreaterThan(1);
});

test("a run that has done too little is found", () => {
  const feats = [{ name: "transfers", count: 9, perMinuteMin: 60 }];
  expect(tooLittle(feats, 9)).toEqual([]);
  expect(tooLittle(feats, 10)).toEqual(["only 9 transfers, of 60 a minute"]);
});

describe("a bank", () => {
  const bank: Bank = { prefix: "b/", accounts: 2, total: 10 };
  const account = (balance: number, by: string) => JSON.stringify({ balance, by });
  const opened = [put("b/0", account(5, "open"), 2), put("b/1", account(5, "open"), 2)];
  const moved = [put("b/0", account(3, "t1"), 4), put("b/1", account(7, "t1"), 4)];
  const history = [...opened, put("elsewhere", "x", 3), ...moved];
  const reading = (revision: number, balances: readonly string[], call = 0): Reading => ({
    how: "list",
    revision,
    isOfThePast: false,
    values: new Map(balances.map((value, at) => [`b/${at}`, value])),
    call,
    end: call + 1,
  });
  const before = reading(3, [account(5, "open"), account(5, "open")], 0);
  const after = reading(4, [account(3, "t1"), account(7, "t1")], 5);
  const transfer: Transfer = { name: "t1", outcome: "ok", revision: 4, call: 1, end: 4 };
  const good = { readings: [before, after], transfers: [transfer] };

  test("that is right has no problems", () => {
    expect(bankProblems(bank, good, history)).toEqual([]);
    const unknown: Transfer = { ...transfer, outcome: "unknown", revision: null };
    expect(bankProblems(bank, { ...good, transfers: [unknown] }, history)).toEqual([]);
    expect(
      bankProblems(bank, { ...good, transfers: [{ ...unknown, name: "t2" }] }, history),
    ).toEqual([]);
  });

  const half = {
    ...after,
    values: new Map([
      ["b/0", account(3, "t1")],
      ["b/1", account(5, "open")],
    ]),
  };
  test.each<[string, readonly Reading[], readonly Transfer[], readonly Change[]]>([
    ["half a transfer in a reading", [half], [], history],
    [
      "an account that is missing",
      [{ ...after, values: new Map([["b/0", account(10, "t1")]]) }],
      [],
      history,
    ],
    [
      "another state than there was",
      [reading(3, [account(4, "t1"), account(6, "t1")])],
      [],
      history,
    ],
    ["a stale reading", [{ ...before, call: 6, end: 7 }], [transfer], history],
    ["half a transfer in the history", [], [], history.slice(0, -1)],
    ["an acknowledged transfer that is lost", [], [{ ...transfer, name: "t9" }], history],
    ["one that was done elsewhere", [], [{ ...transfer, revision: 5 }], history],
    [
      "a refused one that was done",
      [],
      [{ ...transfer, outcome: "refused", revision: null }],
      history,
    ],
    [
      "one that was not applied, and was",
      [],
      [{ ...transfer, outcome: "failed", revision: null }],
      history,
    ],
    [
      "one that was done twice",
      [],
      [{ ...transfer, outcome: "unknown", revision: null }],
      [...history, put("b/0", account(3, "t1"), 5)],
    ],
  ])("with %s is found", (_name, readings, transfers, changes) => {
    expect(bankProblems(bank, { readings, transfers }, changes)).not.toEqual([]);
  });

  test("may be read as it was in the past", () => {
    const past = { ...before, isOfThePast: true, call: 6, end: 7 };
    expect(bankProblems(bank, { ...good, readings: [after, past] }, history)).toEqual([]);
  });
});

describe("a counter (X1, X2)", () => {
  const count = (value: number | null, call: number): Count => ({
    name: `c${call}`,
    counter: "n",
    value,
    again: null,
    call,
    end: call + 1,
  });
  const finals = (final: number) => new Map([["n", final]]);
  const good = [count(1, 0), count(2, 2), count(null, 4)];

  test("that counted each once has no problems, whatever became of the unknown ones", () => {
    expect(countProblems(good, finals(2))).toEqual([]);
    expect(countProblems(good, finals(3))).toEqual([]);
    const replayed = { ...count(1, 0), again: { value: 1, isReplayed: true } };
    expect(countProblems([replayed], finals(1))).toEqual([]);
  });

  test.each<[string, readonly Count[], number]>([
    ["counted one twice", good, 4],
    ["lost one", good, 1],
    ["told two the same", [count(1, 0), count(1, 2)], 2],
    ["told a number that it never was", [count(7, 0)], 1],
    ["went back", [count(2, 0), count(1, 5)], 2],
    ["told a retry another number", [{ ...count(1, 0), again: { value: 2, isReplayed: true } }], 1],
    ["did a retry again", [{ ...count(1, 0), again: { value: 1, isReplayed: false } }], 1],
  ])("that %s is found", (_name, counts, final) => {
    expect(countProblems(counts, finals(final))).not.toEqual([]);
  });
});

describe("a lease (X8)", () => {
  const life: LeaseLife = {
    id: 7,
    ttlMs: 1_000,
    keys: ["l/a", "l/b"],
    renewals: [
      { call: 0, end: 10 },
      { call: 500, end: 510 },
    ],
    sightings: [
      { call: 600, end: 610, isThere: true },
      { call: 1_490, end: 1_500, isThere: false },
    ],
    left: [900, 400, 600],
  };
  const ends = [end("expire", "l/a", 5), end("expire", "l/b", 5)];
  const history = [put("l/a", "held", 3), put("l/b", "held", 3), ...ends];

  test("that ended in its time has no problems", () => {
    expect(leaseProblems([life], history)).toEqual([]);
  });

  const gone = (at: number) => ({ call: at, end: at + 10, isThere: false });
  test.each<[string, Partial<LeaseLife>, readonly Change[]]>([
    ["was gone too early", { sightings: [gone(1_400)] }, history],
    [
      "was there again",
      { sightings: [...life.sightings, { call: 1_600, end: 1_610, isThere: true }] },
      history,
    ],
    [
      "was renewed after its end",
      { renewals: [...life.renewals, { call: 1_600, end: 1_610 }] },
      history,
    ],
    ["began anew", { left: [5_000, 1_000, 8_000] }, history],
    ["never ended", {}, history.slice(0, 2)],
    ["had a key deleted", {}, [...history.slice(0, 2), ends[0] as Change, end("delete", "l/b", 5)]],
    ["ended bit by bit", {}, [...history.slice(0, 3), end("expire", "l/b", 6)]],
    ["ended twice", {}, [...history, put("l/a", "held", 6), end("expire", "l/a", 7)]],
  ])("that %s is found", (_name, about, changes) => {
    expect(leaseProblems([{ ...life, ...about }], changes)).not.toEqual([]);
  });
});

describe("a lock (X7)", () => {
  const lock = "k";
  const history = [
    put("locks/k/a", "a", 3),
    put("locks/k/b", "b", 4),
    put("guarded", "w1", 5),
    end("delete", "locks/k/a", 6),
    put("guarded", "w2", 7),
    end("expire", "locks/k/b", 8),
  ];
  const write = (value: string, token: number, revision: number | null) =>
    ({ lock, key: "guarded", token, value, outcome: "ok", revision }) as const;
  const good: LocksTold = {
    attempts: [
      { lock, key: "locks/k/a", outcome: "ok" },
      { lock, key: "locks/k/b", outcome: "ok" },
      { lock, key: "locks/k/c", outcome: "failed" },
    ],
    holds: [
      { lock, token: 3, call: 0, end: 10 },
      { lock, token: 3, call: 5, end: 15 },
      { lock, token: 4, call: 16, end: 20 },
    ],
    writes: [write("w1", 3, 5), write("w2", 4, 7)],
  };

  test("that had one holder at a time has no problems", () => {
    expect(lockProblems(good, history)).toEqual([]);
  });

  test.each<[string, Partial<LocksTold>, readonly Change[]]>([
    ["had two holders", { holds: [...good.holds, { lock, token: 9, call: 18, end: 30 }] }, history],
    ["went back", { holds: [...good.holds, { lock, token: 2, call: 30, end: 31 }] }, history],
    [
      "says nothing was done, and it was",
      { attempts: [{ lock, key: "locks/k/a", outcome: "failed" }] },
      history,
    ],
    ["was given to nobody", { attempts: [{ lock, key: "locks/k/z", outcome: "ok" }] }, history],
    ["is never free again", {}, history.slice(0, -1)],
    ["let an older holder write", { writes: [write("w1", 4, 5), write("w2", 3, 7)] }, history],
    ["lost a write", { writes: [write("w9", 3, 5)] }, history],
    ["told another revision", { writes: [write("w1", 3, 6)] }, history],
    ["did what it refused", { writes: [{ ...write("w1", 3, null), outcome: "refused" }] }, history],
  ])("that %s is found", (_name, about, changes) => {
    expect(lockProblems({ ...good, ...about }, changes)).not.toEqual([]);
  });
});
