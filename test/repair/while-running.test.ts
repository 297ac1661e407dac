/**
 * Files are damaged under a node that runs: it finds out by itself, and writes them anew from its
 * memory, while it goes on serving (W13).
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng, type Random } from "../../src/lib/random.ts";
import { DamageError } from "../../src/storage/storage-error.ts";
import { openRig } from "../storage/fixtures.ts";
import { coreOf, type SimNode } from "../sim/sim-node.ts";
import { nothingIsDamaged } from "./verify.ts";
import { filesOf, World } from "./world.ts";

const SECONDS = 6;
const loseAll: Random = { below: (bound) => bound - 1 };
const loseNothing: Random = { below: () => 0 };

/** A little less than there is between two rounds of looking at everything. */
const PAUSE_MS = 59_500;

/** A cluster that has written for a while, where each node is about to look at all its files. */
function running(seed: string): World {
  const world = new World(seed);
  world.startAll();
  for (let i = 0; i < 20; i++) world.write(`key${i % 4}`, `value ${i}`);
  world.mustBecome("all have the same", () => world.isWhole);
  const isOnce = ({ life }: SimNode) => life?.scrub.counters().rounds === 1;
  world.mustBecome("each has looked once", () => world.nodes.every(isOnce));
  const { now } = world.events;
  world.runUntil(() => world.events.now > now + PAUSE_MS, PAUSE_MS);
  for (const node of world.nodes) node.hasFlipped = true;
  return world;
}

function flip({ disk }: SimNode, name: string, at: number): void {
  const bytes = disk.read(name);
  bytes[at] = (bytes[at] ?? 0) ^ 0x20;
  disk.corrupt(name, bytes);
}

function damagesOf(node: SimNode): number {
  return must(node.life, "it runs").scrub.counters().damages;
}

/** Until the damage was found, healed, and everything read again. */
function healed(world: World, node: SimNode): void {
  world.mustBecome("the damage is found", () => damagesOf(node) > 0);
  const { scrub } = must(node.life, "it never stopped");
  const { rounds } = scrub.counters();
  world.mustBecome("everything was read again", () => scrub.counters().rounds > rounds);
  expect(scrub.counters().damages).toBe(1);
  expect(world.lines.filter((line) => line.includes('"type":"healed"')).length).toBe(1);
  nothingIsDamaged(node);
}

test(`any byte, on the leader or another, for ${SECONDS} s`, () => {
  const random = new Prng("while it runs");
  const endsAt = performance.now() + SECONDS * 1_000;
  let tried = 0;
  for (; performance.now() < endsAt; tried++) {
    const world = running(String(tried));
    const node = random.pick(world.nodes);
    const files = [...filesOf(node.disk)].filter(([name]) => /^(wal|snapshot)-/.test(name));
    const [name, bytes] = random.pick(files);
    const at = random.below(bytes.length);
    flip(node, name, at);
    try {
      expect(world.write("key1", "written meanwhile")).toBe(true);
      healed(world, node);
      world.mustBecome("all have the same", () => world.isWhole);
      expect(world.nodes.map((each) => world.read(each, "key1"))).toEqual(
        world.nodes.map(() => "written meanwhile"),
      );
      restartsWhole(world, node);
    } catch (cause) {
      throw new Error(`byte ${at} of ${name} of ${node.id}, ${tried}`, { cause });
    }
  }
  console.info(`${tried} bytes were damaged under a running node, and healed`);
  expect(tried).toBeGreaterThan(20);
}, 60_000);

/** It needs no help, and has all that it had. */
function restartsWhole(world: World, node: SimNode): void {
  const { lastIndex } = coreOf(node).log;
  node.stop("power");
  node.start();
  world.mustBecome("it is up", () => node.isUp);
  expect(coreOf(node).doubt).toBe(null);
  expect(coreOf(node).log.lastIndex).toBeGreaterThanOrEqual(lastIndex);
  world.mustBecome("all are whole", () => world.isWhole);
}

describe("a crash while it is healed leaves either the damage or all that was promised", () => {
  test.each(["oldest segment", "newest segment", "newest snapshot", "older snapshot"])(
    "of the %s",
    (what) => {
      const world = running(`crash ${what}`);
      const node = world.node("n2");
      const kind = what.endsWith("segment") ? "wal" : "snapshot";
      const names = node.disk.list().filter((name) => new RegExp(`^${kind}-.*[gp]$`).test(name));
      const name = must((/^(older|oldest)/.test(what) ? names[0] : names.at(-1)) ?? null, "some");
      flip(node, name, node.disk.read(name).length - 30);
      world.mustBecome("the damage is found", () => damagesOf(node) > 0);
      const outcomes = { damaged: 0, whole: 0 };
      let writes = 0;
      let submittedAt = 0;
      const isOver = () => {
        for (const lose of [loseAll, loseNothing]) outcomes[afterCrash(node, lose)] += 1;
        if (world.events.now > submittedAt) world.submit("key3", `meanwhile ${writes++}`);
        submittedAt = world.events.now;
        return world.lines.some((line) => line.includes('"type":"healed"'));
      };
      world.mustBecome("it is healed", isOver);
      // What has been healed stays so, whatever removals a crash undoes.
      for (let i = 0; i < 200; i++) {
        if (i % 7 === 0) world.submit("key3", `afterwards ${i}`);
        world.events.step();
        for (const lose of [loseAll, loseNothing]) expect(afterCrash(node, lose)).toBe("whole");
      }
      expect(outcomes.whole).toBeGreaterThan(0);
      if (kind === "wal") expect(outcomes.damaged).toBeGreaterThan(0);
      expect(writes).toBeGreaterThan(1);
      nothingIsDamaged(node);
    },
  );
});

function afterCrash(node: SimNode, lose: Random): "damaged" | "whole" {
  const { log, term, termIsDurable } = coreOf(node);
  const disk = node.disk.fork(() => {});
  disk.powerCut(lose);
  try {
    const { saved } = openRig(disk).storage;
    expect((saved.entries.at(-1) ?? saved.base).index).toBeGreaterThanOrEqual(log.durable);
    if (termIsDurable) expect(saved.hardState.term).toBe(term);
    return "whole";
  } catch (error) {
    if (error instanceof DamageError) return "damaged";
    throw error;
  }
}
