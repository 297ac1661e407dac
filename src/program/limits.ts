/** Limits that no operator needs to set, each with its reason. */
import type { Config } from "../config.ts";
import type { SnapshotLimits } from "../node/snapshots.ts";
import type { RaftOptions } from "../raft/core.ts";
import type { Configuration } from "../raft/types.ts";

const MIB = 1024 * 1024;

/** Deadlines are looked at so often: fine enough for the shortest heartbeat. */
const TICK_MS = 10;
/** A log file that has grown beyond this is followed by a new one, so that old ones can go. */
export const SEGMENT_BYTES_MAX = 64 * MIB;
/** How long a stopping node waits for what is under way. */
export const DRAIN_MS = 5_000;

/** What Raft is told. */
export function raftOptions(config: Config, bootstrap: Configuration): Omit<RaftOptions, "random"> {
  return {
    id: config.name,
    bootstrap,
    heartbeatMs: config.heartbeatMs,
    electionMs: config.electionMs,
    leaseMs: leaseMs(config),
    tickMs: TICK_MS,
    // A batch that takes longer to send than a heartbeat would hold up the heartbeats.
    appendEntriesMax: 1024,
    appendBytesMax: MIB,
    // Enough for a fast network's delay; much more would only wait in the follower's sockets.
    window: { messages: 64, bytes: 8 * MIB },
    // A turn that applies so many still ends within a few milliseconds.
    applyEntriesMax: 1024,
    // Snapshots begin long before; so this is reached only where they cannot be written.
    logBytesMax: 4 * config.snapshotBytes,
    // About a second of writes: who waits longer is better off with an answer.
    unappliedEntriesMax: 20_000,
    unappliedBytesMax: 64 * MIB,
  };
}

/**
 * A leader's clock may be slow by the bound while another node's is fast by it: so much shorter is
 * the lease than what the others hold still for (R6).
 */
function leaseMs({ electionMs, leaseDrift }: Config): number {
  if (leaseDrift === null) return 0;
  return Math.floor((electionMs * (100 - leaseDrift)) / (100 + leaseDrift));
}

/** When snapshots are taken. */
export function snapshotLimits({ snapshotEntries, snapshotBytes }: Config): SnapshotLimits {
  return {
    entries: snapshotEntries,
    logBytes: snapshotBytes,
    // A node that was away for a moment finds what it lacks in the log.
    trailingEntries: Math.floor(snapshotEntries / 2),
  };
}
