/** Prefixes: all that a key begins with are found, and no others. */
import { expect, test } from "vitest";
import { Prefixes } from "../../src/watch/prefixes.ts";
import { prng } from "./world.ts";

function foundIn(prefixes: Prefixes<number>, key: string): number[] {
  const found: number[] = [];
  prefixes.visit(key, (thing) => found.push(thing));
  return found.sort((a, b) => a - b);
}

test.each([1, 2, 3])("finds what a look at all of them finds (seed %i)", (seed) => {
  const random = prng(seed);
  const prefixes = new Prefixes<number>();
  const present = new Map<number, string>();
  const draw = () =>
    Array.from({ length: random.below(7) }, () => random.pick(["a", "b", "\u00ff"])).join("");
  let found = 0;
  for (let step = 0; step < 3_000; step++) {
    if (random.chance(55) || present.size === 0) {
      const prefix = draw();
      present.set(step, prefix);
      prefixes.add(prefix, step);
    } else {
      const [thing, prefix] = random.pick([...present]);
      present.delete(thing);
      prefixes.delete(prefix, thing);
    }
    const key = draw();
    const expected = [...present].filter(([, prefix]) => key.startsWith(prefix));
    found += expected.length;
    expect(foundIn(prefixes, key)).toEqual(expected.map(([thing]) => thing).sort((a, b) => a - b));
  }
  expect(found).toBeGreaterThan(1_000);
});

test("of many prefixes of as many lengths, only those of the key are found", () => {
  const prefixes = new Prefixes<number>();
  for (let length = 1; length <= 1_024; length++) prefixes.add(`${"k".repeat(length)}/`, length);
  expect(foundIn(prefixes, `${"k".repeat(700)}/x`)).toEqual([700]);
  expect(foundIn(prefixes, "k".repeat(700))).toEqual([]);
});
