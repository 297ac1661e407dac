/** Who this node is, for everybody who has to say so: that changes when it loses its log. */
import type { NodeIdentity } from "../node/identity.ts";
import type { NodeId } from "../raft/types.ts";

/** The identity of the moment. Whoever holds it sees it change. */
export class Self implements NodeIdentity {
  #identity: NodeIdentity;

  constructor(identity: NodeIdentity) {
    this.#identity = identity;
  }

  get cluster(): string {
    return this.#identity.cluster;
  }

  get id(): NodeId {
    return this.#identity.id;
  }

  get incarnation(): string {
    return this.#identity.incarnation;
  }

  get joined(): boolean {
    return this.#identity.joined;
  }

  get since(): number | null {
    return this.#identity.since;
  }

  /** As it is now, for writing it down. */
  get identity(): NodeIdentity {
    return this.#identity;
  }

  /** What it was written down as. */
  become(identity: NodeIdentity): void {
    this.#identity = identity;
  }
}
