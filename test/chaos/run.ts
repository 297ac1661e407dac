/** One run of chaos: a storm over a cluster under load, and then every check there is. */
import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../src/lib/random.ts";
import { differences, quiet, type Standing } from "./agreement.ts";
import { Arena } from "./arena.ts";
import { lies, recover, settled, type Truth, truthOf } from "./audit.ts";
import { Field } from "./field.ts";
import { judge, keep } from "./judge.ts";
import { changesOf, type OnDisk } from "./changes.ts";
import { Load } from "./load.ts";
import { type Nemesis, type Strike, storm } from "./nemesis.ts";
import { networkNemeses } from "./network-nemeses.ts";
import { nodeNemeses } from "./node-nemeses.ts";
import type { Tally } from "./recorder.ts";
import { disorder } from "./order.ts";
import { Replayer } from "./replayer.ts";
import { type Peaks, Vitals } from "./vitals.ts";
import { Workloads } from "./workloads.ts";

export interface ChaosOptions {
  readonly seconds: number;
  readonly nodes: number;
  readonly seed: string;
  /** Only these faults; null: all that the machine allows. */
  readonly only: readonly string[] | null;
  /** A run that does less, in operations a second, was not under load and proves little. */
  readonly rateMin: number;
}

/** What is reported of a run. */
export interface ChaosReport {
  readonly seed: string;
  readonly nodes: number;
  readonly seconds: number;
  /** Everything that is wrong, in words. Empty: the run has passed. */
  readonly problems: readonly string[];
  readonly operations: Tally;
  /** Those that say something about the state, or may have changed it. */
  readonly operationsPerSecond: number;
  readonly keys: number;
  /** What else was done, and how often: transfers, leases, locks, watches. */
  readonly feats: Readonly<Record<string, number>>;
  /** How often each fault happened. */
  readonly strikes: Readonly<Record<string, number>>;
  /** Faults that cannot happen here, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly replayed: Readonly<Record<string, number>>;
  readonly oldestReplayMs: number;
  readonly starts: number;
  readonly standing: Standing;
  readonly peaks: Peaks;
  readonly warnings: Readonly<Record<string, number>>;
  /** What the checkers say of the history. */
  readonly verdicts: Readonly<Record<string, string>>;
  /** Where the history of a failed run is; null: it has passed. */
  readonly kept: string | null;
}

const CLIENTS = 30;
/** Above the least that is wanted of a run, as nothing is done while there is no quorum. */
const RATE = 1_500;
const RSS_MAX_MB = 512;
/** Connections of all clients and peers, the log's files and the program's own. */
const FILES_MAX = 250;
/** After the storm, all must work as if nothing had been. */
const CALM_MS = 2_000;
const READY_MS = 30_000;
/** Keys that are read from every node's memory. */
const COMPARED_MAX = 500;

/** Runs it. Rejects where the harness or the machine fails, and where a node does not come back. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const arena = await Arena.open(options.nodes);
  try {
    return await new ChaosRun(arena, options).run();
  } finally {
    await arena.close();
  }
}

class ChaosRun {
  readonly #arena: Arena;
  readonly #options: ChaosOptions;
  readonly #random: Prng;
  readonly #load: Load;
  readonly #workloads: Workloads;
  readonly #replayers: readonly Replayer[];
  readonly #problems: string[] = [];

  constructor(arena: Arena, options: ChaosOptions) {
    this.#arena = arena;
    this.#options = options;
    this.#random = new Prng(options.seed);
    this.#replayers = arena.nodes.map((node) => {
      const { proxy } = node.member;
      if (proxy === null) throw new Error(`${node.name} has no proxy`);
      return new Replayer(proxy, this.#random);
    });
    this.#load = new Load({ urls: arena.urls, clients: CLIENTS, rate: RATE, random: this.#random });
    const random = new Prng(`${options.seed}, workloads`);
    this.#workloads = new Workloads({ urls: arena.urls, random });
  }

  async run(): Promise<ChaosReport> {
    const { seed, nodes, only } = this.#options;
    const { recorder } = this.#load;
    const vitals = new Vitals(this.#arena.nodes);
    const all = [...networkNemeses, ...nodeNemeses(this.#arena.volumesMissing)];
    const wanted = all.filter(({ name }) => only?.includes(name) ?? true);
    const startedAt = performance.now();
    const timeline = await this.#rage(wanted);
    const strikes = count(timeline.map(({ name }) => name));
    try {
      await this.#calm();
    } catch (error) {
      const folder = this.#keep(timeline);
      const why = this.#arena.nodes.flatMap(({ problems }) => problems).join("\n");
      const text = `${(error as Error).message}; the logs are in ${folder}\n${why}`;
      throw new Error(text, { cause: error });
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    await this.#load.stop();
    await this.#workloads.finish();
    const { ok, refused, unknown } = recorder.tally;
    const operationsPerSecond = (ok + refused + unknown) / seconds;
    const peaks = await vitals.stop();
    this.#checkLoad(operationsPerSecond, peaks);
    for (const { name, missing } of wanted) {
      if (missing === null && strikes[name] === undefined) this.#problems.push(`never: ${name}`);
    }
    const standing = await this.#agree();
    const { truth, onDisk } = await this.#audit(standing);
    const { feats } = this.#workloads;
    const { acknowledged } = recorder;
    this.#problems.push(...this.#workloads.problems({ onDisk, acknowledged, seconds }));
    const verdicts = judge(recorder.operations, settled(recorder.operations, truth));
    for (const [checker, verdict] of Object.entries(verdicts)) {
      if (verdict !== "ok") this.#problems.push(`${checker}: ${verdict}`);
    }
    const warnings = this.#arena.nodes.flatMap((node) => node.warnings);
    return {
      seed,
      nodes,
      seconds: Math.round(seconds),
      problems: this.#problems,
      operations: recorder.tally,
      operationsPerSecond: Math.round(operationsPerSecond),
      keys: this.#load.keys.length,
      feats: Object.fromEntries(feats.map(({ name, count: times }) => [name, times])),
      strikes,
      leftOut: Object.fromEntries(
        wanted.flatMap(({ name, missing }) => (missing === null ? [] : [[name, missing]])),
      ),
      replayed: count(this.#replayers.flatMap(({ replayed }) => replayed)),
      oldestReplayMs: Math.round(Math.max(...this.#replayers.map(({ oldestMs }) => oldestMs))),
      starts: this.#arena.nodes.reduce((sum, node) => sum + node.starts, 0),
      standing,
      peaks,
      warnings: count(warnings),
      verdicts,
      kept: this.#problems.length === 0 ? null : this.#keep(timeline),
    };
  }

  #keep(timeline: readonly Strike[]): string {
    const { seed } = this.#options;
    const { operations } = this.#load.recorder;
    const folder = keep(operations, this.#arena.nodes, { seed, timeline });
    this.#workloads.keep(folder);
    return folder;
  }

  /** The storm, for as long as it shall last. */
  async #rage(nemeses: readonly Nemesis[]): Promise<readonly Strike[]> {
    const field = new Field({
      nodes: this.#arena.nodes,
      replayers: this.#replayers,
      random: this.#random,
    });
    const possible = nemeses.filter(({ missing }) => missing === null);
    return storm(field, possible, this.#options.seconds);
  }

  /** All nodes come back by themselves, and clients are served as if nothing had been. */
  async #calm(): Promise<void> {
    for (const node of this.#arena.nodes) node.start();
    await this.#arena.cluster.ready(READY_MS);
    await sleep(CALM_MS / 2);
    const { tally } = this.#load.recorder;
    const before = { ...tally };
    await sleep(CALM_MS);
    const bad = tally.failed - before.failed + tally.unknown - before.unknown;
    const good = tally.ok - before.ok;
    if (bad > 0 || good < this.#options.rateMin) {
      this.#problems.push(`after the storm ${good} operations were served, and ${bad} were not`);
    }
  }

  #checkLoad(operationsPerSecond: number, { rssMb, files }: Peaks): void {
    const rate = Math.round(operationsPerSecond);
    if (rate < this.#options.rateMin) this.#problems.push(`only ${rate} operations a second`);
    if (rssMb > RSS_MAX_MB) this.#problems.push(`a node used ${rssMb} MiB of memory`);
    if (files > FILES_MAX) this.#problems.push(`a node had ${files} files open`);
  }

  /** Every key can be read, and is the same in the memory of all nodes. */
  async #agree(): Promise<Standing> {
    const { nodes } = this.#arena;
    this.#problems.push(...(await this.#load.readAll()));
    await this.#load.close();
    const standing = await quiet(nodes);
    await this.#workloads.finishWatches(standing.revision);
    const compared = this.#load.keys.slice(-COMPARED_MAX);
    this.#problems.push(...(await differences(nodes, compared)));
    for (const node of nodes) await node.tidy();
    return standing;
  }

  /** What is on the disks, once nobody runs any more; returns what the first of them says. */
  async #audit({ log, revision }: Standing): Promise<{ truth: Truth; onDisk: OnDisk }> {
    const { nodes } = this.#arena;
    await Promise.all(nodes.map((node) => node.stop()));
    const digests = new Set<string>();
    const found: { truth: Truth; onDisk: OnDisk }[] = [];
    for (const node of nodes) {
      const left = node.leftovers();
      if (left.length > 0) this.#problems.push(`${node.name} left ${left.join(", ")}`);
      const { store, notes } = await recover(node.dataDir, log.applied);
      for (const note of notes) this.#problems.push(`${node.name} after its stop: ${note}`);
      digests.add(`revision ${store.revision}, digest ${store.digest}`);
      const truth = truthOf(store, this.#load.keys);
      found.push({ truth, onDisk: changesOf(store) });
      const { operations } = this.#load.recorder;
      this.#problems.push(...lies(operations, truth), ...disorder(operations, truth));
    }
    if (digests.size > 1) this.#problems.push(`states differ: ${[...digests].join("; ")}`);
    const expected = `revision ${revision},`;
    if (![...digests].every((digest) => digest.startsWith(expected))) {
      this.#problems.push(`${expected} as served, is not what is on disk: ${[...digests].join()}`);
    }
    for (const node of nodes) this.#problems.push(...node.problems);
    const [first] = found;
    if (first === undefined) throw new Error("no nodes");
    return first;
  }
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
