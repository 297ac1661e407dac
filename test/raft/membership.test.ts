/** Configurations: their bytes, and which of them holds from which index on (M5, M6). */
import { describe, expect, test } from "vitest";
import { ByteWriter, MalformedError } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import { ConfigurationHistory } from "../../src/raft/configuration-history.ts";
import {
  configurationOf,
  decodeConfiguration,
  encodeConfiguration,
  isVoter,
  membersOf,
} from "../../src/raft/membership.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  isNodeId,
  type NodeId,
} from "../../src/raft/types.ts";
import { parseConfiguration } from "./notation.ts";

const joint = parseConfiguration("{n1,n2,n3|n3,n4+n9}");

/** As on disk: each member's name, and what it is: 1 votes, 2 leaves, 4 learns, 8 joins. */
function raw(...members: readonly [name: string, flags: number][]): Uint8Array {
  return encoded(2, members.length, members);
}

function encoded(
  format: number,
  count: number,
  members: readonly [name: string, flags: number][],
): Uint8Array {
  const out = new ByteWriter();
  out.u8(format);
  out.varint(count);
  for (const [name, flags] of members) {
    out.sizedString(name);
    out.u8(flags);
    out.sizedString("http://somewhere");
    out.sizedString("x");
    out.varint(3);
  }
  return out.finish();
}

describe("a configuration's bytes", () => {
  test.each([
    "{n1}",
    "{n1,n2,n3}",
    "{n1,n2|n2,n3}",
    "{n1,n2+n3,n4}",
    "{a.b-c_D|x+y}",
    "{n1|n2+n2}",
  ])("of %s come back as they were", (text) => {
    const config = parseConfiguration(text);
    expect(decodeConfiguration(encodeConfiguration(config))).toEqual(config);
  });

  test("hold all that is known of a member", () => {
    const { members } = decodeConfiguration(raw(["n1", 1], ["n2", 12]));
    const known = { peerUrl: "http://somewhere", incarnation: "x", since: 3 };
    expect(members).toEqual([
      { id: "n1", ...known, isJoining: false },
      { id: "n2", ...known, isJoining: true },
    ]);
  });

  test.each([
    ["nobody", raw(), "without voters"],
    ["nobody to decide", raw(["n1", 4]), "without voters"],
    ["nobody to decide when the change is through", raw(["n1", 2]), "without voters"],
    ["somebody who would count twice", raw(["n1", 1], ["n1", 1]), "n1 is not in its place"],
    ["names in another order", raw(["n2", 1], ["n1", 1]), "n1 is not in its place"],
    ["a name that is none", raw(["n 1", 1]), "not the name of a node"],
    ["an empty name", raw(["", 1]), "not the name of a node"],
    ["a member without a part", raw(["n1", 1], ["n2", 0]), "n2 cannot be a member as 0"],
    ["a voter that learns", raw(["n1", 5]), "n1 cannot be a member as 5"],
    ["a part that is not known", raw(["n1", 17]), "n1 cannot be a member as 17"],
    ["a voter that joins", raw(["n1", 9]), "n1 has joined already"],
    ["one that leaves and joins", raw(["n1", 1], ["n2", 10]), "n2 has joined already"],
    ["too many members", encoded(2, 256, [["n1", 1]]), "256 members are too many"],
    ["a member too few", encoded(2, 2, [["n1", 1]]), ""],
    [
      "something more",
      encoded(2, 1, [
        ["n1", 1],
        ["n2", 1],
      ]),
      "",
    ],
    ["the format of old", encoded(1, 1, [["n1", 1]]), "unknown configuration format 1"],
    ["nothing", new Uint8Array(0), ""],
  ])("are refused with %s", (_, bytes, message) => {
    expect(() => decodeConfiguration(bytes)).toThrow(MalformedError);
    expect(() => decodeConfiguration(bytes)).toThrow(message);
  });

  test("cut off anywhere are refused", () => {
    const bytes = encodeConfiguration(joint);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeConfiguration(bytes.subarray(0, length))).toThrow(MalformedError);
    }
  });
});

describe("a configuration", () => {
  test("has voters in either half, and learners that are none", () => {
    expect(["n1", "n4", "n9", "n5"].map((id) => isVoter(joint, id as NodeId))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(membersOf(joint)).toEqual(["n1", "n2", "n3", "n4", "n9"]);
  });

  test("of a cluster's start is sorted, so that all nodes have the same", () => {
    expect(configurationOf({ voters: ["n3", "n1", "n2"] as NodeId[] })).toEqual(
      parseConfiguration("{n1,n2,n3}"),
    );
  });

  test.each([
    ["n1", true],
    ["A.b_c-9", true],
    ["x".repeat(64), true],
    ["x".repeat(65), false],
    ["", false],
    ["a b", false],
    ["a/b", false],
    ["ä", false],
    ["a\n", false],
  ])("names a node %j: %j", (text, valid) => {
    expect(isNodeId(text)).toBe(valid);
  });
});

describe("the history of configurations", () => {
  const first = parseConfiguration("{n1}");
  const second = parseConfiguration("{n1,n2}");
  const third = parseConfiguration("{n1,n2,n3}");

  function history(): ConfigurationHistory {
    const made = new ConfigurationHistory(asIndex(0), first);
    made.append(asIndex(5), second);
    made.append(asIndex(9), third);
    return made;
  }

  test("knows what was in force at each index", () => {
    const made = history();
    expect([0, 4, 5, 8, 9, 99].map((at) => made.at(asIndex(at)))).toEqual([
      first,
      first,
      second,
      second,
      third,
      third,
    ]);
    expect(made.current).toBe(third);
  });

  test("brings back the one before when the log is cut", () => {
    const made = history();
    made.truncateFrom(asIndex(10));
    expect(made.current).toBe(third);
    made.truncateFrom(asIndex(9));
    expect(made.current).toBe(second);
    made.truncateFrom(asIndex(1));
    expect(made.current).toBe(first);
    expect(() => made.truncateFrom(asIndex(0))).toThrow("first configuration");
  });

  test("forgets what nobody can come back to, and no more", () => {
    const made = history();
    made.compactTo(asIndex(8));
    expect(made.at(asIndex(8))).toBe(second);
    expect(() => made.at(asIndex(4))).toThrow("no configuration is known");
    made.truncateFrom(asIndex(9));
    expect(made.current).toBe(second);
  });

  test("begins anew from a snapshot", () => {
    const made = history();
    const position = { index: asIndex(20), term: asTerm(2), time: 0 as ClusterTime };
    made.reset({ ...position, configuration: joint });
    expect(made.current).toBe(joint);
    expect(() => made.at(asIndex(19))).toThrow("no configuration is known");
  });

  test("is at every index what a list of all entries says, whatever happens", () => {
    const random = new Prng("history");
    for (let run = 0; run < 200; run++) compareWithList(random);
  });

  function compareWithList(random: Prng): void {
    const made = new ConfigurationHistory(asIndex(0), first);
    let list: { at: number; config: Configuration }[] = [{ at: 0, config: first }];
    let kept = 0;
    for (let step = 0; step < 30; step++) {
      const newest = list.at(-1)?.at ?? 0;
      if (random.chance(60)) {
        const at = newest + random.between(1, 3);
        made.append(asIndex(at), second);
        list.push({ at, config: second });
      } else if (random.chance(50)) {
        const at = random.between(kept + 1, newest + 1);
        made.truncateFrom(asIndex(at));
        list = list.filter((item) => item.at < at);
      } else {
        kept = random.between(kept, newest);
        made.compactTo(asIndex(kept));
      }
      for (let at = kept; at < newest + 3; at++) {
        expect(made.at(asIndex(at))).toBe(list.findLast((item) => item.at <= at)?.config);
      }
    }
  }
});
