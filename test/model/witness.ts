/** What somebody who sees everything remembers, and what must hold between nodes because of it. */
import { majority } from "../../src/raft/quorum.ts";
import type { View } from "./node-model.ts";

/** Of the past, as far as it binds the future. */
export interface Witness {
  /** Who leads or led each term; -1: nobody so far. */
  readonly leaders: readonly number[];
  /** What was ever committed, in order. */
  readonly committed: readonly string[];
  /** The term of the node that knew first, for each. */
  readonly seenIn: readonly number[];
}

export const nothingSeen: Witness = { leaders: [], committed: [], seenIn: [] };

/** What is known after something happened to node `at`, or what is wrong. */
export function observe(witness: Witness, nodes: readonly View[], at: number): Witness | string {
  const node = nodes[at] as View;
  return (
    logsMatch(nodes, node) ??
    asFailure(observeLeader(witness, node, at), (seen) => observeCommits(seen, nodes, node))
  );
}

function asFailure<T>(result: T | string, next: (value: T) => T | string): T | string {
  return typeof result === "string" ? result : next(result);
}

/** I1, I4. */
function observeLeader(witness: Witness, node: View, at: number): Witness | string {
  if (node.role !== "leader") return witness;
  const { leaders, committed, seenIn } = witness;
  const known = leaders[node.term] ?? -1;
  if (known === at) return witness;
  if (known !== -1) return `I1: term ${node.term} has two leaders`;
  for (const [i, entry] of committed.entries()) {
    if ((seenIn[i] as number) < node.term && node.log[i] !== entry) {
      return `I4: the leader of term ${node.term} lacks committed entry ${i + 1}`;
    }
  }
  const length = Math.max(leaders.length, node.term + 1);
  const next = Array.from({ length }, (_, term) => leaders[term] ?? -1);
  next[node.term] = at;
  return { ...witness, leaders: next };
}

/** I5, I6. */
function observeCommits(witness: Witness, nodes: readonly View[], node: View): Witness | string {
  const { committed } = witness;
  for (let i = 0; i < Math.min(node.committed, committed.length); i++) {
    if (node.log[i] !== committed[i]) return `I5: two entries are committed at ${i + 1}`;
  }
  if (node.committed <= committed.length) return witness;
  const news = node.log.slice(committed.length, node.committed);
  for (const [i, entry] of news.entries()) {
    const holders = nodes.filter(({ diskLog }) => diskLog[committed.length + i] === entry).length;
    if (holders < majority(nodes.length)) {
      return `I6: entry ${committed.length + i + 1} is committed, and on ${holders} disks`;
    }
  }
  return {
    ...witness,
    committed: [...committed, ...news],
    seenIn: [...witness.seenIn, ...news.map(() => node.term)],
  };
}

/** I3: where two logs hold an entry of the same term, they are equal up to there. */
function logsMatch(nodes: readonly View[], node: View): string | null {
  for (const other of nodes) {
    if (other === node) continue;
    let matches = false;
    for (let i = Math.min(node.log.length, other.log.length) - 1; i >= 0; i--) {
      const [mine, theirs] = [node.log[i] as string, other.log[i] as string];
      if (matches && mine !== theirs) return `I3: logs differ at ${i + 1}, and agree after it`;
      matches ||= Number.parseInt(mine, 10) === Number.parseInt(theirs, 10);
      if (matches && mine !== theirs) return `I3: two entries ${i + 1} of one term`;
    }
  }
  return null;
}
