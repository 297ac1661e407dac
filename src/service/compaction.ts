/**
 * Forgetting: the leader proposes to compact the history when it is old or large enough, and every
 * node frees what is compacted, a little at a time.
 */
import { encodeCommand } from "../kv/command.ts";
import { compactionDue, type Retention } from "../kv/retention.ts";
import type { KvStore } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import type { Clock } from "./clock.ts";
import type { LeaderWatch } from "./leader-watch.ts";

export interface CompactionDeps {
  readonly node: Pick<RaftNode<unknown>, "submit">;
  readonly store: KvStore;
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
  readonly retention: Retention;
}

/** How often to look: history is kept for minutes. */
const INTERVAL_MS = 1_000;
/** Changes that are freed at once, which takes some milliseconds. */
const PURGE_MAX = 4_096;
/** How soon the next are freed: 400,000 a second are more than can be written. */
const PURGE_MS = 10;

/** Begins to look after the history. Returns how to stop that. */
export function startCompaction(deps: CompactionDeps): () => void {
  const { clock, leaders, store } = deps;
  const look = () => {
    if (leaders.leader === leaders.self) compactIfDue(deps);
    stopLooking = clock.after(INTERVAL_MS, look);
  };
  const purge = () => {
    const hasMore = store.purge(PURGE_MAX) === PURGE_MAX;
    stopPurging = clock.after(hasMore ? PURGE_MS : INTERVAL_MS, purge);
  };
  let stopLooking = clock.after(INTERVAL_MS, look);
  let stopPurging = clock.after(INTERVAL_MS, purge);
  return () => {
    stopLooking();
    stopPurging();
  };
}

/** Cluster time as of the last command is never late: at worst, it forgets a little later. */
function compactIfDue({ node, store, retention }: CompactionDeps): void {
  const revision = compactionDue(store, store.clusterTime, retention);
  if (revision === null) return;
  // Whatever becomes of it, the next look decides anew: compacting twice changes nothing.
  node.submit([encodeCommand({ type: "compact", revision })], () => {});
}
