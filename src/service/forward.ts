/** Writes on their way from this node to the leader, many to a call. */
import { assert, must } from "../lib/assert.ts";
import type { Refusal } from "../raft/message.ts";
import type { NodeId, Position } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import type { ForwardReply } from "../transport/call-codec.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import { FORWARD_COUNT_MAX } from "../transport/protocol.ts";
import type { Clock } from "./clock.ts";
import type { LeaderWatch } from "./leader-watch.ts";

/**
 * What came of forwarding a proposal. `failed` and not `sent`: certainly, nobody took it.
 */
export type Forwarded =
  | { readonly type: "answered"; readonly answer: Position | Refusal }
  | { readonly type: "failed"; readonly sent: boolean; readonly error: PeerCallError };

export interface ForwarderDeps {
  readonly calls: Pick<PeerCalls, "forward">;
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
  /** A leader answers within a turn, unless it stands still or is gone. */
  readonly callTimeoutMs: number;
}

/**
 * Calls under way to one leader. While two are, the rest gathers for the next: large calls under
 * load, and no waiting otherwise.
 */
const CALLS_MAX = 2;
/** A call is closed by the proposal that reaches this size, which is at most a megabyte more. */
const CALL_BYTES_MAX = 4 * 1024 * 1024;

interface Waiting {
  readonly proposal: Uint8Array;
  readonly done: (reply: Forwarded) => void;
}

/** A node never forwards what was forwarded to it: one hop, then an answer. */
export class Forwarder {
  readonly #deps: ForwarderDeps;
  #waiting = new Set<Waiting>();
  readonly #calls = new Map<NodeId, number>();
  #isDeferred = false;

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
    deps.leaders.listen(() => this.#send());
  }

  /**
   * Asks whoever leads to put the proposal into its log, and calls `done` once. Returns how to take
   * it back: true if it was still here, so that nobody has it and `done` will not be called.
   */
  forward(proposal: Uint8Array, done: (reply: Forwarded) => void): () => boolean {
    const waiting = { proposal, done };
    this.#waiting.add(waiting);
    this.#defer();
    return () => this.#waiting.delete(waiting);
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
    if (leader === null || leader === self) return this.#refuseAll();
    while (this.#waiting.size > 0 && this.#callsTo(leader) < CALLS_MAX) {
      void this.#call(leader, this.#takeCall());
    }
  }

  /** There is nobody to forward to: who asked shall look again. */
  #refuseAll(): void {
    const all = this.#waiting;
    this.#waiting = new Set();
    for (const { done } of all) done({ type: "answered", answer: "not_leader" });
  }

  #takeCall(): readonly Waiting[] {
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (taken.length === FORWARD_COUNT_MAX || bytes >= CALL_BYTES_MAX) break;
      taken.push(waiting);
      bytes += waiting.proposal.length;
      this.#waiting.delete(waiting);
    }
    return taken;
  }

  async #call(leader: NodeId, taken: readonly Waiting[]): Promise<void> {
    const { calls, callTimeoutMs } = this.#deps;
    this.#calls.set(leader, this.#callsTo(leader) + 1);
    const proposals = taken.map(({ proposal }) => proposal);
    const reply = await calls.forward(leader, proposals, callTimeoutMs).catch(asCallError);
    this.#calls.set(leader, this.#callsTo(leader) - 1);
    taken.forEach(({ done }, at) => done(forwardedAt(reply, at)));
    this.#send();
  }

  #callsTo(leader: NodeId): number {
    return this.#calls.get(leader) ?? 0;
  }
}

/** What the reply to a call says of one of its proposals. */
function forwardedAt(reply: ForwardReply | PeerCallError, at: number): Forwarded {
  if (reply instanceof PeerCallError) return { type: "failed", sent: reply.sent, error: reply };
  if (reply.type === "refused") return { type: "answered", answer: reply.reason };
  return { type: "answered", answer: must(reply.positions[at], "a place for each proposal") };
}

/** A peer can only fail to answer; all else is a bug. */
export function asCallError(error: unknown): PeerCallError {
  assert(error instanceof PeerCallError, () => `a call failed oddly: ${String(error)}`);
  return error;
}
