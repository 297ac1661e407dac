/** Where the other nodes are reached, while members come, go and move (M8, M11). */
import { beforeEach, describe, expect, test } from "vitest";
import { Directory } from "../../../src/program/members/directory.ts";
import { foundingConfiguration } from "../../../src/raft/membership.ts";
import { asIndex, type Configuration, type NodeId } from "../../../src/raft/types.ts";

let urls: Readonly<Record<string, string>>;
let told: number;
let directory: Directory;

beforeEach(() => {
  told = 0;
  directory = new Directory("n1" as NodeId, (found) => {
    urls = Object.fromEntries(found);
    told += 1;
  });
});

function members(found: Readonly<Record<string, string>>) {
  return foundingConfiguration(new Map(Object.entries(found)) as Map<NodeId, string>);
}

/** What is in force is committed. */
function follow(found: Readonly<Record<string, string>>): void {
  directory.follow(members(found), members(found));
}

function meet(id: string, url: string): void {
  directory.meet(id as NodeId, url);
}

test("the other members are where the configuration says", () => {
  follow({ n1: "http://n1.test", n2: "http://n2.test" });
  expect(urls).toEqual({ n2: "http://n2.test" });
});

test("who leaves is answered until that is committed", () => {
  const before = members({ n1: "http://n1.test", n2: "http://n2.test", n3: "http://n3.test" });
  const after = members({ n1: "http://n1.test", n2: "http://n2.test" });
  directory.follow(after, before);
  expect(urls).toEqual({ n2: "http://n2.test", n3: "http://n3.test" });
  directory.follow(after, after);
  expect(urls).toEqual({ n2: "http://n2.test" });
});

test("what is in force comes before what was committed", () => {
  const before = members({ n1: "http://n1.test", n2: "http://old.test" });
  directory.follow(members({ n1: "http://n1.test", n2: "http://new.test" }), before);
  expect(urls).toEqual({ n2: "http://new.test" });
});

test("M11: a member that speaks from elsewhere is answered there, until told otherwise", () => {
  follow({ n1: "http://n1.test", n2: "http://old.test", n3: "http://n3.test" });
  meet("n2", "http://new.test");
  expect(urls).toEqual({ n2: "http://new.test", n3: "http://n3.test" });
  // Others come and go meanwhile.
  follow({ n1: "http://n1.test", n2: "http://old.test" });
  expect(urls).toEqual({ n2: "http://new.test" });
  follow({ n1: "http://n1.test", n2: "http://newer.test" });
  expect(urls).toEqual({ n2: "http://newer.test" });
});

test("a member that has come back to where it was is answered there", () => {
  follow({ n1: "http://n1.test", n2: "http://n2.test" });
  meet("n2", "http://other.test");
  meet("n2", "http://n2.test");
  expect(urls).toEqual({ n2: "http://n2.test" });
});

test("nothing is told where nothing changes, however often somebody speaks", () => {
  follow({ n1: "http://n1.test", n2: "http://n2.test" });
  expect(told).toBe(1);
  meet("n2", "http://n2.test");
  meet("n1", "http://elsewhere.test");
  expect(told).toBe(1);
  meet("n4", "http://n4.test");
  meet("n4", "http://n4.test");
  expect(told).toBe(2);
});

test("of nodes that are no members, the last sixteen are answered", () => {
  follow({ n1: "http://n1.test", n2: "http://n2.test" });
  for (let at = 0; at < 20; at++) meet(`x${at}`, `http://x${at}.test`);
  expect(Object.keys(urls).sort()).toEqual(
    ["n2", ...Array.from({ length: 16 }, (_, at) => `x${at + 4}`)].sort(),
  );
});

/** `n2` was made a member by the entry `since`. */
function withLife(since: number): Configuration {
  const founded = members({ n1: "http://n1.test", n2: "http://n2.test" });
  const lived = founded.members.map((each) => {
    return each.id === "n2" ? { ...each, since: asIndex(since) } : each;
  });
  return { ...founded, members: lived };
}

describe("M8: which life of a name there is", () => {
  const life = () => directory.lifeOf("n2" as NodeId);
  const hear = (since: number) => directory.hear("n2" as NodeId, since);

  test("is not known of a name that nobody told of", () => {
    follow({ n1: "http://n1.test" });
    expect(life()).toBeNull();
  });

  test("is 0 for a founder", () => {
    follow({ n1: "http://n1.test", n2: "http://n2.test" });
    expect(life()).toBe(0);
  });

  test("is what the configuration says, and stays when the member is gone", () => {
    directory.follow(withLife(7), withLife(7));
    expect(life()).toBe(7);
    follow({ n1: "http://n1.test" });
    expect(life()).toBe(7);
  });

  test("is the next one as soon as it is in force, though the earlier one is committed", () => {
    directory.follow(withLife(9), withLife(7));
    expect(life()).toBe(9);
  });

  test("is the newest that was heard, in whatever order", () => {
    hear(9);
    hear(7);
    expect(life()).toBe(9);
    directory.follow(withLife(7), withLife(7));
    expect(life()).toBe(9);
    directory.follow(withLife(11), withLife(11));
    expect(life()).toBe(11);
  });
});
