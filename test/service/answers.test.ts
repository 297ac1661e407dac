/** What a node answers to others: once, from its own knowledge, and never through a third. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { encodeCommand } from "../../src/kv/command.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import { acceptForward, acceptRead } from "../../src/service/answers.ts";
import { failure, keyFor, Lab, type LabNode, putOf } from "./lab.ts";

let lab: Lab;
let leader: LabNode;
let follower: LabNode;

beforeEach(async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  leader = await lab.leader();
  follower = await lab.follower();
});

afterEach(async () => {
  await lab.close();
});

function proposal(value: string): Uint8Array {
  return encodeCommand(putOf("k", value));
}

/** As the follower forwards them. */
function asked(...proposals: Uint8Array[]) {
  return { from: follower.id, proposals };
}

test("the leader takes proposals together, each at a place of its own", async () => {
  const { lastIndex, term } = leader.node.status();
  const reply = await acceptForward(leader.node, asked(proposal("1"), proposal("2")));
  const positions = [1, 2].map((offset) => ({ index: lastIndex + offset, term }));
  expect(reply).toEqual({ type: "taken", term, positions });
  await vi.waitFor(() => expect(leader.store.get(keyFor("k"))?.version).toBe(2));
});

test("another node refuses, and names the leader: there is one hop, never two", async () => {
  lab.calls.length = 0;
  const { term } = follower.node.status();
  const refused = { type: "refused", reason: "not_leader", leader: leader.id, term };
  expect(await acceptForward(follower.node, asked(proposal("1")))).toEqual(refused);
  expect(await acceptRead(follower.node, "quorum")).toEqual(refused);
  expect(lab.calls.filter(({ type }) => type === "forward")).toEqual([]);
  expect(leader.store.get(keyFor("k"))).toBeNull();
});

test("what this version cannot apply never gets into the log (U4)", async () => {
  const { lastIndex } = leader.node.status();
  for (const bytes of [Uint8Array.of(), Uint8Array.of(1, 99), Uint8Array.of(2, 1)]) {
    const error = await failure(acceptForward(leader.node, asked(proposal("1"), bytes)));
    expect(error).toBeInstanceOf(MalformedError);
  }
  expect(leader.node.status().lastIndex).toBe(lastIndex);
});

test("the leader confirms a read with what is committed by then", async () => {
  const write = await leader.service.write(putOf("k", "v"), 5_000);
  expect(write.ok).toBe(true);
  const { term, committed } = leader.node.status();
  const confirmed = { type: "confirmed", term, index: committed, byLease: false };
  expect(await acceptRead(leader.node, "quorum")).toEqual(confirmed);
});
