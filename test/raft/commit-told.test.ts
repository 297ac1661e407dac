/** When followers hear of a commit: with the next append, a tick later, or at once if they wait. */
import { expect, test } from "vitest";
import type { Ready } from "../../src/raft/message.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { Lead } from "./lead.ts";

const PEER = "n2" as NodeId;

const commitsIn = ({ messages }: Ready) =>
  messages.flatMap((message) => (message.type === "commit" ? [message.commit] : []));

test("a commit that nobody waits for is told a tick later, once", () => {
  const lead = new Lead("n1,n2");
  const index = lead.propose();
  lead.drain();
  const ready = lead.hear(PEER, { type: "appended", matched: index });
  expect(ready.committed).toHaveLength(1);
  expect(commitsIn(ready)).toEqual([]);
  expect(commitsIn(lead.tick())).toEqual([index]);
  expect(commitsIn(lead.tick())).toEqual([]);
});

test("an append that goes before carries it", () => {
  const lead = new Lead("n1,n2");
  const index = lead.propose();
  lead.drain();
  lead.hear(PEER, { type: "appended", matched: index });
  lead.propose();
  expect(lead.drain().messages).toMatchObject([{ type: "append", commit: index }]);
  expect(commitsIn(lead.tick())).toEqual([]);
});

test("a follower whose clients wait for it is told at once", () => {
  const lead = new Lead("n1,n2");
  const index = lead.propose();
  lead.raft.awaitCommit(PEER, index);
  lead.drain();
  expect(commitsIn(lead.hear(PEER, { type: "appended", matched: index }))).toEqual([index]);
  expect(commitsIn(lead.tick())).toEqual([]);
});
