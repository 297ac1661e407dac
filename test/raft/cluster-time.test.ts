/** Cluster time (X8): it goes on while a leader leads, and not while its process stands still. */
import { expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { parseNodes } from "./notation.ts";

/** A cluster of one. */
class Alone {
  readonly raft: Raft;
  now = 0;

  constructor() {
    const options = {
      id: "n1" as NodeId,
      bootstrap: configurationOf({ voters: parseNodes("n1") }),
      heartbeatMs: 20,
      electionMs: 100,
      ...LIMITS,
      random: new Prng("time"),
    };
    this.raft = new Raft(options, nothingSaved, 0 as Millis);
    while (this.raft.core.role.kind !== "leader") this.tick(TICK_MS);
  }

  tick(ms: number): void {
    this.now += ms;
    this.raft.step({ type: "tick" }, this.now as Millis);
    const { write } = this.raft.drain();
    if (write === null) return;
    this.raft.step({ type: "persisted", write: write.number }, this.now as Millis);
  }

  get clusterTime(): number {
    return this.raft.status(this.now as Millis).clusterTime;
  }
}

test("goes on at the pace of the leader's clock", () => {
  const node = new Alone();
  const before = node.clusterTime;
  for (let i = 0; i < 100; i++) node.tick(TICK_MS);
  expect(node.clusterTime).toBe(before + 100 * TICK_MS);
});

test("stands still while the leader's process does, and never goes back", () => {
  const node = new Alone();
  node.tick(TICK_MS);
  const before = node.clusterTime;
  node.tick(60_000);
  expect(node.clusterTime).toBe(before + TICK_MS);
  node.tick(TICK_MS);
  expect(node.clusterTime).toBe(before + 2 * TICK_MS);
});
