/** A source of choices that, run after run, makes every combination of them once. */
import { assert } from "../../src/lib/assert.ts";
import type { Random } from "../../src/lib/random.ts";

/** Drives the same deterministic code through all its paths. See `everyPath`. */
class Exhaustive implements Random {
  private readonly path: { choice: number; readonly bound: number }[] = [];
  private depth = 0;

  below(bound: number): number {
    const known = this.path[this.depth];
    if (known !== undefined) assert(known.bound === bound, "the code is not deterministic");
    else this.path.push({ choice: 0, bound });
    return this.path[this.depth++]?.choice ?? 0;
  }

  /** Goes on to the next combination; false when all were made. */
  advance(): boolean {
    this.depth = 0;
    for (let last = this.path.at(-1); last !== undefined; last = this.path.at(-1)) {
      if (++last.choice < last.bound) return true;
      this.path.pop();
    }
    return false;
  }
}

/** Calls `run` once for each combination of choices that it can make. Returns how many. */
export function everyPath(run: (random: Random) => void): number {
  const random = new Exhaustive();
  let count = 0;
  do {
    run(random);
    count++;
  } while (random.advance());
  return count;
}
