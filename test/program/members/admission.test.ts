/** Who may speak to a node while members come and go (M8; reliability 3.4). */
import { expect, test } from "vitest";
import { admission } from "../../../src/program/members/admission.ts";
import { configurationOf } from "../../../src/raft/membership.ts";
import { asIndex, type Configuration, type NodeId } from "../../../src/raft/types.ts";

const NEW_URL = "http://here.test:5001";

interface Known {
  readonly voters: readonly string[];
  readonly learners?: readonly string[];
}

function membersOf({ voters, learners = [] }: Known, since: Record<string, number>): Configuration {
  const plain = configurationOf({
    voters: voters as readonly NodeId[],
    learners: learners as readonly NodeId[],
  });
  const members = plain.members.map((member) => {
    const at = asIndex(since[member.id] ?? 0);
    return { ...member, since: at, incarnation: at > 0 ? `${member.id}-${at}` : "" };
  });
  return { ...plain, members };
}

/** A node that knows these members, and what it says to whoever speaks. */
function node(about: {
  readonly committed: Known;
  readonly at: number;
  readonly inForce?: Known;
  readonly since?: Record<string, number>;
}) {
  const { committed, at, inForce = committed, since = {} } = about;
  const met = new Map<string, string>();
  const heard: string[] = [];
  const asked = admission({
    node: {
      inForce: () => {
        const index = asIndex(at);
        return { configuration: membersOf(inForce, since), index, isCommitted: true };
      },
      committedMembers: () => {
        return { index: asIndex(at), configuration: membersOf(committed, since) };
      },
    },
    book: { admit: (_from, { incarnation }) => (incarnation === "wrong" ? "no" : "yes") },
    meet: ({ from, peerUrl }) => met.set(from, peerUrl),
    note: (id) => heard.push(id),
  });
  const says = (from: string, more: { incarnation: string; since: number | null; life: number }) =>
    asked.admit({ from: from as NodeId, ...more, peerUrl: NEW_URL });
  /** As it was taken in. */
  const speaks = (from: string, life: number, incarnation = `${from}-${life}`) =>
    says(from, { incarnation, since: life, life });
  const doubts = (from: string, life: number) =>
    says(from, { incarnation: "lost", since: null, life });
  return { says, speaks, doubts, met, heard };
}

const three = { voters: ["n1", "n2", "n3"] };

test("members are listened to, and answered where they say that they are", () => {
  const { speaks, met, heard } = node({ committed: three, at: 9 });
  expect(speaks("n2", 0)).toBe("yes");
  expect([...met]).toEqual([["n2", NEW_URL]]);
  expect(heard).toEqual(["n2"]);
});

test("one that was removed is told so, and not answered elsewhere", () => {
  const { speaks, met, heard } = node({ committed: three, at: 9 });
  expect(speaks("n4", 5)).toBe("removed");
  expect([met.size, heard.length]).toEqual([0, 0]);
});

test("one that was added lately may speak though it is not known yet", () => {
  expect(node({ committed: three, at: 9 }).speaks("n4", 10)).toBe("yes");
});

test("the earlier life of a name is told that it was removed, its next one is listened to", () => {
  const { speaks } = node({ committed: { ...three, learners: ["n4"] }, at: 9, since: { n4: 9 } });
  expect(speaks("n4", 4)).toBe("removed");
  expect(speaks("n4", 9)).toBe("yes");
  expect(speaks("n4", 9, "another")).toBe("no");
});

test("M4: a leader that removes itself is heard until that is committed", () => {
  const left = { voters: ["n1", "n2"] };
  expect(node({ committed: three, inForce: left, at: 9 }).speaks("n3", 0)).toBe("yes");
  expect(node({ committed: left, at: 10 }).speaks("n3", 0)).toBe("removed");
});

test("in doubt, members may speak, and nobody else", () => {
  const { doubts, met } = node({ committed: three, at: 9 });
  expect(doubts("n2", 0)).toBe("yes");
  expect(doubts("n4", 5)).toBe("removed");
  expect([...met.keys()]).toEqual(["n2"]);
});

test("M8: an earlier life of a name is not answered, though it is in doubt", () => {
  const at20 = { committed: { ...three, learners: ["n4"] }, at: 20, since: { n4: 20 } };
  const { doubts, says, met } = node(at20);
  expect(doubts("n4", 5)).toBe("removed");
  expect(met.size).toBe(0);
  expect(doubts("n4", 20)).toBe("yes");
  // Its doubt has ended since it was taken in.
  expect(says("n4", { incarnation: "later", since: 31, life: 20 })).toBe("yes");
});

test("M8: who was rescued alone is a member anew, whatever the log says of it", () => {
  const rescued = { incarnation: "rescued", since: 12, life: 12 };
  for (const since of [0, 2]) {
    const { says } = node({ committed: { voters: ["n1", "n3"] }, at: 4, since: { n3: since } });
    expect(says("n3", rescued)).toBe("yes");
  }
});

test("another data directory of a name is not listened to, nor answered", () => {
  const { speaks, met, heard } = node({ committed: three, at: 9 });
  expect(speaks("n2", 0, "wrong")).toBe("no");
  expect([met.size, heard.length]).toEqual([0, 0]);
});
