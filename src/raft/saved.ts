/** What a node knows when it starts. */
import type { Entry } from "./entry.ts";
import { type HardState, NOWHERE, type Position, type SnapshotMeta, type Term } from "./types.ts";

/** What recovery found on disk; what a node that never ran starts with is `nothingSaved`. */
export interface Saved {
  readonly hardState: HardState;
  /** The newest snapshot, whose state is restored before the node starts. */
  readonly snapshot: SnapshotMeta | null;
  /** The log begins after this: at or before the snapshot, some entries being kept behind it. */
  readonly base: Position;
  /** Contiguous, from `base.index + 1`. All of them are on disk. */
  readonly entries: readonly Entry[];
  /**
   * Not null: the log was lost or damaged, and this node may have promised what it does not know.
   * The text is its incarnation since then, a name that it never had before.
   */
  readonly doubt: string | null;
}

/** What a node that never ran starts with. */
export const nothingSaved: Saved = {
  hardState: { term: 0 as Term, vote: null },
  snapshot: null,
  base: NOWHERE,
  entries: [],
  doubt: null,
};
