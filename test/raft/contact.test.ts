/** When a node was last in touch with others, as its status tells: what scripts do not show. */
import { beforeEach, expect, test } from "vitest";
import type { RaftOptions } from "../../src/raft/core.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Index, Millis, NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseNodes } from "./notation.ts";

const ELECTION_MS = 1_000;

const OPTIONS: RaftOptions = {
  id: "n1" as NodeId,
  bootstrap: configurationOf({ voters: parseNodes("n1,n2,n3") }),
  heartbeatMs: 100,
  electionMs: ELECTION_MS,
  ...LIMITS,
  random: { below: () => 0 },
};

let raft: Raft;
let now: number;

beforeEach(() => {
  now = 0;
  raft = new Raft(OPTIONS, nothingSaved, 0 as Millis);
});

function settle(): void {
  const ready: Ready = raft.drain();
  if (ready.write === null) return;
  raft.step({ type: "persisted", write: ready.write.number }, now as Millis);
  settle();
}

function hear(from: string, body: object, term: number = raft.core.term): void {
  const message = { from, to: "n1", term, ...body } as Message;
  raft.step({ type: "message", message }, now as Millis);
  settle();
}

function tick(count: number): void {
  for (let at = 0; at < count; at++) {
    now += TICK_MS;
    raft.step({ type: "tick" }, now as Millis);
    settle();
  }
}

function tickUntil(role: string): void {
  while (raft.core.role.kind !== role && now < 10 * ELECTION_MS) tick(1);
  expect(raft.core.role.kind).toBe(role);
}

function lead(): void {
  tickUntil("precandidate");
  hear("n2", { type: "prevoted", round: raft.core.round, granted: true });
  hear("n2", { type: "voted", granted: true });
  expect(raft.core.role.kind).toBe("leader");
}

const contactMs = () => raft.status(now as Millis).lastContactMs;

test("nobody was ever heard: that is said", () => {
  expect(contactMs()).toBeNull();
  tickUntil("precandidate");
  expect(contactMs()).toBeNull();
});

test("a leader that has lost its quorum tells when it last had one", () => {
  lead();
  tick(30);
  hear("n3", { type: "appended", matched: 1 as Index });
  const heardAt = now;
  tickUntil("follower");
  expect(contactMs()).toBe(now - heardAt);
  tickUntil("precandidate");
  expect(contactMs()).toBe(now - heardAt);
  // That it was in touch is no reason to be loyal to anybody.
  expect(raft.core.hasLiveLeader).toBe(false);
});

test("a deposed leader tells so, too, and then when it heard the next one", () => {
  lead();
  const heardAt = now;
  now += 50;
  hear("n2", { type: "vote", lastIndex: 9, lastTerm: 9 }, raft.core.term + 1);
  // It is loyal to itself while it leads: only who leads already is heeded.
  expect(raft.core.role.kind).toBe("leader");
  hear("n2", { type: "stale" }, raft.core.term + 1);
  expect(raft.core.role.kind).toBe("follower");
  expect(contactMs()).toBe(now - heardAt);
  now += 20;
  hear("n2", { type: "heartbeat", commit: 0, readSeq: 0 });
  expect(contactMs()).toBe(0);
});

test("a follower that stands for election has heard the last leader all the same", () => {
  hear("n2", { type: "heartbeat", commit: 0, readSeq: 0 }, 1);
  tickUntil("precandidate");
  hear("n3", { type: "prevoted", round: raft.core.round, granted: true });
  expect(raft.core.role.kind).toBe("candidate");
  expect(contactMs()).toBe(now);
  // So it has when that leader is none any more, and says so itself.
  hear("n3", { type: "heartbeat", commit: 0, readSeq: 0 }, 5);
  const heardAt = now;
  now += 30;
  hear("n3", { type: "prevote", round: 1, lastIndex: 0, lastTerm: 0 });
  expect(raft.core.heardLeaderAt).toBeNull();
  expect(contactMs()).toBe(now - heardAt);
});
