/** Read indexes from another node, the leader: one call serves every read that waits for one. */
import type { ReadProof } from "../node/node.ts";
import type { Index, NodeId } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import type { Clock } from "./clock.ts";
import { asCallError } from "./forward.ts";
import type { LeaderWatch } from "./leader-watch.ts";

export interface ReadCallsDeps {
  readonly calls: Pick<PeerCalls, "readIndex">;
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
  readonly callTimeoutMs: number;
}

/** Told the read index, and what vouches for it; null: there was none to be had, now. */
type Done = (index: Index | null, proof: ReadProof) => void;

/** One call at a time to a leader. It vouches only for reads that arrived before it was sent. */
export class ReadCalls {
  readonly #deps: ReadCallsDeps;
  /** Each with what will do for it. */
  #waiting = new Map<Done, ReadProof>();
  readonly #busy = new Set<NodeId>();
  #isDeferred = false;

  constructor(deps: ReadCallsDeps) {
    this.#deps = deps;
    deps.leaders.listen(() => this.#send());
  }

  /** Calls `done` once, with the answer to a call sent after this. Returns how to cancel that. */
  readIndex(done: Done, proof: ReadProof): () => void {
    this.#waiting.set(done, proof);
    this.#defer();
    return () => {
      this.#waiting.delete(done);
    };
  }

  /** Whatever arrives in the same iteration of the event loop shares a call. */
  #defer(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#deps.clock.defer(() => {
      this.#isDeferred = false;
      this.#send();
    });
  }

  #send(): void {
    const { leader, self } = this.#deps.leaders;
    if (this.#waiting.size === 0 || (leader !== null && this.#busy.has(leader))) return;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    if (leader === null || leader === self) {
      for (const [done, proof] of waiting) done(null, proof);
    } else {
      void this.#call(leader, waiting);
    }
  }

  /** A quorum is asked for all of them, unless a lease will do for each. */
  async #call(leader: NodeId, waiting: ReadonlyMap<Done, ReadProof>): Promise<void> {
    const { calls, callTimeoutMs } = this.#deps;
    this.#busy.add(leader);
    const mayLease = [...waiting.values()].every((proof) => proof === "lease");
    const reply = await calls.readIndex(leader, callTimeoutMs, { mayLease }).catch(asCallError);
    this.#busy.delete(leader);
    const confirmed = reply instanceof PeerCallError || reply.type === "refused" ? null : reply;
    const proof = confirmed?.byLease === true ? "lease" : "quorum";
    for (const done of waiting.keys()) done(confirmed?.index ?? null, proof);
    this.#send();
  }
}
