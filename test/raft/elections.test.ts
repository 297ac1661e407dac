/**
 * Timers with real randomness (I14: there is a leader soon), and time as the cluster counts it:
 * what scripts cannot pin.
 */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import type { RaftOptions } from "../../src/raft/core.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved, type Saved } from "../../src/raft/saved.ts";
import { asIndex, asTerm, type Millis, type NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseEntries, parseNodes } from "./notation.ts";

const ELECTION_MS = 1000;

function options(id: string, nodes: string, seed: string): RaftOptions {
  return {
    id: id as NodeId,
    bootstrap: configurationOf({ voters: parseNodes(nodes) }),
    heartbeatMs: 100,
    electionMs: ELECTION_MS,
    ...LIMITS,
    applyEntriesMax: 3,
    random: new Prng(seed),
  };
}

function at(ms: number): Millis {
  return ms as Millis;
}

/** Does what must be done at once, with a disk that takes no time. */
function settle(raft: Raft, now: number): Ready {
  const ready = raft.drain();
  if (ready.write !== null) {
    raft.step({ type: "persisted", write: ready.write.number }, at(now));
  }
  return ready;
}

test("a lease that would outlive the loyalty of the others is refused (R8)", () => {
  const withLease = (leaseMs: number) => ({ ...options("n1", "n1,n2,n3", "lease"), leaseMs });
  expect(() => new Raft(withLease(ELECTION_MS), nothingSaved, at(0))).toThrow("outlives");
  expect(new Raft(withLease(ELECTION_MS - 1), nothingSaved, at(0)).core.role.kind).toBe("follower");
});

describe("election timeouts (E11)", () => {
  test("lie between once and twice the limit, and are drawn anew for each campaign", () => {
    const raft = new Raft(options("n1", "n1,n2,n3", "timeouts"), nothingSaved, at(0));
    const timeouts: number[] = [];
    let before = 0;
    for (let now = TICK_MS; timeouts.length < 300; now += TICK_MS) {
      const { round } = raft.core;
      raft.step({ type: "tick" }, at(now));
      raft.drain();
      if (raft.core.round === round) continue;
      timeouts.push(now - before);
      before = now;
    }
    expect(Math.min(...timeouts)).toBeGreaterThanOrEqual(ELECTION_MS);
    expect(Math.max(...timeouts)).toBeLessThanOrEqual(2 * ELECTION_MS + TICK_MS);
    // Spread over the whole range, not bunched.
    const quarters = new Set(timeouts.map((ms) => Math.floor((ms - ELECTION_MS) / 250)));
    expect(quarters.size).toBeGreaterThanOrEqual(4);
  });

  test("two nodes do not draw the same", () => {
    const deadlines = ["n1", "n2", "n3"].map((id) => {
      return new Raft(options(id, "n1,n2,n3", id), nothingSaved, at(0)).core.electionAt;
    });
    expect(new Set(deadlines).size).toBe(3);
  });

  test("five nodes that start together have a leader soon, 99 times in 100", () => {
    const times = Array.from({ length: 300 }, (_, seed) => timeToLeader(`start/${seed}`));
    times.sort((a, b) => a - b);
    expect(times[Math.floor(times.length * 0.99)]).toBeLessThanOrEqual(4 * ELECTION_MS);
    expect(times.at(-1)).toBeLessThanOrEqual(8 * ELECTION_MS);
  });

  /** Milliseconds until some node leads, with messages that take 1 to 40 ms. */
  function timeToLeader(seed: string): number {
    const network = new Prng(`${seed}/network`);
    const ids = "n1,n2,n3,n4,n5";
    const rafts = new Map(
      parseNodes(ids).map((id) => [
        id,
        new Raft(options(id, ids, `${seed}/${id}`), nothingSaved, at(0)),
      ]),
    );
    let flight: { readonly message: Message; readonly due: number }[] = [];
    for (let now = 1; now < 20 * ELECTION_MS; now++) {
      const due = flight.filter((one) => one.due <= now);
      flight = flight.filter((one) => one.due > now);
      for (const { message } of due) {
        rafts.get(message.to)?.step({ type: "message", message }, at(now));
      }
      for (const raft of rafts.values()) {
        if (now % TICK_MS === 0) raft.step({ type: "tick" }, at(now));
        const { messages, messagesAfterPersist } = settle(raft, now);
        for (const message of [...messages, ...messagesAfterPersist]) {
          flight.push({ message, due: now + network.between(1, 40) });
        }
        if (raft.core.role.kind === "leader") return now;
      }
    }
    return Number.POSITIVE_INFINITY;
  }
});

describe("cluster time", () => {
  const saved: Saved = { ...nothingSaved, entries: parseEntries("1@1,2@1") }; // The last at 2000.

  function lead(raft: Raft, from: number): number {
    let now = from;
    while (raft.core.role.kind !== "leader") {
      now += TICK_MS;
      raft.step({ type: "tick" }, at(now));
      settle(raft, now);
    }
    return now;
  }

  test("goes on where the log ends, at the pace of the leader's clock", () => {
    const raft = new Raft(options("n1", "n1", "time"), saved, at(500_000));
    expect(raft.core.clusterTime()).toBe(2000);
    const since = lead(raft, 500_000);
    raft.propose([new Uint8Array(1)], at(since + 250.7));
    raft.propose([new Uint8Array(1)], at(since + 300));
    const times = [3, 4, 5].map((index) => raft.core.log.entryAt(asIndex(index)).time);
    expect(times).toEqual([2000, 2250, 2300]);
  });

  test("stands still while nobody leads", () => {
    const first = new Raft(options("n1", "n1", "time"), saved, at(0));
    const since = lead(first, 0);
    first.propose([new Uint8Array(1)], at(since + 100));
    const entries = first.core.log.batchFrom(asIndex(1), { entries: 10, bytes: 1 << 16 });
    const restarted = new Raft(
      options("n1", "n1", "time"),
      { ...saved, hardState: { term: first.core.term, vote: first.core.vote }, entries },
      at(9_000_000),
    );
    const again = lead(restarted, 9_000_000);
    restarted.step({ type: "tick" }, at(again));
    expect(restarted.core.log.lastTime).toBe(2100);
  });

  test("never goes back, though the newest entry is ahead of the leader's clock", () => {
    const raft = new Raft(options("n1", "n1", "time"), saved, at(0));
    const since = lead(raft, 0);
    raft.propose([new Uint8Array(1)], at(since + 50));
    raft.propose([new Uint8Array(1)], at(since + 20));
    expect(raft.core.log.lastTime).toBe(2050);
  });
});

test("a drain hands out one portion to be applied, and says that there is more", () => {
  const raft = new Raft(
    options("n2", "n1,n2,n3", "portion"),
    { ...nothingSaved, entries: parseEntries("1@1,2@1,3@1,4@1") },
    at(0),
  );
  raft.step(
    {
      type: "message",
      message: {
        from: "n1" as NodeId,
        to: "n2" as NodeId,
        term: asTerm(1),
        type: "heartbeat",
        commit: asIndex(4),
        readSeq: 0,
      },
    },
    at(1),
  );
  const first = raft.drain();
  expect([first.committed.length, first.moreCommitted]).toEqual([3, true]);
  const second = raft.drain();
  expect([second.committed.length, second.moreCommitted]).toEqual([1, false]);
});
