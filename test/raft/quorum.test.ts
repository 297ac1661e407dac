/**
 * Majorities against a model that only counts: exhaustively for few members, and at random for
 * more. I10: two halves of a change decide together, whichever is called which.
 */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { majority, reached, tally, type Verdict } from "../../src/raft/quorum.ts";
import type { Deciders, NodeId } from "../../src/raft/types.ts";

const RANDOM_CASES = 50_000;
const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"] as NodeId[];

type Values = ReadonlyMap<NodeId, number>;
type Votes = ReadonlyMap<NodeId, boolean>;

/** The naive model: the largest value that more than half of each half has reached. */
function modelReached(config: Deciders, values: Values): number {
  const agreed = (value: number) =>
    halves(config).every((half) => {
      const count = half.filter((id) => (values.get(id) ?? 0) >= value).length;
      return half.length === 0 || count * 2 > half.length;
    });
  const candidates = [...values.values(), 0].sort((a, b) => b - a);
  if (halves(config).every((half) => half.length === 0)) return Number.POSITIVE_INFINITY;
  return candidates.find(agreed) ?? 0;
}

/** The naive model: decided is what no further vote can change. */
function modelTally(config: Deciders, votes: Votes): Verdict {
  const wins = (missing: boolean) =>
    halves(config).every((half) => {
      const granted = half.filter((id) => votes.get(id) ?? missing).length;
      return half.length === 0 || granted * 2 > half.length;
    });
  if (wins(false)) return "won";
  return wins(true) ? "pending" : "lost";
}

function halves({ voters, outgoing }: Deciders): readonly (readonly NodeId[])[] {
  return [voters, outgoing];
}

function configuration(voters: readonly NodeId[], outgoing: readonly NodeId[]): Deciders {
  return { voters, outgoing };
}

function swapped(config: Deciders): Deciders {
  return configuration(config.outgoing, config.voters);
}

function subsetsOf(ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const all = Array.from({ length: 1 << ids.length }, (_, bits) => bits);
  return all.map((bits) => ids.filter((_, at) => (bits >> at) & 1));
}

/** Every way to give each of `count` members one of `choices`. */
function* assignments<T>(choices: readonly T[], count: number): Generator<readonly T[]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (const rest of assignments(choices, count - 1)) {
    for (const choice of choices) yield [choice, ...rest];
  }
}

/** Differences from the model, so that a million cases make one assertion. */
function* differences(config: Deciders, values: readonly (number | null)[]) {
  const numbers = new Map<NodeId, number>();
  const votes = new Map<NodeId, boolean>();
  for (const [at, value] of values.entries()) {
    const id = names[at];
    if (id === undefined || value === null) continue;
    numbers.set(id, value);
    votes.set(id, value > 0);
  }
  const here = `${JSON.stringify(config)} ${JSON.stringify(values)}`;
  for (const one of [config, swapped(config)]) {
    const got = reached(one, (id) => numbers.get(id) ?? 0);
    if (got !== modelReached(config, numbers)) yield `reached ${got}: ${here}`;
    const verdict = tally(one, votes);
    if (verdict !== modelTally(config, votes)) yield `${verdict}: ${here}`;
  }
}

describe("majority", () => {
  test("is more than half", () => {
    expect([1, 2, 3, 4, 5, 6, 7].map(majority)).toEqual([1, 2, 2, 3, 3, 4, 4]);
  });
});

describe("one configuration", () => {
  test.each([1, 2, 3, 4, 5])("of %i members agrees with the model in every case", (count) => {
    const config = configuration(names.slice(0, count), []);
    const found: string[] = [];
    for (const values of assignments([null, 0, 1, 2], count)) {
      found.push(...differences(config, values));
    }
    expect(found).toEqual([]);
  });
});

describe("two configurations", () => {
  test("agree with the model in every case of four members, in both orders", () => {
    const four = names.slice(0, 4);
    const found: string[] = [];
    for (const voters of subsetsOf(four)) {
      for (const outgoing of subsetsOf(four)) {
        for (const values of assignments([null, 0, 1], four.length)) {
          found.push(...differences(configuration(voters, outgoing), values));
        }
      }
    }
    expect(found).toEqual([]);
  });

  test(`agree with the model in ${RANDOM_CASES} random cases of up to nine members`, () => {
    const random = new Prng("quorum");
    const some = () => names.filter(() => random.chance(50));
    const found: string[] = [];
    for (let i = 0; i < RANDOM_CASES; i++) {
      const values = names.map(() => (random.chance(25) ? null : random.below(6)));
      found.push(...differences(configuration(some(), some()), values));
    }
    expect(found).toEqual([]);
  });

  test("never decide against each other: any two winning sets have a member in common", () => {
    const five = names.slice(0, 5);
    const config = configuration(five.slice(0, 3), five.slice(1));
    const winning = subsetsOf(five).filter((set) => {
      return tally(config, new Map(set.map((id) => [id, true]))) === "won";
    });
    expect(winning.length).toBeGreaterThan(0);
    for (const a of winning)
      for (const b of winning) expect(a.some((id) => b.includes(id))).toBe(true);
  });
});
