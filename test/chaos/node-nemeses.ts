/** Faults of single nodes: processes that die or stand still, and disks that fail them. */
import { canInject, FaultInjector } from "../integration/fault-injector.ts";
import type { ChaosNode } from "./chaos-node.ts";
import type { Field } from "./field.ts";
import type { Nemesis } from "./nemesis.ts";

/** The faults of nodes. `volumesMissing`: why nodes have no disks of their own, or null. */
export function nodeNemeses(volumesMissing: string | null): readonly Nemesis[] {
  const straceMissing = canInject() ? null : "no strace, or it may not look into other processes";
  return [
    ...processNemeses,
    onVolumes("power cut of one", 1, volumesMissing),
    onVolumes("power cut of several", 2, volumesMissing),
    onVolumes("power cut of all", Number.POSITIVE_INFINITY, volumesMissing),
    diskFull(volumesMissing),
    injected("slow fsync", straceMissing, (field) => {
      const effect = `delay_enter=${field.random.between(20, 150)}000`;
      return { effect, holdMs: [1_000, 3_000] };
    }),
    injected("hung fsync", straceMissing, () => {
      return { effect: "delay_enter=20000000", holdMs: [1_500, 3_000] };
    }),
    injected("failed fsync", straceMissing, () => ({ effect: "error=EIO", holdMs: [200, 800] })),
  ];
}

const processNemeses: readonly Nemesis[] = [
  onNodes("kill one", (field) => field.strike(1, "any", (nodes) => killFor(field, nodes))),
  onNodes("kill the leader", (field) =>
    field.strike(1, "leader", (nodes) => killFor(field, nodes)),
  ),
  onNodes("kill several", (field) =>
    field.strike(Math.ceil(field.nodes.length / 2), "leader", (nodes) => killFor(field, nodes)),
  ),
  onNodes("kill all", (field) =>
    field.strike(field.nodes.length, "any", (nodes) => killFor(field, nodes)),
  ),
  onNodes("pause one", (field) => field.strike(1, "any", (nodes) => pauseFor(field, nodes))),
  onNodes("pause the leader", (field) =>
    field.strike(1, "leader", (nodes) => pauseFor(field, nodes)),
  ),
  onNodes("pause several", (field) =>
    field.strike(Math.ceil(field.nodes.length / 2), "any", (nodes) => pauseFor(field, nodes)),
  ),
];

function onNodes(name: string, strike: (field: Field) => Promise<void>): Nemesis {
  return { name, track: "node", missing: null, strike };
}

async function killFor(field: Field, nodes: readonly ChaosNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill()));
  await comeBack(field, nodes);
}

/** One after another, and now and then without waiting for them: faults may meet their start. */
async function comeBack(field: Field, nodes: readonly ChaosNode[]): Promise<void> {
  for (const node of nodes) {
    await field.hold(0, 400);
    node.start();
  }
  if (field.random.chance(75)) await Promise.all(nodes.map((node) => node.comeBack()));
}

async function pauseFor(field: Field, nodes: readonly ChaosNode[]): Promise<void> {
  for (const node of nodes) node.pause();
  await field.hold(200, 2_000);
  for (const node of nodes) node.resume();
}

function onVolumes(name: string, count: number, missing: string | null): Nemesis {
  const strike = (field: Field) =>
    field.strike(Math.min(count, field.nodes.length), "leader", async (nodes) => {
      await Promise.all(nodes.map((node) => node.cutPower()));
      await comeBack(field, nodes);
    });
  return { name, track: "node", missing, strike };
}

function diskFull(missing: string | null): Nemesis {
  const strike = (field: Field) =>
    field.strike(1, "leader", async ([node]) => {
      if (node === undefined) return;
      node.hurtDisk();
      await node.volume?.fill();
      await field.hold(500, 2_000);
      await node.healDisk();
    });
  return { name: "disk full", track: "node", missing, strike };
}

interface Injection {
  readonly effect: string;
  readonly holdMs: readonly [number, number];
}

/** Does something to the fsyncs of one node. */
function injected(
  name: string,
  missing: string | null,
  choose: (field: Field) => Injection,
): Nemesis {
  const strike = (field: Field) =>
    field.strike(1, field.random.chance(50) ? "leader" : "any", async ([node]) => {
      if (node === undefined) return;
      await node.answers();
      const { effect, holdMs } = choose(field);
      node.hurtDisk();
      const injector = await FaultInjector.attach(node.pid, effect);
      await field.hold(...holdMs);
      await injector.detach();
      await node.healDisk();
    });
  return { name, track: "node", missing, strike };
}
