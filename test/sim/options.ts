/** What one simulated run is like: every seed draws its own. Limits are tiny, so they matter. */
import type { Prng } from "../../src/lib/random.ts";

/** What a single node and the network need to know. */
export interface SimOptions {
  readonly nodes: number;
  /** Network: percentages and milliseconds. */
  readonly lossPercent: number;
  readonly repeatPercent: number;
  readonly delayMaxMs: number;
  /** Repeats may come this much later. */
  readonly repeatDelayMaxMs: number;
  /** Messages under way in one direction between two nodes: more are dropped. */
  readonly linkMessagesMax: number;
  readonly diskMaxMs: number;
  readonly slowDiskPercent: number;
  readonly appendEntriesMax: number;
  readonly appendBytesMax: number;
  readonly windowMessages: number;
  readonly snapshotEntries: number;
  readonly trailingEntries: number;
  readonly segmentBytesMax: number;
  readonly snapshotChunkBytes: number;
}

/** What goes wrong, and for how long. */
export interface TroubleOptions {
  /** After that, all is well, and must become so. */
  readonly lastsMs: number;
  /** On average; 0: nothing ever does. */
  readonly everyMs: number;
  readonly crashes: boolean;
  readonly powerCuts: boolean;
  readonly pauses: boolean;
  readonly partitions: boolean;
  /** Links that carry nothing for a while, and then all of it. */
  readonly clogs: boolean;
  readonly hungDisks: boolean;
  /** Disks on which a write, an fsync or a read fails. */
  readonly failingDisks: boolean;
  /** Of nodes that die, in percent: their disk is lost, or damaged. */
  readonly lossesPercent: number;
  /** How many new leaders, in percent, are killed or cut off soon after their election. */
  readonly deposePercent: number;
}

/** What is drawn for the cluster as a whole. */
export interface SwarmOptions extends SimOptions {
  readonly clients: number;
  readonly keys: number;
  /** Between two requests of a client, at most. */
  readonly clientPauseMaxMs: number;
  /** Of all requests, in percent: others than a get, a put or a delete of one key. */
  readonly wholeApiPercent: number;
  /** Each node's clock runs at one of these rates. */
  readonly clockRates: readonly number[];
  readonly trouble: TroubleOptions;
}

export function drawOptions(random: Prng): SwarmOptions {
  return {
    nodes: random.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]),
    clients: random.between(1, 6),
    keys: random.between(1, 4),
    clientPauseMaxMs: random.pick([5, 60, 60, 300]),
    lossPercent: random.pick([0, 0, 1, 5, 20, 30]),
    repeatPercent: random.pick([0, 0, 5, 20, 50]),
    delayMaxMs: random.pick([1, 5, 20, 50]),
    repeatDelayMaxMs: random.pick([10, 1_000, 10_000, 90_000]),
    linkMessagesMax: random.pick([2, 20, 1_000, 1_000]),
    diskMaxMs: random.pick([1, 3, 10, 30]),
    slowDiskPercent: random.pick([0, 0, 2, 10]),
    clockRates: random.pick([[1], [0.9, 1, 1.1], [0.8, 1, 1.25]]),
    trouble: {
      lastsMs: random.pick([...Array<number>(15).fill(12_000), 100_000]),
      everyMs: random.pick([0, 100, 300, 300, 1_000, 3_000]),
      crashes: random.chance(70),
      powerCuts: random.chance(60),
      pauses: random.chance(50),
      partitions: random.chance(70),
      clogs: random.chance(30),
      hungDisks: random.chance(30),
      failingDisks: random.chance(30),
      lossesPercent: random.pick([0, 0, 10, 50]),
      deposePercent: random.pick([0, 0, 50, 90]),
    },
    appendEntriesMax: random.pick([1, 2, 3, 100]),
    appendBytesMax: random.pick([1, 200, 10_000]),
    windowMessages: random.pick([1, 2, 5, 100]),
    snapshotEntries: random.pick([5, 10, 50, 1_000]),
    trailingEntries: random.pick([0, 3, 20]),
    segmentBytesMax: random.pick([600, 4_096, 100_000]),
    snapshotChunkBytes: random.pick([64, 500, 10_000]),
    wholeApiPercent: random.pick([0, 30, 60, 90]),
  };
}
