/** Faults between nodes: cut, one-way, slow and broken links, and old requests that come again. */
import type { ChaosNode } from "./chaos-node.ts";
import type { Field } from "./field.ts";
import type { Nemesis } from "./nemesis.ts";

export const networkNemeses: readonly Nemesis[] = [
  network("isolate one", async (field) => {
    isolate(field, field.random.pick(field.nodes));
    await field.hold(1_000, 2_500);
  }),
  network("isolate the leader", async (field) => {
    const leader = await field.leader();
    if (leader !== null) isolate(field, field.node(leader));
    await field.hold(1_000, 2_500);
  }),
  network("cut in halves", async (field) => {
    const shuffled = field.shuffled(field.nodes);
    const half = shuffled.slice(0, Math.floor(shuffled.length / 2));
    const rest = shuffled.filter((node) => !half.includes(node));
    for (const a of half) for (const b of rest) cut(field, a, b);
    await field.hold(1_000, 2_500);
  }),
  network("chain", async (field) => {
    // Each sees only its neighbours: the ends do not see each other.
    const chain = field.shuffled(field.nodes);
    for (const [at, a] of chain.entries()) for (const b of chain.slice(at + 2)) cut(field, a, b);
    await field.hold(1_000, 3_000);
  }),
  network("requests lost one way", async (field) => {
    const [from, ...others] = await leaderFirst(field);
    if (from === undefined) return;
    for (const to of field.random.chance(50) ? others : others.slice(0, 1)) {
      field.proxyOf(to).loseRequests(from.name);
    }
    await field.hold(1_000, 2_500);
  }),
  network("answers lost one way", async (field) => {
    const [to, ...others] = await leaderFirst(field);
    if (to === undefined) return;
    for (const from of others) field.proxyOf(to).loseAnswers(from.name);
    await field.hold(1_000, 2_500);
  }),
  network("slow links", async (field) => {
    for (const node of field.nodes) {
      const minMs = field.random.between(0, 40);
      field.proxyOf(node).slowDown({ minMs, maxMs: minMs + field.random.between(0, 80) });
    }
    await field.hold(1_000, 3_000);
  }),
  network("connections reset", async (field) => {
    for (let i = 0; i < 8 && !field.isOver; i++) {
      field.proxyOf(field.random.pick(field.nodes)).reset();
      await field.hold(50, 300);
    }
  }),
  {
    name: "old requests again",
    track: "replay",
    missing: null,
    strike: async (field) => {
      for (let i = 0; i < 15 && !field.isOver; i++) {
        await Promise.all(
          field.replayers.map((replayer) => replayer.replay(field.random.between(1, 8))),
        );
        await field.hold(10, 150);
      }
    },
  },
];

/** Whatever it does to the links is undone when it ends. */
function network(name: string, act: (field: Field) => Promise<void>): Nemesis {
  return {
    name,
    track: "network",
    missing: null,
    strike: async (field) => {
      await act(field);
      field.heal();
    },
  };
}

function cut(field: Field, a: ChaosNode, b: ChaosNode): void {
  field.proxyOf(a).cut(b.name);
  field.proxyOf(b).cut(a.name);
}

function isolate(field: Field, node: ChaosNode): void {
  for (const other of field.nodes) if (other !== node) cut(field, node, other);
}

/** All nodes, the leader first every other time. */
async function leaderFirst(field: Field): Promise<readonly ChaosNode[]> {
  const leader = field.random.chance(50) ? await field.leader() : null;
  const shuffled = field.shuffled(field.nodes);
  const first = shuffled.filter(({ name }) => name === leader);
  return [...first, ...shuffled.filter(({ name }) => name !== leader)];
}
