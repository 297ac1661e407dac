/** Whether a name's life as a member is over, as far as a committed configuration tells (M8). */
import { expect, test } from "vitest";
import { wasRemoved } from "../../src/raft/reconfigure.ts";
import { asIndex, type Configuration, type NodeId } from "../../src/raft/types.ts";
import { parseConfiguration } from "./notation.ts";

/** What is committed: entry 10 has brought {n1,n2}, of which n2 is a member since entry 6. */
function committed(): { configuration: Configuration; index: ReturnType<typeof asIndex> } {
  const config = parseConfiguration("{n1,n2}");
  const members = config.members.map((member) => {
    return member.id === "n2" ? { ...member, since: asIndex(6) } : member;
  });
  return { configuration: { ...config, members }, index: asIndex(10) };
}

test.each<[string, string, number, boolean]>([
  ["a founder that is a member", "n1", 0, false],
  ["a member in this life", "n2", 6, false],
  ["a member in an earlier life", "n2", 5, true],
  ["a founder whose name is used again", "n2", 0, true],
  ["a member in a later life, of which is not known here", "n2", 12, false],
  ["a founder that is no member any more", "n3", 0, true],
  ["one that was added and removed again", "n3", 9, true],
  ["one that was added later than is known here", "n3", 11, false],
])("%s", (_, id, since, isOver) => {
  const life = { id: id as NodeId, since: asIndex(since) };
  expect(wasRemoved(committed(), life)).toBe(isOver);
});

test("before anything was changed, nobody was removed", () => {
  const founded = { configuration: parseConfiguration("{n1,n2}"), index: asIndex(0) };
  expect(wasRemoved(founded, { id: "n3" as NodeId, since: asIndex(0) })).toBe(false);
});
