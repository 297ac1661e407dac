/** What one simulated run is like: every seed draws its own. Limits are tiny, so they matter. */
import type { Prng } from "../../src/lib/random.ts";

export interface SimOptions {
  readonly nodes: number;
  readonly clients: number;
  readonly keys: number;
  /** Network: percentages and milliseconds. */
  readonly lossPercent: number;
  readonly repeatPercent: number;
  readonly delayMaxMs: number;
  /** Repeats may come this much later. */
  readonly repeatDelayMaxMs: number;
  readonly diskMaxMs: number;
  readonly slowDiskPercent: number;
  /** How often something goes wrong, in milliseconds; 0: nothing ever does. */
  readonly trouble: {
    readonly everyMs: number;
    readonly crashes: boolean;
    readonly powerCuts: boolean;
    readonly pauses: boolean;
    readonly partitions: boolean;
    readonly hungDisks: boolean;
    /** Of nodes that die, in percent: their disk is lost, or damaged. */
    readonly lossesPercent: number;
  };
  readonly appendEntriesMax: number;
  readonly appendBytesMax: number;
  readonly windowMessages: number;
  readonly snapshotEntries: number;
  readonly trailingEntries: number;
  readonly segmentBytesMax: number;
  readonly snapshotChunkBytes: number;
}

/** What is drawn for the cluster as a whole; a single node knows nothing of it. */
export interface SwarmOptions extends SimOptions {
  /** Each node's clock runs at one of these rates. */
  readonly clockRates: readonly number[];
  /** How many new leaders, in percent, are killed or cut off soon after their election. */
  readonly deposePercent: number;
}

export function drawOptions(random: Prng): SwarmOptions {
  return {
    nodes: random.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]),
    clients: random.between(1, 6),
    keys: random.between(1, 4),
    lossPercent: random.pick([0, 0, 1, 5, 20, 30]),
    repeatPercent: random.pick([0, 0, 5, 20]),
    delayMaxMs: random.pick([1, 5, 20, 50]),
    repeatDelayMaxMs: random.pick([10, 1_000, 10_000]),
    diskMaxMs: random.pick([1, 3, 10, 30]),
    slowDiskPercent: random.pick([0, 0, 2, 10]),
    clockRates: random.pick([[1], [0.9, 1, 1.1], [0.8, 1, 1.25]]),
    deposePercent: random.pick([0, 0, 50, 90]),
    trouble: {
      everyMs: random.pick([0, 300, 1_000, 3_000, 10_000]),
      crashes: random.chance(70),
      powerCuts: random.chance(60),
      pauses: random.chance(50),
      partitions: random.chance(70),
      hungDisks: random.chance(30),
      lossesPercent: random.pick([0, 0, 10, 50]),
    },
    appendEntriesMax: random.pick([1, 2, 3, 100]),
    appendBytesMax: random.pick([1, 200, 10_000]),
    windowMessages: random.pick([1, 2, 5, 100]),
    snapshotEntries: random.pick([5, 10, 50, 1_000]),
    trailingEntries: random.pick([0, 3, 20]),
    segmentBytesMax: random.pick([600, 4_096, 100_000]),
    snapshotChunkBytes: random.pick([64, 500, 10_000]),
  };
}
