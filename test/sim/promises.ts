/**
 * What nodes say, against what their disks hold at that moment (I7, I8): nobody gives a vote, or
 * acknowledges an entry, or speaks of a term, that a crash could take back; and nobody leads a term
 * without the votes of a majority.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Message, Write } from "../../src/raft/message.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { isQuorum, whoIs } from "./configurations.ts";
import { coreOf, type Life, type SimNode } from "./sim-node.ts";

/** What the disk of a process that runs has confirmed. */
interface OnDisk {
  term: number;
  vote: NodeId | null;
  lastIndex: number;
}

const NOTHING: OnDisk = { term: 0, vote: null, lastIndex: 0 };

export class Promises {
  /** By `whoIs`. */
  private readonly disks = new Map<string, OnDisk>();
  /** Who has given a vote, by term and candidate. */
  private readonly votes = new Map<string, Set<string>>();
  private readonly elected = new Set<number>();

  /** Of a process that has read its disk. I2, I8: neither term nor vote go back. */
  start(node: SimNode, { raft, wal }: Life): void {
    const { id, hasLost } = node;
    const who = whoIs(node);
    const { term, vote, log } = raft.core;
    const found: OnDisk = { term, vote, lastIndex: log.lastIndex };
    const before = this.disks.get(who);
    if (before !== undefined && !hasLost) checkKept(id, before, found);
    const write = wal.write.bind(wal);
    this.disks.set(who, found);
    wal.write = (what, done) =>
      write(what, () => {
        if (what !== null) keep(found, what);
        done();
      });
  }

  /** The node is about to send this. */
  sent(node: SimNode, message: Message): void {
    const { id } = node;
    const who = whoIs(node);
    const disk = this.disks.get(who) ?? NOTHING;
    const { type, term, to } = message;
    assert(
      type === "prevote" || term <= disk.term,
      () => `${id} sends ${type} of term ${term}, and has only ${disk.term} on disk`,
    );
    if (type === "voted" && message.granted) {
      const isKept = disk.term > term || (disk.term === term && disk.vote === to);
      assert(isKept, () => `${id} votes for ${to} in ${term}, and its disk does not say so`);
      this.votesFor(term, to).add(who);
    }
    if (type !== "appended") return;
    const { matched } = message;
    // A leader of a later term may have had it replaced since, in the same write.
    const isKept = disk.term > term || matched <= disk.lastIndex;
    assert(isKept, () => `${id} acknowledges ${matched} before its disk has it`);
  }

  /** §5.2: an election is won by the votes of a majority in that term. */
  afterEvent(node: SimNode): void {
    const { role, term, configuration } = coreOf(node);
    if (role.kind !== "leader" || this.elected.has(term)) return;
    this.elected.add(term);
    const votes = this.votesFor(term, node.id);
    const disk = this.disks.get(whoIs(node));
    const own = disk?.term === term && disk.vote === node.id;
    assert(own, () => `${node.id} leads ${term}, and its own vote is not on disk`);
    votes.add(whoIs(node));
    const isElected = isQuorum(configuration, (who) => votes.has(who));
    assert(isElected, () => `${node.id} leads ${term} by the votes of ${[...votes].join()}`);
  }

  private votesFor(term: number, candidate: NodeId): Set<string> {
    const name = `${term} ${candidate}`;
    const votes = this.votes.get(name) ?? new Set();
    this.votes.set(name, votes);
    return votes;
  }
}

function checkKept(id: NodeId, before: OnDisk, found: OnDisk): void {
  assert(found.term >= before.term, () => `${id}: the term went back from ${before.term}`);
  if (found.term > before.term || before.vote === null) return;
  assert(found.vote === before.vote, () => `${id}: forgot whom it voted for in ${before.term}`);
}

/** The log and the hard state after the write. */
function keep(disk: OnDisk, { hardState, reset, entries }: Write): void {
  if (hardState !== null) Object.assign(disk, hardState);
  if (reset !== null) disk.lastIndex = reset.index;
  disk.lastIndex = entries.at(-1)?.index ?? disk.lastIndex;
}
