/** Changes of the members, as arithmetic: what makes no sense, and which steps lead where (M10). */
import { describe, expect, test } from "vitest";
import {
  type ChangeProblem,
  configurationAfter,
  firstStep,
  isDone,
  lastStep,
  type MemberChange,
} from "../../src/raft/change.ts";
import { configurationOf, memberOf, MEMBERS_MAX } from "../../src/raft/membership.ts";
import { asIndex, type Configuration, type NodeId } from "../../src/raft/types.ts";
import { parseChange, parseConfiguration, showConfiguration } from "./notation.ts";

const AT = asIndex(7);

function added(id: string, more: Partial<Extract<MemberChange, { type: "add" }>> = {}) {
  const change = {
    type: "add",
    id: id as NodeId,
    peerUrl: `http://${id}`,
    incarnation: "",
  } as const;
  return { ...change, isJoining: false, ...more };
}

/** `{n1,n2+n3}`, each at its own URL. */
function cluster(text: string): Configuration {
  const config = parseConfiguration(text);
  const members = config.members.map((member) => ({ ...member, peerUrl: `http://${member.id}` }));
  return { ...config, members };
}

function after(config: Configuration, changes: readonly MemberChange[]): Configuration {
  const result = configurationAfter(config, changes, AT);
  if ("problem" in result) throw new Error(`${result.problem} ${result.id}`);
  return result;
}

function problemOf(config: Configuration, changes: readonly MemberChange[]): ChangeProblem | null {
  const result = configurationAfter(config, changes, AT);
  return "problem" in result ? result : null;
}

describe("what makes no sense is refused by name (M10)", () => {
  const config = cluster("{n1,n2,n3+n4}");
  const move = (id: string, peerUrl: string) =>
    ({ type: "move", id: id as NodeId, peerUrl }) as const;

  test.each<[string, readonly MemberChange[], ChangeProblem["problem"], string | null]>([
    ["a member is added again", [added("n2")], "exists", "n2"],
    ["a learner is added again", [added("n4")], "exists", "n4"],
    ["somebody's URL is taken", [added("n5", { peerUrl: "http://n1" })], "url_taken", "n5"],
    [
      "two come with one URL",
      [added("n5"), added("n6", { peerUrl: "http://n5" })],
      "url_taken",
      "n6",
    ],
    ["a member moves to another's place", [move("n1", "http://n2")], "url_taken", "n1"],
    ["a stranger moves", [move("n9", "http://n9")], "unknown", "n9"],
    ["a stranger is promoted", [parseChange("^n9")], "unknown", "n9"],
    ["a stranger is demoted", [parseChange("_n9")], "unknown", "n9"],
    ["a stranger is removed", [parseChange("-n9")], "unknown", "n9"],
    ["a voter is promoted", [parseChange("^n1")], "not_learner", "n1"],
    ["a learner is demoted", [parseChange("_n4")], "not_voter", "n4"],
    ["one is named twice", [parseChange("^n4"), parseChange("-n4")], "named_twice", "n4"],
    ["all are removed", ["-n1", "-n2", "-n3"].map(parseChange), "no_voters", null],
    ["all are demoted", ["_n1", "_n2", "_n3"].map(parseChange), "no_voters", null],
    ["the second wish is wrong", [parseChange("-n1"), parseChange("-n9")], "unknown", "n9"],
  ])("%s", (_, changes, problem, id) => {
    expect(problemOf(config, changes)).toEqual({ problem, id });
  });

  test("more than there is room for, counting those who stay until the change is through", () => {
    const ids = Array.from({ length: MEMBERS_MAX }, (_, at) => `m${at}` as NodeId);
    const full = configurationOf({ voters: ids.slice(0, 3), learners: ids.slice(3) });
    expect(problemOf(full, [added("n1")])?.problem).toBe("too_many");
    const instead = [{ type: "remove", id: ids[0] as NodeId }, added("n1")] as const;
    expect(problemOf(full, instead)?.problem).toBe("too_many");
    // A learner is gone at once.
    const learner = [{ type: "remove", id: ids[9] as NodeId }, added("n1")] as const;
    expect(problemOf(full, learner)).toBeNull();
  });
});

describe("a change", () => {
  test.each([
    ["{n1,n2,n3}", ["+n4"], "{n1,n2,n3+n4}"],
    ["{n1,n2,n3+n4}", ["^n4"], "{n1,n2,n3,n4}"],
    ["{n1,n2,n3}", ["_n2"], "{n1,n3+n2}"],
    ["{n1,n2,n3}", ["-n2"], "{n1,n3}"],
    ["{n1+n2}", ["-n2"], "{n1}"],
    ["{n1,n2,n3+n4}", ["^n4", "-n1"], "{n2,n3,n4}"],
    ["{n1,n2+n3}", ["_n1", "^n3", "+n4"], "{n2,n3+n1,n4}"],
    ["{n1,n2}", [], "{n1,n2}"],
  ])("of %s by %j leads to %s", (from, changes, to) => {
    expect(showConfiguration(after(cluster(from), changes.map(parseChange)))).toBe(to);
  });

  // etcd's `update`: a member of which other things change than its part.
  test("of a place leaves everything else as it is", () => {
    const config = cluster("{n1,n2+n3}");
    const moved = after(config, [{ type: "move", id: "n2" as NodeId, peerUrl: "http://new" }]);
    expect(memberOf(moved, "n2" as NodeId)?.peerUrl).toBe("http://new");
    expect(showConfiguration(moved)).toBe("{n1,n2+n3}");
    expect(firstStep(config, moved)).toEqual(moved);
  });

  test("may give the URL of who leaves to who comes", () => {
    const config = cluster("{n1,n2,n3}");
    const changes = [parseChange("-n3"), added("n4", { peerUrl: "http://n3" })];
    expect(showConfiguration(after(config, changes))).toBe("{n1,n2+n4}");
  });

  test("that promotes ends that somebody joins", () => {
    const joining = after(cluster("{n1}"), [added("n2", { isJoining: true })]);
    expect(memberOf(joining, "n2" as NodeId)?.isJoining).toBe(true);
    const voting = after(joining, [parseChange("^n2")]);
    expect(memberOf(voting, "n2" as NodeId)?.isJoining).toBe(false);
  });
});

describe("a name that is announced", () => {
  const announced = after(cluster("{n1}"), [added("n2", { isJoining: true })]);
  const claim = added("n2", { incarnation: "x" });

  test("is claimed once, and joins as it was announced to", () => {
    const claimed = configurationAfter(announced, [claim], asIndex(9)) as Configuration;
    expect(memberOf(claimed, "n2" as NodeId)).toEqual({
      id: "n2",
      peerUrl: "http://n2",
      incarnation: "x",
      since: 9,
      isJoining: true,
    });
    expect(problemOf(claimed, [added("n2", { incarnation: "y" })])?.problem).toBe("exists");
    expect(problemOf(claimed, [claim])?.problem).toBe("exists");
  });

  test("is claimed at its own URL only, and not by a further announcement", () => {
    const elsewhere = added("n2", { incarnation: "x", peerUrl: "http://else" });
    expect(problemOf(announced, [elsewhere])?.problem).toBe("exists");
    expect(problemOf(announced, [added("n2")])?.problem).toBe("exists");
  });

  test("is not claimed where it votes, nor from a founder", () => {
    const voting = after(announced, [parseChange("^n2")]);
    expect(problemOf(voting, [claim])?.problem).toBe("exists");
    const founder = added("n1", { incarnation: "x" });
    expect(problemOf(cluster("{n2+n1}"), [founder])?.problem).toBe("exists");
  });
});

// etcd's joint_idempotency, simple_idempotency: to ask for what is there changes nothing.
describe("what is there already is done", () => {
  const comers = [added("n5", { incarnation: "x" }), added("n6")];
  const config = after(cluster("{n1,n2,n3+n4}"), comers);
  const url = (id: string) => ({ peerUrl: `http://${id}` });

  test.each<[string, MemberChange, boolean]>([
    ["^n1", parseChange("^n1"), true],
    ["^n4", parseChange("^n4"), false],
    ["^n9", parseChange("^n9"), false],
    ["_n4", parseChange("_n4"), true],
    ["_n1", parseChange("_n1"), false],
    ["-n4", parseChange("-n4"), false],
    ["-n9", parseChange("-n9"), false],
    ["n5 with its directory", added("n5", { incarnation: "x" }), true],
    ["n5 with another directory", added("n5", { incarnation: "y" }), false],
    ["n5 elsewhere", added("n5", { incarnation: "x", peerUrl: "http://else" }), false],
    ["n5 announced", added("n5"), false],
    ["n6 announced", added("n6"), true],
    ["n6 announced elsewhere", added("n6", { peerUrl: "http://else" }), false],
    ["n6 announced to be a voter", added("n6", { isJoining: true }), false],
    ["n6 with its directory", added("n6", { incarnation: "y" }), false],
    ["n4 announced", added("n4"), false],
    ["n1 where it is", { type: "move", id: "n1" as NodeId, ...url("n1") }, true],
    ["n1 elsewhere", { type: "move", id: "n1" as NodeId, ...url("n2") }, false],
    ["a stranger where it is not", { type: "move", id: "n9" as NodeId, ...url("n9") }, false],
  ])("%s", (_, change, done) => {
    expect(isDone(config, change)).toBe(done);
  });

  test("but nothing is while a change is under way", () => {
    const joint = firstStep(config, after(config, [parseChange("^n4")]));
    expect(isDone(joint, parseChange("^n1"))).toBe(false);
    expect(isDone(joint, parseChange("^n4"))).toBe(false);
  });
});

describe("the steps of a change", () => {
  test.each([
    ["{n1,n2,n3}", ["+n4"], "{n1,n2,n3+n4}"],
    ["{n1,n2,n3+n4}", ["-n4"], "{n1,n2,n3}"],
    ["{n1,n2,n3+n4}", ["^n4"], "{n1,n2,n3,n4|n1,n2,n3}"],
    ["{n1,n2,n3}", ["-n1"], "{n2,n3|n1,n2,n3}"],
    ["{n1,n2,n3}", ["_n1"], "{n2,n3|n1,n2,n3+n1}"],
    ["{n1,n2,n3+n4,n5}", ["^n4", "-n5"], "{n1,n2,n3,n4|n1,n2,n3}"],
  ])("from %s by %j: first %s", (from, changes, first) => {
    const config = cluster(from);
    const target = after(config, changes.map(parseChange));
    const step = firstStep(config, target);
    expect(showConfiguration(step)).toBe(first);
    expect(lastStep(step)).toEqual(target);
  });

  test("keep what is known of who leaves until the change is through", () => {
    const config = cluster("{n1,n2,n3}");
    const step = firstStep(config, after(config, [parseChange("-n2")]));
    expect(memberOf(step, "n2" as NodeId)).toEqual(memberOf(config, "n2" as NodeId));
    expect(memberOf(lastStep(step), "n2" as NodeId)).toBeUndefined();
  });
});
