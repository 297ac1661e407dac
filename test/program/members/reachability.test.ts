/** What is said of members that cannot be reached. */
import { expect, test } from "vitest";
import { resolveConfig } from "../../../src/config.ts";
import {
  SILENT_MS,
  SilentMembers,
  unreachableLine,
} from "../../../src/program/members/reachability.ts";
import type { NodeId } from "../../../src/raft/types.ts";

function member(name: string, lastContactMs: number | null) {
  const rest = { matched: 0, lag: 0, keepsUp: false, inDoubt: false };
  const progress = lastContactMs === null ? null : { ...rest, lastContactMs };
  return { name: name as NodeId, peerUrl: `http://${name}.test:5001`, progress };
}

const silent = SILENT_MS + 1;

test("a member that is silent for long is told once, by name and peer URL", () => {
  const members = new SilentMembers();
  expect(members.look([member("n1", 0), member("n2", SILENT_MS)])).toEqual([]);
  expect(members.look([member("n1", 0), member("n2", silent)])).toEqual([
    "n2 has been silent for 10 s: is it running, and can it be reached from here at " +
      "http://n2.test:5001?",
  ]);
  expect(members.look([member("n1", 0), member("n2", 2 * silent)])).toEqual([]);
  expect(members.look([member("n2", 3 * silent), member("n3", silent)])).toHaveLength(1);
});

test("it is told anew after it was heard", () => {
  const members = new SilentMembers();
  expect(members.look([member("n2", silent)])).toHaveLength(1);
  expect(members.look([member("n2", 5)])).toEqual([]);
  expect(members.look([member("n2", silent)])).toHaveLength(1);
});

test("who does not lead says nothing of anybody", () => {
  const members = new SilentMembers();
  expect(members.look([member("n1", null), member("n2", null)])).toEqual([]);
});

test.each([
  ["127.0.0.1:5001", "http://10.0.0.4:5001"],
  ["localhost:5001", "http://n4.test:5001"],
  ["[::1]:5001", "http://[fd00::4]:5001"],
])("--peer-listen %s does not go with --peer-url %s", (listen, url) => {
  const flags = { "peer-listen": listen, "peer-url": url };
  const line = unreachableLine(resolveConfig({ flags, env: {}, file: null }));
  expect(line).toMatch(/^--peer-listen \S+ is for this machine only, but --peer-url says http/);
  expect(line).toContain(url);
});

test.each([
  ["127.0.0.1:5001", "http://127.0.0.1:7001"],
  ["127.0.0.1:5001", "http://localhost:5001"],
  ["127.0.0.1:5001", "http://[::1]:5001"],
  ["0.0.0.0:5001", "http://10.0.0.4:5001"],
  ["10.0.0.4:5001", "http://n4.test:5001"],
])("--peer-listen %s goes with --peer-url %s", (listen, url) => {
  const flags = { "peer-listen": listen, "peer-url": url };
  expect(unreachableLine(resolveConfig({ flags, env: {}, file: null }))).toBeNull();
});
