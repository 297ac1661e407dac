/**
 * What must hold in the whole cluster after every event. The names are those of docs/INVARIANTS.md.
 * All checks look only at what has changed since the node was looked at before.
 */
import { assert } from "../../src/lib/assert.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import type { Core } from "../../src/raft/core.ts";
import type { Entry } from "../../src/raft/entry.ts";
import { configurationOf, decodeConfiguration } from "../../src/raft/membership.ts";
import type { Configuration, Index, NodeId, SnapshotMeta, Term } from "../../src/raft/types.ts";
import { Configurations, isQuorum, whoIs } from "./configurations.ts";
import { NodeWatch } from "./node-watch.ts";
import { coreOf, type SimNode } from "./sim-node.ts";

/** What was seen of one machine, over all its lives. */
interface Seen {
  generation: number;
  committed: number;
  lastIndex: number;
  lastTerm: number;
  durableIndex: number;
  wasLeader: boolean;
  snapshot: SnapshotMeta | null;
  /** The term of the entry that was durable at each index. */
  readonly durable: Map<number, Term>;
}

/** An entry that some node knows to be committed, and the term in which that was first seen. */
interface Committed {
  readonly term: Term;
  readonly crc: number;
  readonly seenIn: Term;
}

export class Checker {
  /** The highest index that any node knows to be committed. */
  committed = 0;
  leaders = 0;
  readonly configurations: Configurations;
  private readonly watch = new NodeWatch();
  /** The newest process of each node that has run. */
  private readonly processes = new Map<NodeId, SimNode>();
  private readonly leaderOf = new Map<number, string>();
  private readonly committedEntries = new Map<number, Committed>();
  private readonly entries = new Map<string, { prevTerm: number | null; crc: number }>();
  private readonly digests = new Map<number, string>();
  /** By `whoIs`. */
  private readonly seen = new Map<string, Seen>();

  /** Entries that a majority had on disk, until one of it replaced them, uncommitted. */
  private readonly undecided = new Map<number, Term>();
  private readonly onFigure8: () => void;

  /**
   * The founders are `n1`, `n2` and so on, as many as `founders` says. `onFigure8`: an entry that a
   * majority had on disk was replaced, as in the paper's figure 8.
   */
  constructor(founders: number, onFigure8: () => void = () => {}) {
    const voters = Array.from({ length: founders }, (_, i) => `n${i + 1}` as NodeId);
    this.configurations = new Configurations(configurationOf({ voters }));
    this.onFigure8 = onFigure8;
  }

  check(node: SimNode): void {
    this.watch.check(node);
    this.processes.set(node.id, node);
    const core = coreOf(node);
    const seen = this.seenOf(node);
    const counted = countedBy(core, seen);
    this.checkMonotony(node, core, seen);
    this.checkElection(node, core, seen);
    this.checkLog(node, core, seen);
    this.checkDurable(core, seen);
    this.checkCommitted(node, seen, counted);
    this.checkSnapshot(core, seen);
    this.checkState(node);
    checkMemory(core);
  }

  /** I2: in one life the commit index does not go back. Of term and vote see promises.ts. */
  private checkMonotony(node: SimNode, core: Core, seen: Seen): void {
    assert(core.log.committed >= seen.committed, () => `${node.id}: the commit index went back`);
  }

  /** I1, I4: one leader a term, and it has everything that was committed in an earlier one. */
  private checkElection(node: SimNode, core: Core, seen: Seen): void {
    const leads = core.role.kind === "leader";
    if (leads && !seen.wasLeader) {
      this.leaders += 1;
      const name = `${node.id}/${node.generation}`;
      const known = this.leaderOf.get(core.term) ?? name;
      assert(known === name, () => `term ${core.term} is led by ${known} and ${name}`);
      this.leaderOf.set(core.term, name);
      this.checkVoters(node, core);
      for (let index = core.log.base.index; index <= this.committed; index++) {
        const entry = this.committedEntries.get(index);
        if (entry === undefined || entry.seenIn >= core.term) continue;
        const has = core.log.termAt(index) === entry.term;
        assert(has, () => `${name} leads term ${core.term} without committed ${index}`);
      }
    }
    seen.wasLeader = leads;
  }

  /** §5.4.1: nobody has voted for a log that is less up to date than its own. */
  private checkVoters(node: SimNode, { log, term }: Core): void {
    // Only the entries that it stood for election with: the rest is of the term that it leads.
    let last = log.lastIndex as number;
    while (last > log.base.index && log.termAt(last) === term) last -= 1;
    const lastTerm = log.termAt(last) ?? 0;
    for (const { id, life } of this.processes.values()) {
      const voter = life?.raft.core;
      if (voter === undefined || id === node.id) continue;
      if (voter.doubt !== null || voter.term !== term || voter.vote !== node.id) continue;
      const { lastTerm: theirs, lastIndex } = voter.log;
      const isUpToDate = lastTerm > theirs || (lastTerm === theirs && last >= lastIndex);
      assert(isUpToDate, () => `${id} voted for ${node.id}, whose log lacks what it has`);
    }
  }

  /** I3: entries of one index and term are the same, and so is all before them. */
  private checkLog(node: SimNode, core: Core, seen: Seen): void {
    const { log } = core;
    if (log.lastIndex === seen.lastIndex && log.lastTerm === seen.lastTerm) return;
    const intact = log.termAt(seen.lastIndex) === seen.lastTerm;
    const from = Math.max(intact ? seen.lastIndex : log.committed, log.base.index) + 1;
    for (let index = from; index <= log.lastIndex; index++) {
      const entry = log.entryAt(index as Index);
      const name = `${index}@${entry.term}`;
      const mine = { prevTerm: log.termAt(index - 1), crc: crc32c(entry.bytes) };
      const known = this.entries.get(name);
      if (known === undefined && entry.kind === "config") this.checkChange(core, entry);
      const same = (known ?? mine).crc === mine.crc && (known ?? mine).prevTerm === mine.prevTerm;
      assert(same, () => `${node.id}: another entry ${name}`);
      this.entries.set(name, mine);
    }
    seen.lastIndex = log.lastIndex;
    seen.lastTerm = log.lastTerm;
  }

  /** I10: no change begins before the one before it has ended. */
  private checkChange({ log }: Core, { index, data }: Entry): void {
    for (let at = Math.max(this.committed, log.committed) + 1; at < index; at++) {
      const isOpen = log.entryAt(at as Index).kind === "config";
      assert(!isOpen, () => `configurations ${at} and ${index} are both open`);
    }
    this.configurations.appended({ index, configuration: decodeConfiguration(data) });
  }

  private checkDurable({ log, doubt, configuration }: Core, seen: Seen): void {
    if (doubt !== null) return;
    // What was truncated is held no more, even if nothing has taken its place.
    while (seen.durableIndex > log.durable) {
      this.replaced(seen, seen.durableIndex--, configuration);
    }
    while (seen.durableIndex < log.durable) {
      seen.durableIndex += 1;
      const term = log.termAt(seen.durableIndex);
      // Compacted before it was looked at: what was there in an earlier life says nothing.
      if (term === null) seen.durable.delete(seen.durableIndex);
      else seen.durable.set(seen.durableIndex, term);
    }
  }

  private replaced({ durable }: Seen, index: number, config: Configuration): void {
    const term = durable.get(index);
    if (term !== undefined && index > this.committed && this.isHeld(index, term, config)) {
      this.undecided.set(index, term);
    }
    durable.delete(index);
  }

  /** I5, I6: a committed entry never changes, and a majority had it on disk by then. */
  private checkCommitted(node: SimNode, seen: Seen, counted: Configuration): void {
    const core = coreOf(node);
    const { log } = core;
    if (core.role.kind === "leader" && log.committed > seen.committed) {
      // §5.4.2, figure 8: who has an entry of an older term does not tell that it is committed.
      const isOwn = log.termAt(log.committed) === core.term;
      assert(isOwn, () => `${node.id} commits ${log.committed}, of an older term, by counting`);
    }
    for (
      let index = Math.max(seen.committed, log.base.index) + 1;
      index <= log.committed;
      index++
    ) {
      const entry = log.entryAt(index as Index);
      const mine = { term: entry.term, crc: crc32c(entry.bytes), seenIn: core.term };
      const known = this.committedEntries.get(index);
      if (known === undefined) this.firstCommit(entry, counted);
      assert(
        (known ?? mine).crc === mine.crc,
        () => `${node.id}: other entry committed at ${index}`,
      );
      if (known === undefined) this.committedEntries.set(index, mine);
    }
    this.committed = Math.max(this.committed, log.committed);
    seen.committed = log.committed;
  }

  private firstCommit({ index, term, kind, data }: Entry, counted: Configuration): void {
    const isHeld = this.isHeld(index, term, counted);
    assert(isHeld, () => `${index}@${term} is committed, and no quorum has it on disk`);
    if (kind === "config") {
      this.configurations.committed({ index, configuration: decodeConfiguration(data) });
    }
    const other = this.undecided.get(index);
    if (other !== undefined && other !== term) this.onFigure8();
  }

  /** Which term's entry was committed there; null: none yet, as far as anybody knows. */
  committedTermAt(index: Index): Term | null {
    return this.committedEntries.get(index)?.term ?? null;
  }

  /** Whether a quorum has it on disk. */
  private isHeld(index: number, term: Term, config: Configuration): boolean {
    return isQuorum(config, (who) => this.seen.get(who)?.durable.get(index) === term);
  }

  private checkSnapshot({ snapshot }: Core, seen: Seen): void {
    if (snapshot === null || snapshot === seen.snapshot) return;
    seen.snapshot = snapshot;
    this.configurations.checkSnapshot(snapshot);
  }

  /** I9: the state after the same entries is the same. */
  private checkState(node: SimNode): void {
    const { applied } = coreOf(node).log;
    const digest = String(node.life?.store.digest);
    const known = this.digests.get(applied) ?? digest;
    assert(known === digest, () => `${node.id}: another state after ${applied}`);
    this.digests.set(applied, digest);
  }

  private seenOf(node: SimNode): Seen {
    const who = whoIs(node);
    let seen = this.seen.get(who);
    if (seen === undefined) {
      seen = {
        generation: node.generation,
        committed: 0,
        lastIndex: 0,
        lastTerm: 0,
        durableIndex: 0,
        wasLeader: false,
        snapshot: null,
        durable: new Map(),
      };
      this.seen.set(who, seen);
    }
    if (seen.generation !== node.generation) {
      // Only what is on disk carries over: the commit index is learnt anew from the snapshot on.
      if (!node.hasLost) checkRecovered(node, seen);
      const { log } = coreOf(node);
      const { committed, lastIndex, lastTerm } = log;
      const generation = node.generation;
      Object.assign(seen, { generation, committed, lastIndex, lastTerm, wasLeader: false });
      seen.durableIndex = log.base.index;
    }
    return seen;
  }
}

/**
 * The configuration that a leader has counted by in its last turn. What it has committed in this
 * turn may have let it begin or end a change in the same turn.
 */
function countedBy({ configurations, log }: Core, { lastIndex }: Seen): Configuration {
  return configurations.index > lastIndex
    ? configurations.at(log.committed)
    : configurations.current;
}

/** I12: what is taken but not applied is bounded. */
function checkMemory({ log, options }: Core): void {
  const slack = 1_000_000;
  assert(log.bytes <= options.logBytesMax + slack, "the log in memory is too large");
}

/** I11: what was durable when the process ended is found again, unless the disk was lost. */
function checkRecovered(node: SimNode, { durable, durableIndex }: Seen): void {
  const { log } = coreOf(node);
  assert(log.lastIndex >= durableIndex, () => `${node.id}: lost what was durable before`);
  for (let index = log.base.index + 1; index <= durableIndex; index++) {
    const term = durable.get(index) ?? log.termAt(index);
    assert(log.termAt(index) === term, () => `${node.id}: durable ${index} is not what it was`);
  }
}
