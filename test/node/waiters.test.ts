/** What those are told who wait for an entry: the truth about their own, or that nobody knows. */
import { beforeEach, expect, test } from "vitest";
import { type Outcome, Waiters } from "../../src/node/waiters.ts";
import { asIndex } from "../../src/raft/types.ts";
import { position } from "../storage/fixtures.ts";

let waiters: Waiters<string>;
let told: Record<string, Outcome<string>>;

const tell = (name: string) => (outcome: Outcome<string>) => {
  expect(told).not.toHaveProperty(name);
  told[name] = outcome;
};

beforeEach(() => {
  waiters = new Waiters((result) => result.length);
  told = {};
});

test("each is told of its own entry", () => {
  waiters.addProposal(position(4, 1), tell("four"));
  waiters.addProposal(position(5, 1), tell("five"));
  waiters.applied(position(5, 1), "of five");
  waiters.applied(position(4, 1), "of four");
  expect(told).toEqual({
    four: { kind: "applied", result: "of four", index: 4 },
    five: { kind: "applied", result: "of five", index: 5 },
  });
});

test("whose entry was replaced is told so, and never the answer to another one", () => {
  waiters.addProposal(position(4, 1), tell("old"));
  waiters.addProposal(position(4, 2), tell("new"));
  waiters.addProposal(position(5, 1), tell("by an entry that is no command"));
  waiters.applied(position(4, 2), "of new");
  waiters.applied(position(5, 2), null);
  expect(told).toEqual({
    old: { kind: "lost" },
    new: { kind: "applied", result: "of new", index: 4 },
    "by an entry that is no command": { kind: "lost" },
  });
});

test("who asks after the entry was applied is told the same", () => {
  for (const index of [3, 4, 5]) waiters.applied(position(index, 2), `of ${index}`);
  waiters.tellApplied(position(4, 2), tell("mine"));
  waiters.tellApplied(position(4, 1), tell("replaced"));
  waiters.tellApplied(position(2, 2), tell("too long ago"));
  expect(told).toEqual({
    mine: { kind: "applied", result: "of 4", index: 4 },
    replaced: { kind: "lost" },
    "too long ago": { kind: "unknown" },
  });
});

test("whose place a snapshot skipped over is told that nobody knows (X3)", () => {
  waiters.addProposal(position(4, 1), tell("skipped"));
  waiters.addProposal(position(6, 1), tell("still to come"));
  waiters.skipped(asIndex(5));
  expect(told).toEqual({ skipped: { kind: "unknown" } });
  waiters.applied(position(6, 1), "of six");
  expect(told).toHaveProperty("still to come");
});

test("who waits for an index is told when all before it is applied, and not earlier", () => {
  const reached: number[] = [];
  for (const index of [6, 4, 5]) waiters.addIndex(asIndex(index), () => reached.push(index));
  const cancel = waiters.addIndex(asIndex(4), () => reached.push(0));
  cancel();
  waiters.reached(asIndex(3));
  expect(reached).toEqual([]);
  waiters.reached(asIndex(5));
  expect(reached).toEqual([4, 5]);
});
