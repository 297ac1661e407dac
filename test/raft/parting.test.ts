/** The last step of a change waits for who leaves to learn what became of its clients' writes. */
import { expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Index, Millis, NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseNodes } from "./notation.ts";

const ELECTION_MS = 1_000;
const LEAVER = "n3" as NodeId;

/** The leader of three nodes, whose followers answer when they are told to. */
class Lead {
  readonly raft: Raft;
  now = 0;

  constructor() {
    const options = {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters: parseNodes("n1,n2,n3") }),
      heartbeatMs: 200,
      electionMs: ELECTION_MS,
      ...LIMITS,
      random: new Prng("parting"),
    };
    this.raft = new Raft(options, nothingSaved, 0 as Millis);
    while (this.raft.core.role.kind === "follower") this.tick();
    this.hear("n2", { type: "prevoted", round: this.raft.core.round, granted: true });
    this.hear("n2", { type: "voted", granted: true });
    for (const id of ["n2", LEAVER]) this.hear(id, { type: "appended", matched: 1 });
    this.tick();
  }

  drain(): Ready {
    const ready = this.raft.drain();
    if (ready.write === null) return ready;
    this.raft.step({ type: "persisted", write: ready.write.number }, this.now as Millis);
    return ready;
  }

  hear(from: string, body: object): Ready {
    const message = { from, to: "n1", term: this.raft.core.term, ...body } as Message;
    this.raft.step({ type: "message", message }, this.now as Millis);
    return this.drain();
  }

  tick(): Ready {
    this.now += TICK_MS;
    this.raft.step({ type: "tick" }, this.now as Millis);
    return this.drain();
  }

  /** The leaver's client wrote, and the leaver is removed: n2 has both entries, and it has none. */
  removeAfterWrite(): Index {
    const write = this.raft.propose([new Uint8Array(1)], this.now as Millis);
    if (typeof write === "string") throw new Error(write);
    this.raft.awaitCommit(LEAVER, write.index);
    const taken = this.raft.change([{ type: "remove", id: LEAVER }], this.now as Millis);
    if ("refused" in taken) throw new Error(taken.refused);
    this.drain();
    this.hear("n2", { type: "appended", matched: taken.index });
    this.tick();
    return taken.index;
  }

  get isJoint(): boolean {
    return this.raft.core.configuration.outgoing.length > 0;
  }
}

test("it waits until whoever leaves was told of the commit that its clients wait for", () => {
  const lead = new Lead();
  const joint = lead.removeAfterWrite();
  expect(lead.raft.core.log.committed).toBe(joint);
  expect(lead.isJoint).toBe(true);
  const { messages } = lead.hear(LEAVER, { type: "appended", matched: joint });
  expect(messages).toContainEqual(
    expect.objectContaining({ to: LEAVER, type: "commit", commit: joint }),
  );
  lead.tick();
  expect(lead.isJoint).toBe(false);
});

test("it waits for an election timeout at most, though the one that leaves is heard", () => {
  const lead = new Lead();
  lead.removeAfterWrite();
  const end = lead.now + ELECTION_MS;
  while (lead.now < end - 2 * TICK_MS) {
    for (const id of ["n2", LEAVER]) lead.hear(id, { type: "heard", readSeq: 0 });
    lead.tick();
    expect(lead.isJoint).toBe(true);
  }
  for (let left = 3; left > 0; left--) lead.tick();
  expect(lead.isJoint).toBe(false);
});

test("whoever stays keeps nobody waiting", () => {
  const lead = new Lead();
  lead.raft.awaitCommit("n2" as NodeId, 5 as Index);
  const taken = lead.raft.change([{ type: "remove", id: LEAVER }], lead.now as Millis);
  if ("refused" in taken) throw new Error(taken.refused);
  lead.drain();
  lead.hear("n2", { type: "appended", matched: taken.index });
  expect(lead.isJoint).toBe(false);
});
