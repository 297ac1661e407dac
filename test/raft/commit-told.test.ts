/** When followers hear of a commit: with the next append, a tick later, or at once if they wait. */
import { expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Index, Millis, NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseNodes } from "./notation.ts";

const PEER = "n2" as NodeId;

/** A leader of two nodes, whose only follower answers when it is told to. */
class Lead {
  readonly raft: Raft;
  now = 0;

  constructor() {
    const options = {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters: parseNodes("n1,n2") }),
      heartbeatMs: 200,
      electionMs: 1_000,
      ...LIMITS,
      random: new Prng("commit"),
    };
    this.raft = new Raft(options, nothingSaved, 0 as Millis);
    while (this.raft.core.role.kind === "follower") this.tick();
    this.hear({ type: "prevoted", round: this.raft.core.round, granted: true });
    this.hear({ type: "voted", granted: true });
    this.hear({ type: "appended", matched: 1 as Index });
    this.tick();
  }

  drain(): Ready {
    const ready = this.raft.drain();
    if (ready.write === null) return ready;
    this.raft.step({ type: "persisted", write: ready.write.number }, this.now as Millis);
    return ready;
  }

  hear(body: object): Ready {
    const message = { from: PEER, to: "n1", term: this.raft.core.term, ...body } as Message;
    this.raft.step({ type: "message", message }, this.now as Millis);
    return this.drain();
  }

  tick(): Ready {
    this.now += TICK_MS;
    this.raft.step({ type: "tick" }, this.now as Millis);
    return this.drain();
  }

  propose(): Index {
    const position = this.raft.propose([new Uint8Array(1)], this.now as Millis);
    if (typeof position === "string") throw new Error(position);
    return position.index;
  }
}

const commitsIn = ({ messages }: Ready) =>
  messages.flatMap((message) => (message.type === "commit" ? [message.commit] : []));

test("a commit that nobody waits for is told a tick later, once", () => {
  const lead = new Lead();
  const index = lead.propose();
  lead.drain();
  const ready = lead.hear({ type: "appended", matched: index });
  expect(ready.committed).toHaveLength(1);
  expect(commitsIn(ready)).toEqual([]);
  expect(commitsIn(lead.tick())).toEqual([index]);
  expect(commitsIn(lead.tick())).toEqual([]);
});

test("an append that goes before carries it", () => {
  const lead = new Lead();
  const index = lead.propose();
  lead.drain();
  lead.hear({ type: "appended", matched: index });
  lead.propose();
  expect(lead.drain().messages).toMatchObject([{ type: "append", commit: index }]);
  expect(commitsIn(lead.tick())).toEqual([]);
});

test("a follower whose clients wait for it is told at once", () => {
  const lead = new Lead();
  const index = lead.propose();
  lead.raft.awaitCommit(PEER, index);
  lead.drain();
  expect(commitsIn(lead.hear({ type: "appended", matched: index }))).toEqual([index]);
  expect(commitsIn(lead.tick())).toEqual([]);
});
