/**
 * A node in doubt: its log was lost or damaged, so it may have voted and acknowledged what it no
 * longer remembers. It takes entries like everyone, but neither votes nor counts, until it knows
 * again everything that it may have promised (docs/adr/009-in-doubt.md has the proof).
 *
 * It asks its leader to put its question into the log, an entry that names it and its incarnation.
 * Made after the loss, and committed by a majority found among the others alone, that entry tells
 * two things: whatever this node had a part in committing stands before it, and no candidate that
 * still holds a forgotten vote can win. With the entry committed and on its own disk, the node is
 * certain.
 */
import type { Entry } from "./entry.ts";
import { decodeRejoin, type Rejoin } from "./rejoin.ts";
import { asIndex, type Index } from "./types.ts";

/** What this node does not know about itself, and what it has of the answer. */
export class Doubt {
  readonly self: Rejoin;
  /** Where its question stands in its log. */
  asked: Index | null = null;
  /**
   * The log agrees so far with that of the leader of this term, who may believe more: what it heard
   * before the loss.
   */
  verified: Index = asIndex(0);

  constructor(self: Rejoin) {
    this.self = self;
  }

  /** An entry was taken into the log. */
  appended(entry: Entry): void {
    if (entry.kind !== "rejoin") return;
    const { id, incarnation } = decodeRejoin(entry.data);
    if (id === this.self.id && incarnation === this.self.incarnation) this.asked = entry.index;
  }

  /** The log was cut: it has no entry at `index` and after it any more. */
  truncated(index: number): void {
    if (this.asked !== null && this.asked >= index) this.asked = null;
    if (this.verified >= index) this.verified = asIndex(Math.max(index - 1, 0));
  }
}
