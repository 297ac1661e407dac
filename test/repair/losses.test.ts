/** Who lost what, and who was away meanwhile: an acknowledged write is there, or nobody answers. */
import { describe, expect, test } from "vitest";
import { coreOf, type SimNode } from "../sim/sim-node.ts";
import { World } from "./world.ts";

/** Three nodes with a log, and no disk damaged so far. */
function cluster(seed: string): World {
  const world = new World(seed);
  world.startAll();
  for (let i = 0; i < 5; i++) world.write("key", `value ${i}`);
  world.mustBecome("all have the same", () => world.isWhole);
  return world;
}

function linksOf(world: World, node: SimNode): string[] {
  const others = world.nodes.filter((other) => other !== node);
  return others.flatMap(({ id }) => [`${id}>${node.id}`, `${node.id}>${id}`]);
}

const IDS = ["n1", "n2", "n3"];
/** Every way to give the three their parts. */
const parts = IDS.flatMap((wiped) =>
  IDS.filter((id) => id !== wiped).map((stopped) => {
    const absent = IDS.find((id) => id !== wiped && id !== stopped) ?? "";
    return { wiped, stopped, absent };
  }),
);

/** One of the two that have the write is stopped, and the other has lost it: only one is left. */
function lostButForOne(
  { wiped, stopped, absent }: (typeof parts)[number],
  how: "disk" | "bit",
): World {
  const world = cluster(`${wiped}${stopped}${how}`);
  const [lost, holder, away] = [wiped, stopped, absent].map((id) => world.node(id));
  if (!lost || !holder || !away) throw new Error("three nodes");
  world.network.partition(linksOf(world, away));
  const isFollowed = () => world.leader !== null && world.leader !== away;
  world.mustBecome("one of the two leads", isFollowed);
  expect(world.write("key", "acknowledged by two")).toBe(true);
  lost.stop("power");
  holder.stop("power");
  if (how === "disk") lost.lose("disk");
  else damageLog(lost);
  world.network.partition([]);
  lost.start();
  world.mustBecome("it is up", () => lost.isUp);
  return world;
}

/** In the middle of the newest segment. */
function damageLog({ disk }: SimNode): void {
  const name = disk.list().findLast((each) => each.startsWith("wal-")) ?? "";
  const bytes = disk.read(name);
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
  disk.corrupt(name, bytes);
}

describe.each(["disk", "bit"] as const)("one lost its %s, another is stopped (A9)", (how) => {
  test.each(parts)("%o: unavailable, and then nothing is lost", (part) => {
    const world = lostButForOne(part, how);
    const absent = world.node(part.absent);
    // The one who is left lacks the write, and the wiped one must not help it to lead.
    expect(world.write("key", "too early", 10_000)).toBe(false);
    expect(coreOf(world.node(part.wiped)).doubt).not.toBe(null);
    expect(world.read(absent, "key")).toBe("value 4");

    world.node(part.stopped).start();
    world.mustBecome("all are whole", () => world.isWhole);
    for (const node of world.nodes) {
      expect(["acknowledged by two", "too early"]).toContain(world.read(node, "key"));
    }
    const values = world.nodes.map((node) => world.read(node, "key"));
    expect(new Set(values).size).toBe(1);
  });
});

describe("two of three have lost something", () => {
  test.each(["disk", "bit"] as const)("(%s): nobody is certain, so nothing goes on", (how) => {
    const world = cluster(`two/${how}`);
    for (const node of world.nodes) node.stop("power");
    const [first, second, third] = world.nodes;
    if (!first || !second || !third) throw new Error("three nodes");
    for (const node of [first, second]) {
      if (how === "disk") node.lose("disk");
      else damageLog(node);
    }
    world.startAll();
    world.mustBecome("all are up", () => world.nodes.every(({ isUp }) => isUp));
    expect(world.write("key", "never", 20_000)).toBe(false);
    expect([first, second].map((node) => coreOf(node).doubt !== null)).toEqual([true, true]);
    expect(coreOf(third).doubt).toBe(null);
    expect(world.leader).toBe(null);
    // Nothing of what is left was lost.
    expect(coreOf(third).log.lastIndex).toBeGreaterThanOrEqual(5);
  });
});

test("each loses its disk once, one after another, and is made good each time", () => {
  const world = cluster("one by one");
  for (const node of world.nodes) {
    node.stop("power");
    node.lose("disk");
    expect(world.write("key", `while ${node.id} was away`)).toBe(true);
    node.start();
    world.mustBecome("all are whole", () => world.isWhole);
    expect(world.read(node, "key")).toBe(`while ${node.id} was away`);
  }
});
