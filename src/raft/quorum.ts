/** The arithmetic of majorities: one for commits, reads and contact, one for votes. */
import type { Deciders, NodeId } from "./types.ts";

export type Verdict = "won" | "lost" | "pending";

/** How many of `count` members make a majority. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * The largest number that a quorum of the configuration has reached, where `value` says how far
 * each member is. During a joint change both halves must have reached it (§6). A half without
 * members has decided everything: infinity.
 */
export function reached(config: Deciders, value: (id: NodeId) => number): number {
  return Math.min(reachedBy(config.voters, value), reachedBy(config.outgoing, value));
}

function reachedBy(ids: readonly NodeId[], value: (id: NodeId) => number): number {
  if (ids.length === 0) return Number.POSITIVE_INFINITY;
  const values = ids.map(value).sort((a, b) => b - a);
  return values[majority(ids.length) - 1] as number;
}

/** What the votes so far decide: `true` granted, `false` refused, absent not answered. */
export function tally(config: Deciders, votes: ReadonlyMap<NodeId, boolean>): Verdict {
  const halves = [tallyOf(config.voters, votes), tallyOf(config.outgoing, votes)];
  if (halves.includes("lost")) return "lost";
  return halves.includes("pending") ? "pending" : "won";
}

function tallyOf(ids: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): Verdict {
  if (ids.length === 0) return "won";
  let granted = 0;
  let refused = 0;
  for (const id of ids) {
    const vote = votes.get(id);
    if (vote === true) granted += 1;
    else if (vote === false) refused += 1;
  }
  if (granted >= majority(ids.length)) return "won";
  return refused > ids.length - majority(ids.length) ? "lost" : "pending";
}
