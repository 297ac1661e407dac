/**
 * A new machine under the name of an earlier one: the log says first that the name votes, then that
 * it was removed, and then that it is back. Until it comes to that, this machine decides nothing,
 * as it does not know what the earlier one had promised (M8).
 */
import { expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { configurationOf, encodeConfiguration } from "../../src/raft/membership.ts";
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import type { Body, Message } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved, type Saved } from "../../src/raft/saved.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  type Millis,
  type NodeId,
  NOWHERE,
} from "../../src/raft/types.ts";
import { LIMITS } from "./limits.ts";
import { parseConfiguration, parseEntries, parseNodes } from "./notation.ts";

const n1 = "n1" as NodeId;
const n4 = "n4" as NodeId;
const SINCE = asIndex(4);

/** The members as entry 4 says: n4 is back, as a learner. */
function back(): Configuration {
  const config = parseConfiguration("{n1,n2,n3+n4}");
  const members = config.members.map((member) =>
    member.id === n4 ? { ...member, since: SINCE } : member,
  );
  return { ...config, members };
}

/** n4 as it joins: it was told who the members are, but has none of the log. */
function joining(saved: Saved = nothingSaved): Raft {
  return new Raft(
    {
      id: n4,
      bootstrap: back(),
      heartbeatMs: 20,
      electionMs: 100,
      ...LIMITS,
      applyEntriesMax: 10,
      random: new Prng("joined"),
    },
    saved,
    0 as Millis,
  );
}

/** What n4 answers to n1, in term 2, when everything is on its disk. */
function ask(raft: Raft, body: Body, now: number): readonly Message[] {
  const message = { from: n1, to: n4, term: asTerm(2), ...body };
  raft.step({ type: "message", message }, now as Millis);
  const { messages, messagesAfterPersist, write } = raft.drain();
  if (write !== null) raft.step({ type: "persisted", write: write.number }, now as Millis);
  raft.drain();
  return [...messages, ...messagesAfterPersist];
}

/** The log: n4 votes, is gone, and is back. */
const entries: readonly Entry[] = [
  ...parseEntries("1@1,2@1:{n1,n2,n3,n4},3@1:{n1,n2,n3}"),
  makeEntry({
    index: SINCE,
    term: asTerm(2),
    time: 4_000 as ClusterTime,
    kind: "config",
    data: encodeConfiguration(back()),
  }),
];

function append(from: number, to: number): Body {
  const prev = entries[from - 2] ?? NOWHERE;
  const sent = entries.slice(from - 1, to);
  const position = { prevIndex: prev.index, prevTerm: prev.term };
  return { type: "append", ...position, entries: sent, commit: asIndex(0) };
}

const heartbeat: Body = { type: "heartbeat", commit: asIndex(0), readSeq: 7 };

test("it acknowledges and confirms nothing before its log has come to its own entry", () => {
  const raft = joining();
  expect(ask(raft, heartbeat, 10)).toMatchObject([{ type: "copied", matched: 0 }]);
  expect(ask(raft, append(1, 2), 20)).toMatchObject([{ type: "copied", matched: 2 }]);
  expect(ask(raft, append(3, 3), 30)).toMatchObject([{ type: "copied", matched: 3 }]);
  expect(ask(raft, heartbeat, 40)).toMatchObject([{ type: "copied" }]);
  expect(ask(raft, append(4, 4), 50)).toMatchObject([{ type: "appended", matched: 4 }]);
  expect(ask(raft, heartbeat, 60)).toMatchObject([{ type: "heard", readSeq: 7 }]);
});

test("it neither votes nor stands before, though the log says that its name votes", () => {
  const raft = joining();
  ask(raft, append(1, 2), 10);
  expect(raft.core.configuration.voters).toContain(n4);
  raft.step({ type: "tick" }, 1_000 as Millis);
  expect(raft.core.role.kind).toBe("follower");
  const last = { lastIndex: asIndex(9), lastTerm: asTerm(2) };
  const prevoted = ask(raft, { type: "prevote", round: 1, ...last }, 2_000);
  expect(prevoted).toMatchObject([{ type: "prevoted", granted: false }]);
  ask(raft, { type: "timeoutNow" }, 2_010);
  expect(raft.core.role.kind).toBe("follower");
});

test("a snapshot that reaches so far will do", () => {
  const meta = { index: asIndex(9), term: asTerm(2), time: 9_000 as ClusterTime };
  const snapshot = { ...meta, configuration: back() };
  const raft = joining({ ...nothingSaved, snapshot, base: meta });
  expect(ask(raft, heartbeat, 10)).toMatchObject([{ type: "heard" }]);
});

test("a founder has joined from the beginning", () => {
  const founded = configurationOf({ voters: parseNodes("n1,n2,n4") });
  const raft = new Raft(
    { ...joining().core.options, bootstrap: founded },
    nothingSaved,
    0 as Millis,
  );
  expect(ask(raft, append(1, 1), 10)).toMatchObject([{ type: "appended", matched: 1 }]);
});
