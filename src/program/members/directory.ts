/** Where the other nodes are reached: as the configuration says, or as they say themselves. */
import type { Configuration, NodeId } from "../../raft/types.ts";

/** Of nodes whose address the configuration does not say, so many are answered. */
const MET_MAX = 16;

export class Directory {
  readonly #self: NodeId;
  readonly #onChange: (urls: ReadonlyMap<NodeId, string>) => void;
  #members: ReadonlyMap<NodeId, string> = new Map();
  readonly #met = new Map<NodeId, string>();
  readonly #lives = new Map<NodeId, number>();

  /** `onChange` is told of all others that can be reached, whenever that changes. */
  constructor(self: NodeId, onChange: (urls: ReadonlyMap<NodeId, string>) => void) {
    this.#self = self;
    this.#onChange = onChange;
  }

  /** The other members. */
  get members(): ReadonlyMap<NodeId, string> {
    return this.#members;
  }

  /**
   * Another configuration is in force, or one was committed. Where it tells something new of a
   * node, that holds. A leader that removes itself leads until the others have told it that they
   * know: so members of the `committed` one are answered, too (§6 of the paper).
   */
  follow({ members }: Configuration, committed: Configuration): void {
    const before = this.#members;
    const others = [...committed.members, ...members].filter(({ id }) => id !== this.#self);
    this.#members = new Map(others.map(({ id, peerUrl }) => [id, peerUrl]));
    for (const { id, since } of others) this.hear(id, since);
    for (const [id, url] of this.#members) if (url !== before.get(id)) this.#met.delete(id);
    this.#tell();
  }

  /** There is this life of the name, or there was. */
  hear(id: NodeId, life: number): void {
    this.#lives.set(id, Math.max(life, this.#lives.get(id) ?? 0));
  }

  /** The newest life of the name that is known; null: none is. */
  lifeOf(id: NodeId): number | null {
    return this.#lives.get(id) ?? null;
  }

  /**
   * A node has said where it is: one that is no member, as far as is known here, or that has moved
   * and has yet to be heard by the leader to have the configuration say so (M11).
   */
  meet(id: NodeId, peerUrl: string): void {
    const known = this.#met.get(id) ?? this.#members.get(id);
    if (id === this.#self || known === peerUrl) return;
    this.#met.delete(id);
    if (this.#members.get(id) === peerUrl) return this.#tell();
    const oldest = this.#met.size < MET_MAX ? undefined : this.#met.keys().next().value;
    if (oldest !== undefined) this.#met.delete(oldest);
    this.#met.set(id, peerUrl);
    this.#tell();
  }

  #tell(): void {
    this.#onChange(new Map([...this.#members, ...this.#met]));
  }
}
