/** Limits that no test here comes near, unless it sets its own. */
import type { RaftOptions } from "../../src/raft/core.ts";

export const TICK_MS = 10;

/** All of RaftOptions that is not about who, when and by what chance, and no read leases. */
export const LIMITS = {
  leaseMs: 0,
  tickMs: TICK_MS,
  appendEntriesMax: 10,
  appendBytesMax: 1 << 16,
  window: { bytes: 1 << 16, messages: 10 },
  applyEntriesMax: 100,
  logBytesMax: 1 << 20,
  unappliedBytesMax: 1 << 20,
  unappliedEntriesMax: 100,
} as const satisfies Partial<RaftOptions>;
