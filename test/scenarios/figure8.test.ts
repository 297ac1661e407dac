/** The schedule of the paper's Figure 8, which drawn crashes hardly ever hit. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { coreOf, type SimNode } from "../sim/sim-node.ts";
import { Cluster, ELECTION_TIMEOUT_MS } from "./harness.ts";

/** Lets these nodes hear each other and nobody else, until one of them has just been elected. */
function electAmong(cluster: Cluster, group: readonly SimNode[]): SimNode {
  cluster.partition(group);
  const leader = () => cluster.leaders().find((node) => group.includes(node));
  cluster.until(() => leader() !== undefined, 10 * ELECTION_TIMEOUT_MS);
  return must(leader(), "a leader");
}

/** How much of its log the leader knows to be at `peer`. */
function matched(leader: SimNode, peer: NodeId): number {
  const { role } = coreOf(leader);
  return role.kind === "leader" ? (role.progress.get(peer)?.matched ?? 0) : 0;
}

test("Figure8Exact", () => {
  const cluster = new Cluster({ seed: "a", nodes: 5, appendEntriesMax: 1 });
  cluster.one(5);
  // (a) The first leader brings an entry to one other node.
  const first = cluster.checkOneLeader();
  const [second, ...rest] = cluster.others(first) as [SimNode, SimNode, SimNode, SimNode];
  cluster.partition([first, second]);
  const text = cluster.text();
  cluster.submit(first, text);
  const { lastIndex } = coreOf(first).log;
  expect(cluster.until(() => coreOf(second).log.lastIndex === lastIndex, 100)).toBe(true);

  // (b) The others elect one of them, whose own entry at the same place reaches nobody.
  cluster.crash(first);
  const rival = electAmong(cluster, rest);
  cluster.partition();
  cluster.run(ELECTION_TIMEOUT_MS);
  expect(coreOf(rival).log.lastIndex).toBe(lastIndex);

  // (c) The first or second leads again, and brings the old entry to a third node: a majority.
  const others = rest.filter((node) => node !== rival) as [SimNode, SimNode];
  const [third] = others;
  cluster.restart(first);
  const again = electAmong(cluster, [first, second, third]);
  expect([first, second]).toContain(again);
  expect(cluster.until(() => matched(again, third.id) === lastIndex, ELECTION_TIMEOUT_MS)).toBe(
    true,
  );
  cluster.partition();
  cluster.run(ELECTION_TIMEOUT_MS);

  // (d) The rival may still win and put its own in that place: so it must not count as committed.
  expect(electAmong(cluster, [rival, ...others])).toBe(rival);
  cluster.run(ELECTION_TIMEOUT_MS);
  cluster.partition(cluster.nodes);
  cluster.one(5);
  expect(cluster.applied).not.toContain(text);
});
