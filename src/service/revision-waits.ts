/** Reads that wait until this node's state has reached a revision. */
import type { RaftNode } from "../node/node.ts";
import type { Index } from "../raft/types.ts";

interface Waiting {
  readonly revision: number;
  readonly done: () => void;
}

export interface RevisionWaitsDeps {
  readonly node: Pick<RaftNode<unknown>, "whenReached" | "status">;
  readonly store: { readonly revision: number };
}

/** All of them look at the state together, after each time that it has moved on. */
export class RevisionWaits {
  readonly #deps: RevisionWaitsDeps;
  readonly #waiting = new Set<Waiting>();
  #isWatching = false;

  constructor(deps: RevisionWaitsDeps) {
    this.#deps = deps;
  }

  /** Calls `done` once the store's revision is at least `revision`. Returns how to cancel that. */
  whenReached(revision: number, done: () => void): () => void {
    const waiting = { revision, done };
    this.#waiting.add(waiting);
    this.#look();
    return () => {
      this.#waiting.delete(waiting);
    };
  }

  #look(): void {
    const { store } = this.#deps;
    for (const waiting of this.#waiting) {
      if (waiting.revision > store.revision) continue;
      this.#waiting.delete(waiting);
      waiting.done();
    }
    this.#watch();
  }

  #watch(): void {
    if (this.#isWatching || this.#waiting.size === 0) return;
    this.#isWatching = true;
    const { node } = this.#deps;
    node.whenReached((node.status().applied + 1) as Index, () => {
      this.#isWatching = false;
      this.#look();
    });
  }
}
