/** When the other nodes were last heard: tells a lost data directory from one in use. */
import type { NodeId } from "../../raft/types.ts";

/** Of one name: its last incarnation that spoke, and when another one did. */
interface Heard {
  readonly incarnation: string;
  readonly at: number;
  /** Null: never. */
  readonly otherAt: number | null;
}

export class LastHeard {
  readonly #startedAt = performance.now();
  readonly #heard = new Map<NodeId, Heard>();

  /** A request of this node was let in. */
  note(id: NodeId, incarnation: string): void {
    const at = performance.now();
    const last = this.#heard.get(id);
    const isSame = last === undefined || last.incarnation === incarnation;
    const otherAt = isSame ? (last?.otherAt ?? null) : last.at;
    this.#heard.set(id, { incarnation, at, otherAt });
  }

  /**
   * For how many whole milliseconds all other incarnations of the name have been silent. Whoever
   * was never heard may have spoken before anybody listened here: it has been silent since then.
   */
  silentMs(id: NodeId, incarnation: string): number {
    const last = this.#heard.get(id);
    const at = last?.incarnation === incarnation ? last.otherAt : (last?.at ?? null);
    return Math.floor(performance.now() - (at ?? this.#startedAt));
  }
}
