/** The lines that tell an operator what a node does. */
import { expect, test } from "vitest";
import type { Log } from "../../src/program/log.ts";
import { changeLine, SlowDisk, snapshotLine, statusLine } from "../../src/program/report.ts";
import type { RaftStatus } from "../../src/raft/raft.ts";
import type { Index, NodeId } from "../../src/raft/types.ts";

const before = {
  id: "n1",
  term: 3,
  role: "follower",
  leader: "n2",
  lastIndex: 5,
  lastTerm: 3,
  committed: 4,
  applied: 4,
} as unknown as RaftStatus;
const now = { ...before, term: 4, role: "leader", leader: "n1", applied: 4 } as RaftStatus;

test("a change is told in the notation of the tests", () => {
  expect(changeLine(now, before)).toBe("n1@4 leader last=5@3 commit=4, was n1@3 follower(n2)");
});

test("how a node is doing", () => {
  expect(statusLine(now, { keys: 7, revision: 12 })).toBe(
    "state=leader leader=n1 term=4 commit=4 applied=4 keys=7 revision=12",
  );
  expect(statusLine({ ...before, leader: null }, { keys: 0, revision: 1 })).toContain("leader=- ");
});

test("what becomes of snapshots", () => {
  const index = 30 as Index;
  const n2 = "n2" as NodeId;
  const lines = [
    snapshotLine({ type: "saved", index, bytes: 512, ms: 3.4 }),
    snapshotLine({ type: "sending", index, to: n2 }),
    snapshotLine({ type: "sent", to: n2, ok: false }),
    snapshotLine({ type: "received", index, from: n2 }),
    snapshotLine({ type: "installed", index }),
  ];
  expect(lines).toEqual([
    "snapshot 30 saved: 512 bytes in 3 ms",
    "snapshot 30 is being sent to n2",
    "snapshot sent to n2: failed, to be tried again",
    "snapshot 30 received from n2",
    "snapshot 30 installed: it is the state now",
  ]);
});

test("a slow disk is told, but not every time", () => {
  const lines: string[] = [];
  const disk = new SlowDisk({ warn: (line: string) => lines.push(line) } as unknown as Log, 500);
  disk.onSync(250);
  disk.onSync(251);
  disk.onSync(900);
  expect(lines).toEqual([expect.stringContaining("an fsync took 251 ms")]);
});
