/**
 * The checks of one node must fail where they should: each case damages a healthy node in one way.
 * I2: nothing goes back. I3, I4: what is committed, and what a leader has, stays as it is.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import type { Core } from "../../src/raft/core.ts";
import { Doubt } from "../../src/raft/doubt.ts";
import { captureState, checkBasic, checkDelta } from "../../src/raft/invariants.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  type Member,
  type Millis,
  type NodeId,
  type SnapshotMeta,
} from "../../src/raft/types.ts";
import { LIMITS } from "./limits.ts";
import { parseConfiguration, parseEntries, parseEntry, parseNodes } from "./notation.ts";

const n2 = "n2" as NodeId;

/** A follower in term 3 with five entries, three of them committed and applied, two compacted. */
function follower(): Raft {
  const raft = new Raft(
    {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters: parseNodes("n1,n2") }),
      heartbeatMs: 20,
      electionMs: 100,
      ...LIMITS,
      leaseMs: 90,
      applyEntriesMax: 10,
      random: new Prng("invariants"),
    },
    {
      ...nothingSaved,
      hardState: { term: asTerm(3), vote: n2 },
      entries: parseEntries("1@1,2@1,3@2,4@3,5@3:{n1,n2}"),
    },
    0 as Millis,
  );
  raft.core.log.commitTo(asIndex(3));
  raft.drain();
  const saved = { type: "snapshotSaved", meta: metaAt(3, 2), compactTo: asIndex(2) } as const;
  raft.step({ ...saved, isUrgent: false }, 1 as Millis);
  return raft;
}

function metaAt(index: number, term: number): SnapshotMeta {
  const configuration = parseConfiguration("{n1,n2}");
  const time = (index * 1000) as ClusterTime;
  return { index: asIndex(index), term: asTerm(term), time, configuration };
}

/** The same node, leading term 4. */
function leader(): Raft {
  const raft = follower();
  const message = { from: n2, to: raft.core.id };
  let now = 0;
  const next = () => (now += 10) as Millis;
  while (raft.core.role.kind === "follower") raft.step({ type: "tick" }, next());
  const { round } = raft.core;
  const prevoted = { ...message, term: asTerm(3), type: "prevoted", round, granted: true } as const;
  raft.step({ type: "message", message: prevoted }, next());
  persist(raft, next());
  const voted = { ...message, term: asTerm(4), type: "voted", granted: true } as const;
  raft.step({ type: "message", message: voted }, next());
  persist(raft, next());
  return raft;
}

function persist(raft: Raft, now: Millis): void {
  const write = must(raft.drain().write, "nothing to write");
  raft.step({ type: "persisted", write: write.number }, now);
}

function leading(core: Core) {
  if (core.role.kind !== "leader") throw new Error("not the leader");
  return core.role;
}

function progressOf(core: Core) {
  return must(leading(core).progress.get(n2), "n2 is a member");
}

function later(core: Core, ms: number): Millis {
  return (core.now + ms) as Millis;
}

describe("a healthy node", () => {
  test("passes", () => {
    for (const raft of [follower(), leader()]) {
      checkBasic(raft);
      checkDelta(captureState(raft), raft);
    }
  });
});

describe("at any moment", () => {
  test.each<[string, (core: Core) => void, string]>([
    ["applied too much", ({ log }) => (log.applied = asIndex(4)), "not committed"],
    ["compacted too much", ({ log }) => (log.applied = asIndex(1)), "not applied"],
    ["committed what is not there", ({ log }) => (log.committed = asIndex(6)), "past the end"],
    ["holds on disk what is not there", ({ log }) => (log.durable = asIndex(6)), "past the end"],
    ["applied what is not on disk", ({ log }) => (log.durable = asIndex(2)), "not on disk"],
    ["saved what it never wrote", ({ log }) => (log.unwritten = asIndex(5)), "never handed out"],
    ["has an entry of the future", (core) => (core.term = asTerm(2)), "term still to come"],
    ["lost its snapshot", (core) => (core.snapshot = null), "without a snapshot"],
    ["has an old snapshot", (core) => (core.snapshot = metaAt(1, 1)), "no snapshot covers"],
    ["has a future snapshot", (core) => (core.snapshot = metaAt(5, 3)), "ahead of the state"],
    ["has another's snapshot", (core) => (core.snapshot = metaAt(3, 1)), "disagree"],
    [
      "has a configuration that is not in its log",
      (core) => core.configurations.append(asIndex(9), parseConfiguration("{n9}")),
      "past the log's end",
    ],
    [
      "does not know its newest configuration",
      (core) => {
        core.configurations.truncateFrom(asIndex(5));
        change(core);
      },
      "not in force",
    ],
    ["follows itself", (core) => (core.role = { kind: "follower", leader: core.id }), "itself"],
    ["keeps reads without leading", ({ reads }) => reads.add(1, false), "holds reads"],
    [
      "counts a stranger's vote",
      (core) => (core.role = { kind: "candidate", votes: new Map([["n9" as NodeId, true]]) }),
      "has no vote",
    ],
    [
      "stands without its own vote",
      (core) => (core.role = { kind: "candidate", votes: new Map() }),
      "its own vote",
    ],
  ])("a follower that %s is found", (_, damage, message) => {
    const raft = follower();
    damage(raft.core);
    expect(() => checkBasic(raft)).toThrow(message);
  });

  /** Its last entry says {n1,n2}; now something else is in force. */
  function change(core: Core): void {
    core.configurations.append(asIndex(5), parseConfiguration("{n1}"));
  }

  test.each<[string, (core: Core) => void, string]>([
    ["has no vote", (core) => (core.vote = n2), "its own vote"],
    ["has no entry of its own", ({ log }) => log.truncateFrom(asIndex(6)), "entry of its own"],
    ["counts more than matches", (core) => (progressOf(core).promised = asIndex(9)), "counts more"],
    [
      "counts who is in doubt",
      (core) => {
        const progress = progressOf(core);
        progress.appended(asIndex(2));
        progress.doubt = "x";
      },
      "counts in doubt",
    ],
    ["sends again what matches", (core) => (progressOf(core).next = asIndex(0)), "send again"],
    ["sends what is not there", (core) => (progressOf(core).next = asIndex(9)), "not there"],
    ["believes a round never sent", (core) => (progressOf(core).readAcked = 9), "never sent"],
    [
      "told of what is not committed",
      (core) => (progressOf(core).commitTold = asIndex(6)),
      "not committed",
    ],
    ["sends beside a snapshot", (core) => (progressOf(core).mode = "snapshot"), "snapshot"],
    [
      "replicates to a stranger",
      (core) => core.role.kind === "leader" && core.role.progress.set(n9, progressOf(core)),
      "other than the members",
    ],
    ["leads an unsaved term", (core) => (core.term = asTerm(5)), "not on disk"],
    ["has a lease too long", (core) => (leading(core).leaseUntil = later(core, 91)), "any lasts"],
    [
      "has a lease though it has handed over",
      (core) => {
        leading(core).leaseUntil = later(core, 1);
        leading(core).mayLease = false;
      },
      "must not have",
    ],
    [
      "may have a lease while it hands over",
      (core) => handOver(core, "n2", true),
      "may have a lease",
    ],
    ["hands over to a stranger", (core) => handOver(core, "n9", false), "n9, which cannot lead"],
    ["hands over to itself", (core) => handOver(core, "n1", false), "n1, which cannot lead"],
  ])("a leader that %s is found", (_, damage, message) => {
    const raft = leader();
    damage(raft.core);
    expect(() => checkBasic(raft)).toThrow(message);
  });
  const n9 = "n9" as NodeId;

  function handOver(core: Core, to: string, mayLease: boolean): void {
    const transfer = { target: to as NodeId, until: later(core, 100), askAt: core.now };
    Object.assign(leading(core), { transfer, mayLease });
  }

  test.each<[string, (config: Configuration) => Configuration, string]>([
    ["nobody decides", (config) => ({ ...config, voters: [] }), "nobody decides"],
    ["somebody has no part", (config) => ({ ...config, voters: ["n1" as NodeId] }), "disagree"],
    ["a stranger votes", (config) => ({ ...config, outgoing: [n9] }), "disagree"],
    ["a voter learns", (config) => ({ ...config, learners: [n2] }), "n2 votes and learns"],
    ["a voter joins", (config) => withAll(config, { isJoining: true }), "n1 has joined already"],
    [
      "a member is one since an entry to come",
      (config) => withAll(config, { since: asIndex(6) }),
      "n1 is a member since",
    ],
  ])("a configuration where %s is found", (_, damage, message) => {
    const raft = follower();
    const { configurations } = raft.core;
    const { current } = configurations;
    // As if it were committed, so that only its own sense is looked at.
    configurations.truncateFrom(asIndex(5));
    configurations.append(asIndex(5), damage(current));
    raft.core.log.durable = asIndex(5);
    raft.core.log.committed = asIndex(5);
    expect(() => checkBasic(raft)).toThrow(message);
  });

  function withAll(config: Configuration, more: Partial<Member>): Configuration {
    return { ...config, members: config.members.map((member) => ({ ...member, ...more })) };
  }
});

describe("from one step to the next", () => {
  test.each<[string, (core: Core) => void, string]>([
    ["goes back in its term", (core) => (core.term = asTerm(2)), "term goes back"],
    ["forgets a commit", ({ log }) => (log.committed = asIndex(2)), "committed goes back"],
    ["applies again", ({ log }) => (log.applied = asIndex(2)), "applied goes back"],
    ["forgets its snapshot", (core) => (core.snapshot = metaAt(2, 1)), "snapshot goes back"],
    ["counts rounds anew", (core) => (core.round = 0), "round goes back"],
    ["changes its vote", (core) => (core.vote = null), "vote changes"],
    ["leads without an election", (core) => (core.role = leader().core.role), "election"],
    [
      "leads a term at once",
      (core) => {
        core.term = asTerm(9);
        core.role = leader().core.role;
      },
      "candidate",
    ],
    [
      "changes what is committed",
      ({ log }) => {
        log.committed = asIndex(2);
        log.truncateFrom(asIndex(3));
        log.append(parseEntry("3@3"));
        log.commitTo(asIndex(3));
      },
      "committed entry 3 changes",
    ],
  ])("a follower that %s is found", (_, damage, message) => {
    const raft = follower();
    raft.core.round = 7;
    const before = captureState(raft);
    damage(raft.core);
    expect(() => checkDelta(before, raft)).toThrow(message);
  });

  test.each<[string, (core: Core) => void, string]>([
    [
      "votes",
      (core) => {
        core.term = asTerm(9);
        core.vote = n2;
      },
      "votes in doubt",
    ],
    ["is certain of itself", (core) => (core.doubt = null), "without an answer"],
    ["has an answer too early", (core) => certain(core, 5), "not committed"],
    [
      "has an answer that it may lose",
      (core) => {
        core.log.durable = asIndex(2);
        certain(core, 3);
      },
      "not on disk",
    ],
  ])("a node in doubt that %s is found", (_, damage, message) => {
    const raft = follower();
    raft.core.doubt = new Doubt({ id: raft.core.id, incarnation: "x" });
    const before = captureState(raft);
    damage(raft.core);
    expect(() => checkDelta(before, raft)).toThrow(message);
  });

  test("a node in doubt that is certain and may still vote in its term is found", () => {
    const raft = follower();
    raft.core.doubt = new Doubt({ id: raft.core.id, incarnation: "x" });
    raft.core.vote = null;
    const before = captureState(raft);
    certain(raft.core, 3);
    expect(() => checkDelta(before, raft)).toThrow("without a vote");
  });

  function certain(core: Core, rejoined: number): void {
    core.doubt = null;
    core.rejoined = asIndex(rejoined);
  }

  test("a node that comes to be in doubt while it runs is found", () => {
    const raft = follower();
    const before = captureState(raft);
    raft.core.doubt = new Doubt({ id: raft.core.id, incarnation: "x" });
    expect(() => checkDelta(before, raft)).toThrow("nothing was lost");
  });

  test("a follower that changes its leader within a term is found", () => {
    const raft = follower();
    raft.core.role = { kind: "follower", leader: n2 };
    const before = captureState(raft);
    raft.core.role = { kind: "follower", leader: "n3" as NodeId };
    expect(() => checkDelta(before, raft)).toThrow("two leaders");
  });

  describe("a leader", () => {
    const settled = parseConfiguration("{n1,n2}");
    const joint = parseConfiguration("{n1,n3|n1,n2}");

    /** It has changed from one configuration to the next; all is committed that should be. */
    function changed(from: Configuration, to: Configuration, committed: number) {
      const raft = leader();
      const { log, configurations } = raft.core;
      configurations.append(asIndex(6), from);
      const before = captureState(raft);
      configurations.append(asIndex(7), to);
      log.committed = asIndex(committed);
      return { before, raft };
    }

    test.each([
      ["begins a change", settled, joint],
      ["ends it", joint, parseConfiguration("{n1,n3}")],
      ["adds a learner", settled, parseConfiguration("{n1,n2+n3}")],
    ])("that %s is well", (_, from, to) => {
      const { before, raft } = changed(from, to, 6);
      checkDelta(before, raft);
    });

    test.each([
      ["begins another before", settled, joint, 5, "not committed yet"],
      ["adds a voter at once", settled, parseConfiguration("{n1,n2,n3}"), 6, "without a joint"],
      ["forgets an old voter", settled, parseConfiguration("{n1,n3|n1}"), 6, "without a joint"],
      ["goes back", joint, settled, 6, "ends with other voters"],
      ["begins a second one", joint, parseConfiguration("{n1|n1,n3}"), 6, "ends with other voters"],
    ] as const)("that %s is found", (_, from, to, committed, message) => {
      const { before, raft } = changed(from, to, committed);
      expect(() => checkDelta(before, raft)).toThrow(message);
    });

    test("that changes members before it has committed an entry of its own is found", () => {
      const raft = leader();
      const before = captureState(raft);
      raft.core.configurations.append(asIndex(7), joint);
      raft.core.log.committed = asIndex(5);
      expect(() => checkDelta(before, raft)).toThrow("entry of its own");
    });

    test("that may have a lease again is found", () => {
      const raft = leader();
      const before = { ...captureState(raft), mayLease: false };
      expect(() => checkDelta(before, raft)).toThrow("lease again");
    });
  });

  test("a leader that changes its own log is found, and one that counts reads anew", () => {
    const raft = leader();
    const before = captureState(raft);
    raft.core.log.truncateFrom(asIndex(6));
    expect(() => checkDelta(before, raft)).toThrow("own entry 6 changes");
    expect(() => checkDelta({ ...before, readSeq: 1 }, leader())).toThrow("used again");
  });
});
