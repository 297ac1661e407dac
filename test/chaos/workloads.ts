/** All that runs beside the load of single keys, and what is to be said of it at the end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent } from "undici";
import type { Prng } from "../../src/lib/random.ts";
import { BankWork } from "./bank-work.ts";
import type { OnDisk } from "./changes.ts";
import { CountWork } from "./count-work.ts";
import { LeaseWork } from "./lease-work.ts";
import { LockWork } from "./lock-work.ts";
import { type Acknowledged, contradictions, untold } from "./watch-checks.ts";
import { WatchWork } from "./watch-work.ts";
import type { Feat, Workload } from "./workload.ts";

export interface WorkloadsOptions {
  /** Where the nodes serve clients. */
  readonly urls: readonly string[];
  readonly random: Prng;
}

/** Each client has one request under way at most. */
const CONNECTIONS = 32;

/** Begins on an empty store that serves. */
export class Workloads {
  readonly #requests = new Agent({ connections: CONNECTIONS, pipelining: 1 });
  /** Streams wait for as long as nothing happens. */
  readonly #streams = new Agent({ bodyTimeout: 0, pipelining: 0 });
  readonly #all: readonly Workload[];
  readonly #watches: WatchWork;

  constructor({ urls, random }: WorkloadsOptions) {
    this.#watches = new WatchWork({ urls, random, agent: this.#streams });
    const ground = { urls, random, agent: this.#requests };
    this.#all = [
      new BankWork(ground),
      new CountWork(ground),
      new LeaseWork(ground),
      new LockWork(ground),
    ];
  }

  /** What was done, one line for each. */
  get feats(): readonly Feat[] {
    return [...this.#all.flatMap(({ feats }) => feats), ...this.#watches.feats];
  }

  /** Ends all that writes, while all nodes serve. After that nothing changes any more. */
  async finish(): Promise<void> {
    await Promise.all(this.#all.map((workload) => workload.finish()));
    await this.#requests.destroy();
  }

  /** Ends the watches, when they were told of everything up to `revision`: the last change. */
  async finishWatches(revision: number): Promise<void> {
    await this.#watches.finish(revision);
    await this.#streams.destroy();
  }

  /**
   * Everything that is wrong, in words. Null for what the disks say: they were not read.
   * `acknowledged`: what other writers were told; `seconds`: how long all of it took.
   */
  problems({
    onDisk,
    acknowledged,
    seconds,
  }: {
    readonly onDisk: OnDisk | null;
    readonly acknowledged: readonly Acknowledged[];
    readonly seconds: number;
  }): readonly string[] {
    const { history } = this.#watches;
    const { since, changes } = onDisk ?? { since: Number.POSITIVE_INFINITY, changes: [] };
    return [
      ...tooLittle(this.feats, seconds),
      ...this.#watches.problems(onDisk?.since ?? 0).map((problem) => `watches: ${problem}`),
      ...contradictions(history, changes, since).map((problem) => `watches: ${problem}`),
      ...untold(acknowledged, history).map((problem) => `watches: ${problem}`),
      ...this.#all.flatMap((workload) =>
        workload.problems(history).map((problem) => `${workload.name}: ${problem}`),
      ),
    ];
  }

  /** Writes all changes, as watchers were told them, into a folder. */
  keep(folder: string): void {
    const lines = this.#watches.history.map((change) => `${JSON.stringify(change)}\n`);
    writeFileSync(join(folder, "changes.jsonl"), lines.join(""));
  }
}

/** A run that did less proves little. */
export function tooLittle(feats: readonly Feat[], seconds: number): readonly string[] {
  return feats
    .filter(({ count, perMinuteMin }) => count < (perMinuteMin * seconds) / 60)
    .map(({ name, count, perMinuteMin }) => `only ${count} ${name}, of ${perMinuteMin} a minute`);
}
