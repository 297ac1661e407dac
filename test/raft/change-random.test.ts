/** Changes of the members at random, and every pair of configurations of a few members (I10). */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import {
  configurationAfter,
  firstStep,
  lastStep,
  type MemberChange,
} from "../../src/raft/change.ts";
import {
  configurationOf,
  decodeConfiguration,
  encodeConfiguration,
  isJoint,
} from "../../src/raft/membership.ts";
import { tally } from "../../src/raft/quorum.ts";
import { asIndex, type Configuration, type Deciders, type NodeId } from "../../src/raft/types.ts";

const NAMES = ["n1", "n2", "n3", "n4", "n5", "n6", "n7"] as NodeId[];
const RUNS = 3_000;

function randomChange(random: Prng, id: NodeId): MemberChange {
  const place = `http://${id}:${random.below(3)}`;
  switch (random.below(5)) {
    case 0:
      return {
        type: "add",
        id,
        peerUrl: place,
        incarnation: random.chance(50) ? "" : `i${random.below(3)}`,
        isJoining: random.chance(50),
      };
    case 1:
      return { type: "promote", id };
    case 2:
      return { type: "demote", id };
    case 3:
      return { type: "remove", id };
    default:
      return { type: "move", id, peerUrl: place };
  }
}

/** Some changes, each of another member. */
function randomChanges(random: Prng): readonly MemberChange[] {
  const names = NAMES.filter(() => random.chance(40));
  return names.map((id) => randomChange(random, id));
}

function stepBy(config: Configuration, change: MemberChange, at: number): Configuration {
  const target = configurationAfter(config, [change], asIndex(at));
  if ("problem" in target) throw new Error(`${target.problem} ${target.id}`);
  const first = firstStep(config, target);
  expect(decodeConfiguration(encodeConfiguration(first))).toEqual(first);
  return isJoint(first) ? lastStep(first) : first;
}

test("one joint change, and one change after the other, end in the same configuration", () => {
  const random = new Prng("changes");
  let taken = 0;
  let config = configurationOf({ voters: NAMES.slice(0, 3) });
  for (let run = 0; run < RUNS; run++) {
    const changes = randomChanges(random);
    const at = asIndex(run + 1);
    const target = configurationAfter(config, changes, at);
    if ("problem" in target) continue;
    const joint = firstStep(config, target);
    expect(decodeConfiguration(encodeConfiguration(joint))).toEqual(joint);
    expect(lastStep(joint)).toEqual(target);
    // One by one nobody may be left without voters on the way.
    const inOrder = [...changes].sort((a, b) => weight(a) - weight(b));
    const single = inOrder.reduce((before, change) => stepBy(before, change, at), config);
    expect(single).toEqual(target);
    taken += changes.length > 1 ? 1 : 0;
    config = target;
  }
  expect(taken).toBeGreaterThan(RUNS / 50);
});

/** Voters come before voters go. */
function weight({ type }: MemberChange): number {
  return type === "promote" ? 0 : type === "demote" || type === "remove" ? 2 : 1;
}

/** Every set of `NAMES.slice(0, 5)` but the empty one. */
const SETS = Array.from({ length: 31 }, (_, at) =>
  NAMES.slice(0, 5).filter((_name, bit) => ((at + 1) >> bit) & 1),
);
/** Who says yes, in every way. */
const VOTES = [[] as NodeId[], ...SETS].map((ids) => new Set(ids));

/** The naive model: more than half of each half that is not empty. */
function decide({ voters, outgoing }: Deciders, yes: ReadonlySet<NodeId>): boolean {
  const most = (ids: readonly NodeId[]) => 2 * ids.filter((id) => yes.has(id)).length > ids.length;
  return most(voters) && (outgoing.length === 0 || most(outgoing));
}

function quorumsOf(config: Deciders): readonly ReadonlySet<NodeId>[] {
  return VOTES.filter((yes) => decide(config, yes));
}

describe("of every two sets of voters, one after the other (M1, M7)", () => {
  const pairs = SETS.flatMap((old) => SETS.map((next) => [old, next] as const));

  test("what decides before, between and after has a member in common", () => {
    for (const [old, next] of pairs) {
      const from = configurationOf({ voters: old });
      const learners = old.filter((id) => !next.includes(id));
      const to = configurationOf({ voters: next, learners: learners.slice(0, 1) });
      const between = firstStep(from, to);
      const steps = [from, between, lastStep(between)];
      for (const [at, config] of steps.slice(1).entries()) {
        expect(haveCommon(steps[at] as Configuration, config)).toBe(true);
      }
    }
  });

  test("without the step between, many would have none", () => {
    const apart = pairs.filter(([old, next]) => {
      return !haveCommon(configurationOf({ voters: old }), configurationOf({ voters: next }));
    });
    expect(apart.length).toBeGreaterThan(pairs.length / 3);
  });

  test("votes are counted as the model does", () => {
    for (const [voters, outgoing] of pairs) {
      for (const yes of VOTES) {
        const votes = new Map(NAMES.slice(0, 5).map((id) => [id, yes.has(id)] as const));
        const isWon = tally({ voters, outgoing }, votes) === "won";
        if (isWon !== decide({ voters, outgoing }, yes))
          throw new Error(`${voters.join()}|${outgoing.join()}`);
      }
    }
  });
});

/** Whether each majority of one meets each of the other. */
function haveCommon(a: Deciders, b: Deciders): boolean {
  const others = quorumsOf(b);
  const meets = (some: ReadonlySet<NodeId>, other: ReadonlySet<NodeId>) =>
    [...some].some((id) => other.has(id));
  return quorumsOf(a).every((some) => others.every((other) => meets(some, other)));
}
