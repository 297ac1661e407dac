/**
 * What must hold between nodes, checked while a script runs, by somebody who sees every disk.
 *
 * I1: a term has one leader. I5: all nodes apply the same entry at an index. I6: what is applied
 * anywhere is on the disks of a quorum. I7, I8: an acknowledgement, a vote and a request for votes
 * leave a node only when what they promise is on its disk.
 */
import { assert } from "../../src/lib/assert.ts";
import { equalBytes } from "../../src/lib/bytes.ts";
import type { Entry } from "../../src/raft/entry.ts";
import type { Message } from "../../src/raft/message.ts";
import { reached } from "../../src/raft/quorum.ts";
import type { Raft } from "../../src/raft/raft.ts";
import type { Configuration, Index, NodeId, Term } from "../../src/raft/types.ts";
import type { ScriptDisk } from "./script-disk.ts";

export class Oracle {
  private readonly leaders = new Map<Term, NodeId>();
  private readonly applied = new Map<Index, Entry>();
  private readonly disks: ReadonlyMap<NodeId, ScriptDisk>;

  constructor(disks: ReadonlyMap<NodeId, ScriptDisk>) {
    this.disks = disks;
  }

  /** Another cluster begins. */
  clear(): void {
    this.leaders.clear();
    this.applied.clear();
  }

  /** After every step. */
  sawRole(raft: Raft): void {
    const { term, role, id } = raft.core;
    if (role.kind !== "leader") return;
    const known = this.leaders.get(term);
    assert(known === undefined || known === id, () => `term ${term} is led by ${known} and ${id}`);
    this.leaders.set(term, id);
  }

  /** Whenever a node applies an entry, in the configuration that it believes in. */
  sawApplied(entry: Entry, config: Configuration): void {
    const { index, term } = entry;
    const known = this.applied.get(index);
    assert(
      known === undefined || equalBytes(known.bytes, entry.bytes),
      () => `index ${index} is of term ${known?.term} here and ${term} there, or not the same`,
    );
    if (known !== undefined) return;
    this.applied.set(index, entry);
    const everybodyIsHere = [...config.voters, ...config.outgoing].every((id) =>
      this.disks.has(id),
    );
    if (!everybodyIsHere) return;
    const holds = (id: NodeId) => (this.disks.get(id)?.holds(index, term) === true ? 1 : 0);
    assert(reached(config, holds) === 1, () => `${index}@${term} is not on the disks of a quorum`);
  }

  /** Whenever a message leaves its node. */
  sawSent(m: Message): void {
    const disk = this.disks.get(m.from);
    if (disk === undefined) return;
    const { term, vote } = disk.hardState;
    const knows = (granted: NodeId) => term > m.term || (term === m.term && vote === granted);
    assert(m.type === "prevote" || term >= m.term, () => `${m.from} may forget term ${m.term}`);
    if (m.type === "voted" && m.granted) assert(knows(m.to), () => `${m.from} may vote again`);
    if (m.type === "vote") assert(knows(m.from), () => `${m.from} may vote for another`);
    if (m.type === "appended") {
      assert(disk.lastIndex >= m.matched, () => `${m.from} does not hold ${m.matched} yet`);
    }
  }
}
