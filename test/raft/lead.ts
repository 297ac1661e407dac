/** The leader n1, whose followers answer when a test says so. */
import { Prng } from "../../src/lib/random.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Index, Millis, NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseNodes } from "./notation.ts";

export const ELECTION_MS = 1_000;

export class Lead {
  readonly raft: Raft;
  now = 0;

  /** `nodes`: itself and its followers, such as `n1,n2`. n2 elects it, and all have its entry. */
  constructor(nodes: string) {
    const voters = parseNodes(nodes);
    const options = {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters }),
      heartbeatMs: 200,
      electionMs: ELECTION_MS,
      ...LIMITS,
      random: new Prng("lead"),
    };
    this.raft = new Raft(options, nothingSaved, 0 as Millis);
    while (this.raft.core.role.kind === "follower") this.tick();
    this.hear("n2", { type: "prevoted", round: this.raft.core.round, granted: true });
    this.hear("n2", { type: "voted", granted: true });
    for (const id of voters.slice(1)) this.hear(id, { type: "appended", matched: 1 });
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

  propose(): Index {
    const position = this.raft.propose([new Uint8Array(1)], this.now as Millis);
    if (typeof position === "string") throw new Error(position);
    return position.index;
  }
}
