/** Which entries answer the question of a node in doubt (M13). */
import { expect, test } from "vitest";
import { Doubt } from "../../src/raft/doubt.ts";
import { makeEntry } from "../../src/raft/entry.ts";
import { encodeRejoin, type Rejoin } from "../../src/raft/rejoin.ts";
import { asIndex, asTerm, type ClusterTime, type NodeId } from "../../src/raft/types.ts";

const n1 = "n1" as NodeId;
const n2 = "n2" as NodeId;

function question(index: number, rejoin: Rejoin) {
  const place = { index: asIndex(index), term: asTerm(1), time: 0 as ClusterTime };
  return makeEntry({ ...place, kind: "rejoin", data: encodeRejoin(rejoin) });
}

test("only its own question counts, not that of another node or of an earlier loss", () => {
  const doubt = new Doubt({ id: n1, incarnation: "second" });
  doubt.appended(question(1, { id: n1, incarnation: "first" }));
  doubt.appended(question(2, { id: n2, incarnation: "second" }));
  expect(doubt.asked).toBe(null);
  doubt.appended(question(3, { id: n1, incarnation: "second" }));
  expect(doubt.asked).toBe(3);
});

test("a question that is cut off was never asked", () => {
  const doubt = new Doubt({ id: n1, incarnation: "second" });
  doubt.appended(question(3, { id: n1, incarnation: "second" }));
  doubt.truncated(4);
  expect(doubt.asked).toBe(3);
  doubt.truncated(3);
  expect(doubt.asked).toBe(null);
});
