/** Who leads, as far as this node knows, and who wants to hear of a change. */
import type { RaftStatus } from "../raft/raft.ts";
import type { NodeId, Term } from "../raft/types.ts";
import type { Clock } from "./clock.ts";

/** What changes with an election. */
export type Leadership = Pick<RaftStatus, "term" | "role" | "leader">;

/** Not to wait for a change for ever: nobody may have noticed yet what others know. */
export interface Retry {
  readonly clock: Clock;
  readonly afterMs: number;
}

/**
 * Made before the node, which it is told about: pass `update` as the node's `onChange`. Reading it
 * costs nothing, and every answer names the leader.
 */
export class LeaderWatch {
  readonly self: NodeId;
  #now: Leadership = { term: 0 as Term, role: "follower", leader: null };
  readonly #listeners = new Set<() => void>();

  constructor(self: NodeId) {
    this.self = self;
  }

  get now(): Leadership {
    return this.#now;
  }

  /** Null: nobody, as far as is known. */
  get leader(): NodeId | null {
    return this.#now.leader;
  }

  update({ term, role, leader }: Leadership): void {
    this.#now = { term, role, leader };
    // Those that listen anew while they are told hear of the next change.
    const listeners = [...this.#listeners];
    for (const listener of listeners) if (this.#listeners.has(listener)) listener();
  }

  /** Calls `listener` after every change, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Calls `run` once, after the next change or when the retry is due, whichever comes first.
   * Returns how to cancel that.
   */
  next(run: () => void, retry: Retry | null): () => void {
    const once = () => {
      cancel();
      run();
    };
    const stopTimer = retry === null ? () => {} : retry.clock.after(retry.afterMs, once);
    const stopListening = this.listen(once);
    const cancel = () => {
      stopTimer();
      stopListening();
    };
    return cancel;
  }
}
