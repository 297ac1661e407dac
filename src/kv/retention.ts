/** How much of the past is kept: decided by the leader, carried out by a command in the log. */
import type { KvStore } from "./store.ts";

export interface Retention {
  /** History younger than this is kept, … */
  readonly ageMs: number;
  /** … unless there is more than this of it. */
  readonly bytesMax: number;
}

/** The revision to compact at, given the cluster time now; null: there is nothing to forget. */
export function compactionDue(store: KvStore, now: number, retention: Retention): number | null {
  const byAge = store.revisionBefore(now - retention.ageMs) ?? 0;
  const bySize = store.revisionLeaving(retention.bytesMax) ?? 0;
  const revision = Math.max(byAge, bySize);
  return revision > Math.max(store.compactRevision, 1) ? revision : null;
}
