/** The simulator's view of configurations: what it must find wrong, and what it must let pass. */
import { describe, expect, test } from "vitest";
import {
  configurationAfter,
  firstStep,
  lastStep,
  type MemberChange,
} from "../../src/raft/change.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import { asIndex, type Configuration, type NodeId } from "../../src/raft/types.ts";
import { Configurations, couldGoOn, isQuorum } from "./configurations.ts";

const [n1, n2, n3, n4] = ["n1", "n2", "n3", "n4"] as [NodeId, NodeId, NodeId, NodeId];
const addition = {
  type: "add",
  id: n4,
  peerUrl: "n4/1",
  incarnation: "n4-1",
  isJoining: true,
} as const;
const three = configurationOf({ voters: [n1, n2, n3] });

function after(config: Configuration, changes: readonly MemberChange[], at: number) {
  const target = configurationAfter(config, changes, asIndex(at));
  if ("problem" in target) throw new Error(target.problem);
  return target;
}

function committing(...list: readonly Configuration[]): () => void {
  return () => {
    const configurations = new Configurations(three);
    list.forEach((configuration, at) => {
      configurations.committed({ index: asIndex(at + 1), configuration });
    });
  };
}

describe("I10: committed configurations", () => {
  const target = after(three, [{ type: "remove", id: n3 }], 1);
  const joint = firstStep(three, target);

  test("follow each other in two steps", () => {
    expect(committing(joint, lastStep(joint))).not.toThrow();
  });

  test("may not change voters in one step", () => {
    expect(committing(target)).toThrow("voters change in one step");
  });

  test("may not end a change otherwise than it began", () => {
    expect(committing(joint, three)).toThrow("a change ends with other voters than it began");
    expect(committing(joint, joint)).toThrow("a change begins before another has ended");
  });

  test("may not leave the old voters out of a change", () => {
    const other = { ...joint, outgoing: [n1, n2] };
    expect(committing(other)).toThrow("the voters before do not decide about a change");
  });

  test("take machines of one name for different ones (M8)", () => {
    const members = three.members.map((member) => ({ ...member, since: asIndex(1) }));
    expect(committing({ ...three, members })).toThrow("could decide without each other");
  });
});

test("a snapshot carries the configuration of its index (M6)", () => {
  const configurations = new Configurations(three);
  const four = after(three, [{ ...addition, isJoining: false }], 5);
  configurations.committed({ index: asIndex(5), configuration: four });
  expect(() => configurations.checkSnapshot({ index: asIndex(4), configuration: four })).toThrow();
  configurations.checkSnapshot({ index: asIndex(4), configuration: three });
  configurations.checkSnapshot({ index: asIndex(6), configuration: four });
});

test("a machine has left when its name is gone, or is another's", () => {
  const configurations = new Configurations(three);
  expect(configurations.hasLeft({ id: n4, since: asIndex(0) })).toBe(false);
  const four = after(three, [{ ...addition, isJoining: false }], 5);
  configurations.committed({ index: asIndex(5), configuration: four });
  expect(configurations.hasLeft({ id: n4, since: asIndex(5) })).toBe(false);
  expect(configurations.hasLeft({ id: n4, since: asIndex(3) })).toBe(true);
  expect(configurations.hasLeft({ id: n1, since: asIndex(0) })).toBe(false);
});

test("a quorum is of machines, and of both halves of a change", () => {
  const joint = configurationOf({ voters: [n1, n4], outgoing: [n1, n2, n3] });
  const has = (...who: readonly string[]) => isQuorum(joint, (each) => who.includes(each));
  expect(has("n1", "n4")).toBe(false);
  expect(has("n1", "n2")).toBe(false);
  expect(has("n1", "n2", "n4")).toBe(true);
  expect(has("n1", "n2", "n4@7")).toBe(false);
});

test("who still joins counts, if it may become a voter that has lost its disk", () => {
  const joining = after(configurationOf({ voters: [n1] }), [addition], 5);
  expect(couldGoOn(joining, () => false)).toBe(true);
  expect(couldGoOn(joining, (id) => id === n4)).toBe(false);
  expect(couldGoOn(after(three, [addition], 5), (id) => id === n4)).toBe(true);
});
