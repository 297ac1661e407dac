/** Writes of a node that the cluster removes: each ends at once, with what is certain (X3, M8). */
import { afterEach, expect, test, vi } from "vitest";
import { encodeCommand } from "../../src/kv/command.ts";
import { acceptForward } from "../../src/service/answers.ts";
import { ServiceError } from "../../src/service/errors.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { failure, keyFor, Lab, type LabNode, putOf } from "./lab.ts";

/** Much longer than anything takes here. */
const PATIENT_MS = 20_000;

let lab: Lab;
afterEach(() => lab.close());

function leave({ node, service }: LabNode): void {
  node.retire();
  service.depart();
}

async function outcomeOf(write: Promise<unknown>): Promise<unknown> {
  const error = await failure(write);
  if (!(error instanceof ServiceError)) throw error;
  return { code: error.code, outcome: error.outcome };
}

test("what waits for a leader was not applied, nor is what comes later", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const node = await lab.follower();
  for (const { id } of lab.nodes) lab.cut(id);
  await vi.waitFor(() => expect(node.service.leadership.leader).toBeNull(), PATIENT_MS);
  const waiting = outcomeOf(node.service.write(putOf("k", "v"), PATIENT_MS));
  const from = performance.now();
  leave(node);
  const expected = { code: "MEMBER_REMOVED", outcome: "not_applied" };
  expect(await waiting).toEqual(expected);
  expect(await outcomeOf(node.service.write(putOf("k", "v"), PATIENT_MS))).toEqual(expected);
  expect(performance.now() - from).toBeLessThan(PATIENT_MS / 2);
});

test("of what is in the leader's log nobody knows, and nobody waits in vain", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  await lab.leader();
  const node = await lab.follower();
  const isTaken = vi.spyOn(node.node, "whenApplied");
  lab.isLost = ({ type }) => type === "appended"; // So that nothing is committed.
  const taken = outcomeOf(node.service.write(putOf("k", "v"), PATIENT_MS));
  await vi.waitFor(() => expect(isTaken).toHaveBeenCalled(), PATIENT_MS);
  const from = performance.now();
  leave(node);
  expect(await taken).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
  expect(performance.now() - from).toBeLessThan(PATIENT_MS / 2);
});

test("a leader takes nothing of the clients of a node that is no member", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const leader = await lab.leader();
  const proposals = [encodeCommand(putOf("k", "v"))];
  const reply = await acceptForward(leader.node, { from: "n4" as NodeId, proposals });
  expect(reply).toMatchObject({ type: "refused", reason: "not_leader" });
  await leader.service.write(putOf("other", "v"), PATIENT_MS);
  expect(leader.store.get(keyFor("k"))).toBeNull();
});
