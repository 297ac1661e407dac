/** Who this node is, for everybody who has to say so: that changes when it loses its log. */
import { type NodeIdentity, writeIdentity } from "../../node/identity.ts";
import { memberOf } from "../../raft/membership.ts";
import type { Configuration, NodeId } from "../../raft/types.ts";
import type { Disk } from "../../storage/disk.ts";

/** The identity of the moment. Whoever holds it sees it change. */
export class Self implements NodeIdentity {
  /** Where the others reach it. */
  readonly peerUrl: string;
  #identity: NodeIdentity;
  /** One is written at a time, the first of them now. */
  readonly #changes: Change[] = [];

  constructor(identity: NodeIdentity, peerUrl: string) {
    this.#identity = identity;
    this.peerUrl = peerUrl;
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

  /** Which entry made it a member; 0 for a founder. */
  get life(): number {
    return memberOf(this.#identity.bootstrap, this.id)?.since ?? 0;
  }

  get bootstrap(): Configuration {
    return this.#identity.bootstrap;
  }

  get voters(): number {
    return this.#identity.voters;
  }

  /** As it is now, for writing it down. */
  get identity(): NodeIdentity {
    return this.#identity;
  }

  /** What it was written down as. */
  become(identity: NodeIdentity): void {
    this.#identity = identity;
  }

  /** Writes down what is different from now on, then is so, and calls `done`. */
  change(disk: Disk, part: Change["part"], done: () => void = () => {}): void {
    this.#changes.push({ part, done });
    if (this.#changes.length === 1) this.#write(disk);
  }

  #write(disk: Disk): void {
    const change = this.#changes[0];
    if (change === undefined) return;
    const identity = { ...this.#identity, ...change.part };
    writeIdentity(disk, identity, () => {
      this.become(identity);
      this.#changes.shift();
      change.done();
      this.#write(disk);
    });
  }
}

interface Change {
  readonly part: Partial<Pick<NodeIdentity, "since" | "voters">>;
  readonly done: () => void;
}
