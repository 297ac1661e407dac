/** Notices the rare states (sometimes.ts) that show in the logs and roles of all nodes together. */
import type { Core } from "../../src/raft/core.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { isQuorum, whoIs } from "./configurations.ts";
import { coreOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

/** What a node was like after its last event. */
interface Before {
  readonly generation: number;
  readonly role: string;
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly committed: number;
}

export class RareStates {
  private readonly nodes: readonly SimNode[];
  private readonly sometimes: Sometimes;
  private readonly before = new Map<NodeId, Before>();
  private compactRevision = 0;
  private newestCommitted = 0;

  constructor(nodes: readonly SimNode[], sometimes: Sometimes) {
    this.nodes = nodes;
    this.sometimes = sometimes;
  }

  look(node: SimNode): void {
    const core = coreOf(node);
    const before = this.before.get(node.id);
    if (before?.generation === node.generation) this.compare(core, before);
    const { role, term, log } = core;
    const { lastIndex, lastTerm, committed } = log;
    const { generation } = node;
    const now = { generation, role: role.kind, term, lastIndex, lastTerm, committed };
    this.before.set(node.id, now);
    this.lookAtStore(node);
  }

  private compare(core: Core, before: Before): void {
    const { sometimes } = this;
    const { log, role } = core;
    const wasCandidate = before.role === "candidate";
    if (
      wasCandidate &&
      role.kind !== "leader" &&
      role.kind !== "candidate" &&
      core.leader === null
    ) {
      sometimes.saw("an election ended without a leader");
    }
    if (role.kind === "leader" && before.role !== "leader") this.elected(core);
    const isSame =
      log.base.index >= before.lastIndex || log.termAt(before.lastIndex) === before.lastTerm;
    if (!isSame) sometimes.saw("entries of a follower were replaced");
    if (log.committed > before.committed) this.committed(core, before.committed);
  }

  private elected(core: Core): void {
    const { sometimes } = this;
    const running = this.nodes.filter(({ isUp }) => isUp);
    const cores = running.map(coreOf);
    for (const other of cores) {
      if (other === core) continue;
      if (other.role.kind === "leader") sometimes.saw("two nodes led at once");
      if (other.log.lastIndex > core.log.lastIndex) {
        sometimes.saw("a leader was elected whose log is shorter than another one");
      }
    }
    const { log, term } = core;
    const known = Math.max(...cores.map((each) => each.log.committed));
    for (let index = known + 1; index <= log.lastIndex; index++) {
      const entryTerm = log.termAt(index);
      if (entryTerm === null || entryTerm === term) continue;
      const holding = running.filter((each) => coreOf(each).log.termAt(index) === entryTerm);
      const holders = new Set(holding.map(whoIs));
      if (!isQuorum(core.configuration, (who) => holders.has(who))) return;
      sometimes.saw("an entry of an older term was on a majority, and not committed");
    }
  }

  private committed({ log, term }: Core, from: number): void {
    const first = Math.max(from, log.base.index, this.newestCommitted) + 1;
    this.newestCommitted = Math.max(this.newestCommitted, log.committed);
    for (let index = first; index <= log.committed; index++) {
      const entryTerm = log.termAt(index);
      if (entryTerm !== term) {
        this.sometimes.saw("an entry was committed by a leader of a later term");
      }
    }
  }

  private lookAtStore({ life }: SimNode): void {
    const compactRevision = life?.store.compactRevision ?? 0;
    if (compactRevision <= this.compactRevision) return;
    this.compactRevision = compactRevision;
    this.sometimes.saw("history was compacted");
  }
}
