/** The last step of a change waits for who leaves to learn what became of its clients' writes. */
import { expect, test } from "vitest";
import { isJoint } from "../../src/raft/membership.ts";
import type { Index, Millis, NodeId } from "../../src/raft/types.ts";
import { ELECTION_MS, Lead } from "./lead.ts";
import { TICK_MS } from "./limits.ts";

const LEAVER = "n3" as NodeId;

/** n2 has the entry of the removal and all before it, and the leaver has not. */
function remove(lead: Lead): Index {
  const taken = lead.raft.change([{ type: "remove", id: LEAVER }], lead.now as Millis);
  if ("refused" in taken) throw new Error(taken.refused);
  lead.drain();
  lead.hear("n2", { type: "appended", matched: taken.index });
  return taken.index;
}

/** The leaver's client wrote before. */
function removeAfterWrite(lead: Lead): Index {
  lead.raft.awaitCommit(LEAVER, lead.propose());
  const index = remove(lead);
  lead.tick();
  return index;
}

function isChanging({ raft }: Lead): boolean {
  return isJoint(raft.core.configuration);
}

test("it waits until whoever leaves was told of the commit that its clients wait for", () => {
  const lead = new Lead("n1,n2,n3");
  const joint = removeAfterWrite(lead);
  expect(lead.raft.core.log.committed).toBe(joint);
  expect(isChanging(lead)).toBe(true);
  const { messages } = lead.hear(LEAVER, { type: "appended", matched: joint });
  expect(messages).toContainEqual(
    expect.objectContaining({ to: LEAVER, type: "commit", commit: joint }),
  );
  lead.tick();
  expect(isChanging(lead)).toBe(false);
});

test("it waits for an election timeout at most, though the one that leaves is heard", () => {
  const lead = new Lead("n1,n2,n3");
  removeAfterWrite(lead);
  const end = lead.now + ELECTION_MS;
  while (lead.now < end - 2 * TICK_MS) {
    for (const id of ["n2", LEAVER]) lead.hear(id, { type: "heard", readSeq: 0 });
    lead.tick();
    expect(isChanging(lead)).toBe(true);
  }
  for (let left = 3; left > 0; left--) lead.tick();
  expect(isChanging(lead)).toBe(false);
});

test("whoever stays keeps nobody waiting", () => {
  const lead = new Lead("n1,n2,n3");
  lead.raft.awaitCommit("n2" as NodeId, 5 as Index);
  remove(lead);
  expect(isChanging(lead)).toBe(false);
});
