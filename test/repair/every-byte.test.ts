/**
 * One bit of any byte on one node's disk flips while the node is down: with the others' help it
 * must come back whole, whatever that byte was, and nothing may be lost or read wrongly (A8, W2,
 * W10, S8, P4).
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { nothingIsDamaged } from "./verify.ts";
import { type Acknowledged, type Files, usualCluster, World } from "./world.ts";

/** Seconds for it; 0: until every byte was tried. */
const SECONDS = Number(process.env["REPAIR_SECONDS"] ?? 40);
const ALL_MS = 3_600_000;

const usual = usualCluster();
const [first, ...others] = usual.disks;
const whole = must(first ?? null, "three");

/** Starts the cluster with another disk for n1, and waits until it is as it should be. */
function heals(seed: string, damaged: Files): void {
  const world = new World(seed, [damaged, ...others]);
  world.startAll();
  world.mustBecome("all are whole", () => world.isWhole);
  expectAll(world, usual.acknowledged);
  // Not with n3: with the one that was damaged.
  world.node("n3").stop("power");
  const more = new Map([...usual.acknowledged, ["key1", "one more"]]);
  expect(world.write("key1", "one more"), world.lines.join("\n")).toBe(true);
  world.node("n3").start();
  world.mustBecome("all are whole again", () => world.isWhole);
  expectAll(world, more);
  const n1 = world.node("n1");
  const { scrub } = must(n1.life, "it runs");
  world.mustBecome("all of it was read", () => scrub.counters().rounds > 0);
  nothingIsDamaged(n1);
}

function expectAll(world: World, acknowledged: Acknowledged): void {
  for (const node of world.nodes) {
    for (const [key, value] of acknowledged) {
      const found = world.read(node, key);
      if (found !== value) throw new Error(`${node.id}: ${key} is ${found}, not ${value}`);
    }
  }
}

function flipped(name: string, at: number, bit: number): Files {
  const bytes = must(whole.get(name) ?? null, "a file").slice();
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return new Map([...whole, [name, bytes]]);
}

test("there are some segments and two snapshots to be damaged", () => {
  const count = (pattern: RegExp) => [...whole.keys()].filter((name) => pattern.test(name)).length;
  expect(count(/^wal-/)).toBeGreaterThan(1);
  expect(count(/^snapshot-/)).toBe(2);
  expect(count(/^identity/)).toBe(1);
});

test(
  `a flipped bit in any byte heals (${SECONDS === 0 ? "all of them" : `${SECONDS} s`})`,
  () => {
    const places = [...whole].flatMap(([name, bytes]) =>
      Array.from({ length: bytes.length }, (_, at) => ({ name, at })),
    );
    const random = new Prng("every byte");
    shuffle(places, random);
    const endsAt = performance.now() + (SECONDS === 0 ? ALL_MS : SECONDS * 1_000);
    let tried = 0;
    for (const { name, at } of places) {
      const bit = random.below(8);
      try {
        heals(`${name}/${at}`, flipped(name, at, bit));
      } catch (cause) {
        throw new Error(`bit ${bit} of byte ${at} of ${name}`, { cause });
      }
      tried++;
      if (performance.now() > endsAt) break;
    }
    console.info(`${tried} of ${places.length} bytes were damaged, and healed`);
    expect(tried).toBeGreaterThan(Math.min(200, places.length - 1));
  },
  SECONDS === 0 ? ALL_MS : SECONDS * 1_000 + 30_000,
);

describe("what is cut off, lost or exchanged heals", () => {
  const names = [...whole.keys()].filter((name) => name !== "identity.json");

  test.each(names)("%s is gone", (name) => {
    const rest = new Map(whole);
    rest.delete(name);
    heals(`gone/${name}`, rest);
  });

  test.each([...whole.keys()])("%s is cut off, anywhere", (name) => {
    const bytes = must(whole.get(name) ?? null, "a file");
    for (let length = 0; length < bytes.length; length += 307) {
      // A last append that is missing entirely cannot be noticed: it is as if it never was.
      heals(`cut/${name}/${length}`, new Map([...whole, [name, bytes.slice(0, length)]]));
    }
  });

  test("the whole log is gone, and all snapshots are gone", () => {
    for (const pattern of [/^wal-/, /^snapshot-/]) {
      heals(String(pattern), new Map([...whole].filter(([name]) => !pattern.test(name))));
    }
  });
});

function shuffle<T>(list: T[], random: Prng): void {
  for (let last = list.length - 1; last > 0; last--) {
    const at = random.below(last + 1);
    [list[last], list[at]] = [list[at] as T, list[last] as T];
  }
}
