/** Changes of the members, as the node answers that was asked: done is what is done (M3, X3). */
import { afterEach, expect, test, vi } from "vitest";
import type { MemberChange } from "../../src/raft/change.ts";
import { memberOf } from "../../src/raft/membership.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import { ServiceError } from "../../src/service/errors.ts";
import { nodeClock } from "../../src/service/node-clock.ts";
import { failure, Lab, type LabNode, type LabOptions, putOf } from "./lab.ts";

/** Much longer than anything takes here. */
const PATIENT_MS = 15_000;
const FIVE = ["n1", "n2", "n3", "n4", "n5"];

let lab: Lab;
afterEach(() => lab.close());

function ask({ service }: LabNode, ...changes: readonly MemberChange[]): Promise<void> {
  return service.members.change(changes, (nodeClock.now() + PATIENT_MS) as Millis);
}

function learner(name: string): MemberChange {
  const id = name as NodeId;
  return {
    type: "add",
    id,
    peerUrl: `http://${name}.test:5001`,
    incarnation: "",
    isJoining: false,
  };
}

function isMember({ node }: LabNode, name: string): boolean {
  return memberOf(node.inForce().configuration, name as NodeId) !== undefined;
}

async function outcomeOf(change: Promise<unknown>): Promise<unknown> {
  const error = await failure(change);
  if (!(error instanceof ServiceError)) throw error;
  return { code: error.code, outcome: error.outcome };
}

interface Asked {
  readonly asker: LabNode;
  readonly leader: LabNode;
  /** What the asker answers, when it does. */
  readonly answer: Promise<void>;
}

/** A change that stays in the log of its leader, of which the asker knows where it is. */
async function asked(...changes: readonly MemberChange[]): Promise<Asked> {
  const leader = await lab.leader();
  const asker = await lab.follower();
  lab.isLost = ({ from, type }) => from === leader.id && type === "append";
  const waits = vi.spyOn(asker.node, "whenReached");
  const { lastIndex } = leader.node.status();
  const answer = ask(asker, ...changes);
  const isTold = () => waits.mock.calls.some(([index]) => index > lastIndex);
  await vi.waitFor(() => expect(isTold()).toBe(true), PATIENT_MS);
  waits.mockRestore();
  return { asker, leader, answer };
}

/** The others go on without the leader and the asker, with a change of their own. */
async function lost(options: LabOptions = {}): Promise<Asked> {
  lab = await Lab.start(FIVE, options);
  const all = await asked(learner("n8"));
  lab.cut(all.leader.id);
  lab.cut(all.asker.id);
  const next = await lab.leader();
  await ask(next, learner("n9"));
  return all;
}

test("a change that is lost with its leader is asked for again, and made", async () => {
  const { asker, answer } = await lost();
  lab.heal();
  await answer;
  expect([isMember(asker, "n8"), isMember(asker, "n9")]).toEqual([true, true]);
});

test("where a snapshot stands for its place, nobody knows what became of it", async () => {
  const { asker, answer } = await lost({ snapshotEntries: 20 });
  const outcome = outcomeOf(answer);
  const next = await lab.leader();
  const before = next.node.status().lastIndex;
  for (let count = 0; count < 50; count++) {
    await next.service.write(putOf(`k${count}`, "v"), PATIENT_MS);
  }
  await vi.waitFor(() => expect(next.node.status().firstIndex).toBeGreaterThan(before), PATIENT_MS);
  lab.heal();
  expect(await outcome).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
  expect(isMember(asker, "n8")).toBe(false);
});

test("what is so already is answered at once, at every node", async () => {
  lab = await Lab.start(["n1", "n2", "n3"], { snapshotEntries: 20 });
  const leader = await lab.leader();
  const move = { type: "move", id: "n1" as NodeId, peerUrl: "http://n1.test:5009" } as const;
  await ask(leader, move);
  const { configurationIndex } = leader.node.status();
  for (let count = 0; count < 50; count++) {
    await leader.service.write(putOf(`k${count}`, "v"), PATIENT_MS);
  }
  const isGone = () => leader.node.status().firstIndex > configurationIndex;
  await vi.waitFor(() => expect(isGone()).toBe(true), PATIENT_MS);
  for (const node of lab.nodes) await ask(node, move);
  expect(leader.node.status().configurationIndex).toBe(configurationIndex);
});

function leave({ node, service }: LabNode): void {
  node.retire();
  service.depart();
}

test("a node that is removed does not know what became of what it had asked for", async () => {
  lab = await Lab.start(FIVE);
  const { asker, answer } = await asked(learner("n8"));
  leave(asker);
  expect(await outcomeOf(answer)).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
});

test("nor of more than its own removal, though that is through", async () => {
  lab = await Lab.start(FIVE);
  const asker = await lab.follower();
  const own = { type: "remove", id: asker.id } as const;
  const { answer } = await asked(learner("n8"), own);
  leave(asker);
  expect(await outcomeOf(answer)).toEqual({ code: "COMMIT_TIMEOUT", outcome: "unknown" });
});

test("its own removal is through, whoever has removed it", async () => {
  lab = await Lab.start(FIVE);
  const asker = await lab.follower();
  const { answer } = await asked({ type: "remove", id: asker.id });
  leave(asker);
  await answer;
});

test("a change that it knows to be committed was through before it could be removed", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const leader = await lab.leader();
  const isLeaving = () => !isMember(leader, leader.id);
  // The last step is in its log, and it is not told that this is committed.
  lab.isLost = ({ to, type }) => to === leader.id && type === "appended" && isLeaving();
  const answer = ask(leader, { type: "remove", id: leader.id }, learner("n8"));
  await vi.waitFor(() => expect(isLeaving()).toBe(true), PATIENT_MS);
  expect(leader.node.inForce().isCommitted).toBe(false);
  leave(leader);
  await answer;
  lab.cut(leader.id);
  await lab.leader();
});

test("who leaves by a change that it has asked for is told that it is committed", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const asker = await lab.follower();
  const leader = await lab.leader();
  const answer = ask(asker, { type: "remove", id: asker.id }, learner("n8"));
  await vi.waitFor(() => expect(isMember(leader, asker.id)).toBe(false), PATIENT_MS);
  leave(asker);
  await answer;
});

test("whoever is removed passes no change on any more", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const asker = await lab.follower();
  for (const { id } of lab.nodes) lab.cut(id);
  await vi.waitFor(() => expect(asker.service.leadership.leader).toBeNull(), PATIENT_MS);
  const waiting = outcomeOf(ask(asker, learner("n8")));
  const from = performance.now();
  leave(asker);
  expect(await waiting).toEqual({ code: "MEMBER_REMOVED", outcome: "not_applied" });
  expect(performance.now() - from).toBeLessThan(PATIENT_MS / 2);
});
