/**
 * Feeds targets with damaged inputs, watches what must hold for all of them, and reduces an input
 * that breaks something to the part that matters.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { Mutator } from "./mutator.ts";
import type { Target } from "./target.ts";

/** No input may hold the event loop for longer. */
export const STALL_MS = 50;
/** A machine that does other things too may be slow once, but not every time. */
const STALL_TRIES = 4;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const BATCH = 200;
const REDUCTION_MS = 5_000;
const SHOWN_BYTES = 1_000;
const MIB = 1024 * 1024;

export interface Tally {
  readonly name: string;
  readonly inputs: number;
  readonly accepted: number;
  readonly slowestMs: number;
}

/** An input that broke something, reduced. */
export class Finding extends Error {
  override readonly name = "Finding";

  constructor(target: string, seed: string, input: Uint8Array, cause: unknown) {
    const hex = Buffer.from(input.subarray(0, SHOWN_BYTES)).toString("hex");
    super(`${target}, seed ${seed}: ${textOf(cause)}; ${input.length} bytes: ${hex}`, { cause });
  }
}

/** One target, under one seed. */
export class Fuzz {
  readonly target: Target;
  readonly seed: string;
  private readonly mutator: Mutator;
  private inputs = 0;
  private accepted = 0;
  private slowestMs = 0;

  constructor(target: Target, seed: string) {
    this.target = target;
    this.seed = seed;
    this.mutator = new Mutator(new Prng(`${seed}/${target.name}`));
  }

  get tally(): Tally {
    const { inputs, accepted, slowestMs } = this;
    return { name: this.target.name, inputs, accepted, slowestMs };
  }

  /** Runs a batch of inputs. Throws a Finding at the first that breaks something. */
  batch(): void {
    for (let left = BATCH; left > 0; left--) {
      const input = this.target.next(this.mutator);
      const failure = this.failureOf(input);
      if (failure !== null) {
        const reduced = reduce(input, (smaller) => this.failureOf(smaller) === failure);
        throw new Finding(this.target.name, this.seed, reduced, failure);
      }
    }
    assertPrototypesAreClean();
  }

  /** What is wrong with how the target takes the input, in words; null: nothing. */
  private failureOf(input: Uint8Array): string | null {
    this.inputs += 1;
    try {
      const startedAt = performance.now();
      if (this.target.run(input)) this.accepted += 1;
      const tookMs = performance.now() - startedAt;
      if (tookMs > STALL_MS && this.isAlwaysSlow(input)) return "it takes too long";
      if (tookMs <= STALL_MS) this.slowestMs = Math.max(this.slowestMs, tookMs);
      return null;
    } catch (error) {
      return textOf(error);
    }
  }

  private isAlwaysSlow(input: Uint8Array): boolean {
    for (let left = STALL_TRIES; left > 0; left--) {
      const startedAt = performance.now();
      this.target.run(input);
      if (performance.now() - startedAt <= STALL_MS) return false;
    }
    return true;
  }
}

/**
 * Runs all targets in turns for so long. `onTurn` is called after each turn of all of them. Throws
 * a Finding, or an AssertionError where memory grows.
 */
export function fuzzAll(
  targets: readonly Target[],
  { seed, seconds }: { readonly seed: string; readonly seconds: number },
  onTurn: (tallies: readonly Tally[]) => void = () => {},
): readonly Tally[] {
  const endsAt = performance.now() + seconds * 1_000;
  const runs = targets.map((target) => new Fuzz(target, seed));
  const heap = new HeapWatch();
  const tallies = () => runs.map(({ tally }) => tally);
  do {
    for (const run of runs) run.batch();
    heap.look();
    onTurn(tallies());
  } while (performance.now() < endsAt);
  heap.end();
  return tallies();
}

/** Cuts pieces out of an input for as long as it still fails, and for a few seconds at most. */
export function reduce(input: Uint8Array, fails: (smaller: Uint8Array) => boolean): Uint8Array {
  const endsAt = performance.now() + REDUCTION_MS;
  let smallest = input;
  for (let size = input.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < smallest.length && performance.now() < endsAt; ) {
      const smaller = Uint8Array.from([
        ...smallest.subarray(0, at),
        ...smallest.subarray(at + size),
      ]);
      if (fails(smaller)) smallest = smaller;
      else at += size;
    }
  }
  return smallest;
}

/** Nothing that came from outside may become a part of every object. */
export function assertPrototypesAreClean(): void {
  for (const prototype of [Object.prototype, Array.prototype, Uint8Array.prototype]) {
    assert(Object.keys(prototype).length === 0, "a prototype was changed");
  }
  assert(!("x" in {}) && !("a" in {}), "every object has a new property");
}

/** Memory in use after a collection, from when everything has run once. */
export class HeapWatch {
  private static readonly growthMaxBytes = 24 * MIB;
  private static readonly warmUpTurns = 20;
  private turns = 0;
  private baseline = 0;

  look(): void {
    this.turns += 1;
    if (this.turns === HeapWatch.warmUpTurns) this.baseline = heapInUse();
  }

  /** Throws AssertionError where more is in use than after the first turns. */
  end(): void {
    if (this.turns <= HeapWatch.warmUpTurns) return;
    const growth = heapInUse() - this.baseline;
    const mib = () => `${(growth / MIB).toFixed(1)} MiB more are in use than before`;
    assert(growth < HeapWatch.growthMaxBytes, mib);
  }
}

function heapInUse(): number {
  collect();
  // What byte arrays had is given back by the collection after the one that has found them.
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
