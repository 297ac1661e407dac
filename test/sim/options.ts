/** What one simulated run is like: every seed draws its own. Limits are tiny, so they matter. */
import type { Prng } from "../../src/lib/random.ts";

export const ELECTION_MS = 300;
/** More names than this make a run slow, and show nothing new. */
const NAMES_MAX = 8;

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
  /** How often somebody asks for other members, on average; 0: never. */
  readonly changeEveryMs: number;
  /** How often somebody asks for another leader, on average; 0: never. */
  readonly transferEveryMs: number;
}

/** What is drawn for the cluster as a whole. */
export interface SwarmOptions extends SimOptions {
  /** How many names there are besides those of the founders: others may join under them. */
  readonly spares: number;
  /** For how long a leader answers reads by itself; 0: never. Within what clocks differ by. */
  readonly leaseMs: number;
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

/** What was drawn before members could change: drawn first, so that seeds stay as they were. */
type FixedOptions = Omit<SwarmOptions, "spares" | "leaseMs" | "trouble"> & {
  readonly trouble: Omit<TroubleOptions, "changeEveryMs" | "transferEveryMs">;
};

const BUSY_TRANSFER_MS = 300;
const BUSY = {
  clients: 6,
  clientPauseMaxMs: 5,
  keys: 1,
  wholeApiPercent: 0,
  lossPercent: 0,
  diskMaxMs: 1,
  slowDiskPercent: 0,
};

export function drawOptions(random: Prng): SwarmOptions {
  const fixed = drawFixed(random);
  const changes = random.chance(65);
  const spares = random.between(2, 4);
  const changeEveryMs = random.pick([200, 500, 1_000, 2_000]);
  const transferEveryMs = random.pick([0, 200, 1_000, 5_000]);
  const leases = random.chance(50);
  // What is wrong with a lease shows only to whoever reads in the few moments that it is too long.
  const isBusy = leases && random.chance(40);
  const { clockRates, nodes } = fixed;
  // A slow leader's lease has to end before a fast follower's loyalty does (R6).
  const skew = Math.max(...clockRates) / Math.min(...clockRates);
  const leaseMs = Math.floor(ELECTION_MS / skew) - 1;
  return {
    ...fixed,
    ...(isBusy ? BUSY : {}),
    spares: changes ? Math.min(spares, NAMES_MAX - nodes) : 0,
    leaseMs: leases ? leaseMs : 0,
    trouble: {
      ...fixed.trouble,
      crashes: fixed.trouble.crashes || isBusy,
      changeEveryMs: changes ? changeEveryMs : 0,
      transferEveryMs: isBusy ? BUSY_TRANSFER_MS : transferEveryMs,
    },
  };
}

function drawFixed(random: Prng): FixedOptions {
  return {
    nodes: random.pick([1, 2, 3, 3, 3, 4, 5, 5, 7]),
    clients: random.between(1, 6),
    keys: random.between(1, 4),
    clientPauseMaxMs: random.pick([5, 60, 60, 300]),
    lossPercent: random.pick([0, 0, 1, 5, 20, 30]),
    repeatPercent: random.pick([0, 0, 5, 20, 50]),
    delayMaxMs: random.pick([1, 5, 20, 50]),
    repeatDelayMaxMs: random.pick([10, 1_000, 10_000, 90_000, 90_000]),
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
