/** Whether somebody else uses a name: what tells a lost data directory from one in use (M13). */
import { beforeEach, expect, test, vi } from "vitest";
import { LastHeard } from "../../../src/program/members/last-heard.ts";
import type { NodeId } from "../../../src/raft/types.ts";

const n1 = "n1" as NodeId;
let now = 0;

beforeEach(() => {
  now = 1_000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
});

test("who was never heard has been silent since anybody listened", () => {
  const heard = new LastHeard();
  now += 70;
  expect(heard.silentMs(n1, "new")).toBe(70);
});

test("the incarnation that asks is no other one", () => {
  const heard = new LastHeard();
  now += 70;
  heard.note(n1, "new");
  now += 5;
  expect(heard.silentMs(n1, "new")).toBe(75);
  expect(heard.silentMs(n1, "old")).toBe(5);
});

test("of two that speak in turns, each hears that the other one is there", () => {
  const heard = new LastHeard();
  for (let turn = 0; turn < 3; turn++) {
    heard.note(n1, "a");
    now += 10;
    heard.note(n1, "b");
    now += 10;
    expect(heard.silentMs(n1, "a")).toBe(10);
    expect(heard.silentMs(n1, "b")).toBe(20);
  }
});
