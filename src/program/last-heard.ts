/** When the other nodes were last heard: tells a lost data directory from one in use. */
import type { NodeId } from "../raft/types.ts";

export class LastHeard {
  readonly #startedAt = performance.now();
  readonly #at = new Map<NodeId, number>();

  /** A request of this node was let in. */
  note(id: NodeId): void {
    this.#at.set(id, performance.now());
  }

  /**
   * For how many whole milliseconds it has been silent. One that was never heard may have spoken
   * before anybody listened here: it has been silent since then.
   */
  silentMs(id: NodeId): number {
    return Math.floor(performance.now() - (this.#at.get(id) ?? this.#startedAt));
  }
}
