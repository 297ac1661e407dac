/**
 * The configurations of a run: those that were committed, in their one order, and those that still
 * may be (I10). A name can be borne by one machine after another, so who is meant is told by the
 * name and by the entry that has made it a member.
 */
import { assert, must } from "../../src/lib/assert.ts";
import { hexOf } from "../../src/lib/bytes.ts";
import { encodeConfiguration, isJoint, memberOf } from "../../src/raft/membership.ts";
import { tally } from "../../src/raft/quorum.ts";
import type { Configuration, Deciders, Index, Member, NodeId } from "../../src/raft/types.ts";

/** A machine, which no other one is ever taken for. */
export function whoIs({ id, since }: Pick<Member, "id" | "since">): string {
  return since === 0 ? id : `${id}@${since}`;
}

/** Whether a quorum of the configuration is of this kind. */
export function isQuorum(config: Configuration, has: (who: string) => boolean): boolean {
  const votes = new Map(deciders(config).map((id) => [id, has(whoIs(memberNamed(config, id)))]));
  return tally(config, votes) === "won";
}

/** Whether it can decide without those that have lost something, whoever of them still joins. */
export function couldGoOn(config: Configuration, hasLost: (id: NodeId) => boolean): boolean {
  const joining = config.members.filter(({ id, isJoining }) => isJoining && hasLost(id));
  const voters = [...config.voters, ...joining.map(({ id }) => id)];
  const halves: Deciders[] = [
    { voters, outgoing: config.outgoing },
    { voters: config.voters, outgoing: config.outgoing },
  ];
  return halves.every((half) => {
    const all = [...half.voters, ...half.outgoing];
    return tally(half, new Map(all.map((id) => [id, !hasLost(id)]))) === "won";
  });
}

interface Placed {
  readonly index: Index;
  readonly configuration: Configuration;
}

export class Configurations {
  private readonly committedOnes: Placed[];
  /** In some log at some time, after the newest that is committed. */
  private open: Placed[] = [];

  constructor(founding: Configuration) {
    this.committedOnes = [{ index: 0 as Index, configuration: founding }];
  }

  get founding(): Configuration {
    return must(this.committedOnes[0], "the first one").configuration;
  }

  /** The newest that any node knows to be committed. */
  get newest(): Placed {
    return must(this.committedOnes.at(-1), "the first one at least");
  }

  /** All that are in force somewhere, or may be again. */
  get possible(): readonly Configuration[] {
    return [this.newest, ...this.open].map(({ configuration }) => configuration);
  }

  /** M6: a snapshot carries the configuration that was in force where it ends. */
  checkSnapshot({ index, configuration }: Placed): void {
    const known = this.committedOnes.findLast((each) => each.index <= index);
    const isSame = toHex(must(known, "the first one").configuration) === toHex(configuration);
    assert(isSame, () => `a snapshot at ${index} carries a configuration that was not in force`);
  }

  /** Whether a machine was a member, and is none any more. */
  hasLeft({ id, since }: Pick<Member, "id" | "since">): boolean {
    const { configuration, index } = this.newest;
    const member = memberOf(configuration, id);
    return member === undefined ? since < index : since < member.since;
  }

  /** An entry was seen that no log held before. */
  appended(placed: Placed): void {
    if (placed.index > this.newest.index) this.open.push(placed);
  }

  /** One after another, in the order of the log. */
  committed(placed: Placed): void {
    const before = this.newest;
    assert(placed.index > before.index, "configurations are committed in order");
    checkStep(before.configuration, placed.configuration);
    this.committedOnes.push(placed);
    this.open = this.open.filter(({ index }) => index > placed.index);
  }
}

/** I10: what follows a configuration cannot decide without it; a change ends as it was meant. */
function checkStep(before: Configuration, after: Configuration): void {
  if (isJoint(before)) {
    assert(!isJoint(after), "a change begins before another has ended");
    assert(same(after.voters, before.voters), "a change ends with other voters than it began");
    assert(same(after.learners, before.learners), "a change ends with other learners");
  } else if (isJoint(after)) {
    assert(same(after.outgoing, before.voters), "the voters before do not decide about a change");
  } else {
    assert(same(after.voters, before.voters), "voters change in one step");
  }
  assert(!haveDisjointQuorums(before, after), "two configurations could decide without each other");
}

function toHex(config: Configuration): string {
  return hexOf(encodeConfiguration(config));
}

function same(one: readonly NodeId[], other: readonly NodeId[]): boolean {
  return one.join() === other.join();
}

/** By trying all sets of machines: one decides in the first, and all others in the second. */
function haveDisjointQuorums(one: Configuration, other: Configuration): boolean {
  const machines = [...new Set([one, other].flatMap(whoDecides))];
  for (let set = 0; set < 2 ** machines.length; set++) {
    const isIn = (who: string) => (set & (1 << machines.indexOf(who))) !== 0;
    if (isQuorum(one, isIn) && isQuorum(other, (who) => !isIn(who))) return true;
  }
  return false;
}

function whoDecides(config: Configuration): readonly string[] {
  return deciders(config).map((id) => whoIs(memberNamed(config, id)));
}

function deciders({ voters, outgoing }: Deciders): readonly NodeId[] {
  return [...new Set([...voters, ...outgoing])];
}

function memberNamed(config: Configuration, id: NodeId): Member {
  return must(memberOf(config, id), "who decides is a member");
}
