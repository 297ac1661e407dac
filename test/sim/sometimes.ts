/**
 * Rare states that a simulation must have been in, or it has proved little. A long run that never
 * saw one of them fails (docs/INVARIANTS.md tells why each matters).
 */
export const RARE = [
  "an election ended without a leader",
  "two nodes led at once",
  "a leader was elected whose log is shorter than another one",
  "entries of a follower were replaced",
  "an entry of an older term was on a majority, and not committed",
  "an entry that a majority had on disk was replaced",
  "an entry was committed by a leader of a later term",
  "a leader without a quorum stepped down",
  "a paused leader woke up deposed",
  "a snapshot was installed",
  "a node began with a snapshot",
  "a start cut off a torn append",
  "a write failed on a leader with entries under way",
  "a write ended after its leader had stepped down",
  "a hung disk deposed its leader",
  "all nodes were without power at once",
  "a wiped node counted again",
  "a damaged node counted again",
  "a message arrived a minute late",
  "a link was full",
  "a read outlived the leader that it began under",
  "a write outlived the leader that it began under",
  "a write was certainly not done",
  "a write had an unknown outcome",
  "a condition was refused",
  "history was compacted",
  "a list of the past was read",
  "a list of a forgotten past was refused",
  "a retry was answered from memory",
  "a lease ended",
  "a watch caught up from history",
  "a watch could not resume",
  "a leader died in a joint configuration, and another one left it",
  "a joint configuration was rolled back",
  "a snapshot carried a joint configuration",
  "a leader removed itself",
  "a joining node was promoted",
  "a joining node got a snapshot",
  "a removed node asked for votes",
  "a change was refused as unsafe",
  "a change was refused as behind",
  "a change was refused as in progress",
  "a change was refused as not ready",
  "a transfer succeeded",
  "a transfer was given up",
  "a read was answered by a lease",
  "a lease ended by a transfer",
  "a name came back with another machine",
  "a change that began during a partition was committed during one",
  "a change that began during a partition was lost",
  "all voters were replaced",
] as const;

export type Rare = (typeof RARE)[number];

/** Counts how often each was seen. */
export class Sometimes {
  readonly counts = new Map<Rare, number>();

  saw(what: Rare): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Adds what another run has seen. */
  add(counts: Iterable<readonly [Rare, number]>): void {
    for (const [what, count] of counts) {
      this.counts.set(what, (this.counts.get(what) ?? 0) + count);
    }
  }

  get missing(): readonly Rare[] {
    return RARE.filter((what) => !this.counts.has(what));
  }
}
