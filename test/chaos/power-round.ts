/** Cycles of power cuts of one cluster, from its first start to what is left on its disks. */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../src/lib/random.ts";
import { quiet } from "./agreement.ts";
import { lies, recover, truthOf } from "./audit.ts";
import type { ChaosNode } from "./chaos-node.ts";
import { keep } from "./judge.ts";
import { disorder } from "./order.ts";
import { PowerArena } from "./power-arena.ts";
import { PowerWriters } from "./power-writers.ts";

/** How many nodes there are, and whose power fails. */
export interface PowerMode {
  readonly name: string;
  readonly nodes: number;
  readonly cut: "one" | "all";
}

export interface RoundOptions {
  readonly mode: PowerMode;
  /** Chooses the nodes, the moments and the values. */
  readonly seed: string;
  readonly cycles: number;
  /** Called after each cycle, with its time. */
  readonly onCycle: (ms: number) => void;
  /** Ends the round after the cycle that is under way. */
  readonly signal: AbortSignal;
  /** By Ctrl-C, which the children hear too: what is found from then on proves nothing. */
  readonly interrupted: AbortSignal;
}

export interface RoundResult {
  /** Cuts, also those that met a start. */
  readonly cuts: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly notApplied: number;
  readonly torn: number;
  readonly snapshots: number;
  /** Everything that is wrong, in words. */
  readonly problems: readonly string[];
  /** Where the data directories of a failed round are; null: it has passed. */
  readonly kept: string | null;
}

/** From the first acknowledgement of a cycle to the cut. */
const WRITE_MS = 100;
/** So many cuts in a hundred are followed by another during the start, … */
const AGAIN = 15;
/** … which takes about so long. */
const START_MS = 400;

/** Runs it. Rejects only where no cluster could be made, or its disks could not be removed. */
export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const arena = await PowerArena.open(options.mode.nodes);
  const writers = new PowerWriters(arena.urls, options.seed);
  try {
    return await new PowerRound(arena, writers, options).run();
  } finally {
    await writers.close();
    await arena.close();
  }
}

class PowerRound {
  readonly #arena: PowerArena;
  readonly #writers: PowerWriters;
  readonly #options: RoundOptions;
  readonly #random: Prng;
  readonly #problems: string[] = [];
  #cuts = 0;

  constructor(arena: PowerArena, writers: PowerWriters, options: RoundOptions) {
    this.#arena = arena;
    this.#writers = writers;
    this.#options = options;
    this.#random = new Prng(options.seed);
  }

  async run(): Promise<RoundResult> {
    const { cycles, onCycle, signal } = this.#options;
    for (let cycle = 1; cycle <= cycles && !signal.aborted && this.#isFine; cycle++) {
      const startedAt = performance.now();
      await this.#guard(`cycle ${cycle}`, () => this.#cycle(cycle));
      onCycle(performance.now() - startedAt);
    }
    await this.#writers.stop();
    if (this.#isFine) await this.#guard("in the end", () => this.#audit());
    const kept = this.#isFine ? null : await this.#keep();
    const { operations } = this.#writers.recorder;
    const writes = operations.filter(({ op }) => op === "put");
    const count = (outcome: string) => writes.filter((each) => each.outcome === outcome).length;
    return {
      cuts: this.#cuts,
      acknowledged: count("ok"),
      unknown: count("unknown"),
      notApplied: count("failed"),
      ...this.#arena.counts(),
      problems: this.#problems,
      kept,
    };
  }

  get #isFine(): boolean {
    return this.#problems.length === 0;
  }

  /** Whatever is thrown is a problem of that step, as are those that it finds. */
  async #guard(what: string, step: () => Promise<readonly string[]>): Promise<void> {
    const found = await step().catch((error: unknown) => [String(error)]);
    if (this.#options.interrupted.aborted) return;
    const all = [...this.#arena.complaints(), ...this.#writers.problems, ...found];
    this.#problems.push(...all.map((problem) => `${what}: ${problem}`));
  }

  /** Returns what contradicts the answers to the writes. */
  async #cycle(cycle: number): Promise<readonly string[]> {
    const { cut, nodes: size } = this.#options.mode;
    const { nodes } = this.#arena;
    const victims = cut === "all" ? nodes : [this.#random.pick(nodes)];
    await this.#writers.start(cycle);
    await sleep(this.#random.below(WRITE_MS));
    await this.#cut(victims);
    // Those whose power did not fail go on meanwhile, and so do their clients.
    if (victims.length === size) await this.#writers.stop();
    await this.#arena.restorePower(victims);
    if (this.#random.chance(AGAIN)) {
      await sleep(this.#random.below(START_MS));
      await this.#cut(victims);
      await this.#arena.restorePower(victims);
    }
    await this.#arena.ready();
    await this.#writers.stop();
    const { url } = this.#random.pick(victims);
    return [...(await this.#writers.contradictions(url)), ...this.#arena.damaged()];
  }

  async #cut(victims: readonly ChaosNode[]): Promise<void> {
    this.#cuts += 1;
    await this.#arena.cutPower(victims);
  }

  /** Stops all nodes, and reads every write of the round from each disk. Returns what is wrong. */
  async #audit(): Promise<readonly string[]> {
    const { nodes } = this.#arena;
    const { recorder, keys } = this.#writers;
    const { log } = await quiet(nodes);
    for (const node of nodes) await node.tidy();
    await Promise.all(nodes.map((node) => node.stop()));
    const problems: string[] = [];
    const digests = new Set<string>();
    for (const { name, dataDir } of nodes) {
      const { store, notes } = await recover(dataDir, log.applied);
      digests.add(store.digest);
      const truth = truthOf(store, keys);
      // Otherwise a part of the history would go unseen.
      if (truth.since > 1) problems.push(`${name} has compacted up to ${truth.since}`);
      const { operations } = recorder;
      const wrong = [...notes, ...lies(operations, truth), ...disorder(operations, truth)];
      problems.push(...wrong.map((problem) => `${name}: ${problem}`));
    }
    if (digests.size > 1) problems.push(`states differ: ${[...digests].join("; ")}`);
    return problems;
  }

  /** Copies all that is there, as the disks themselves go. Returns where to. */
  async #keep(): Promise<string> {
    const { nodes } = this.#arena;
    await Promise.all(nodes.map((node) => node.kill()));
    const seed = this.#options.seed.replace(/\W+/g, "-");
    const folder = keep(this.#writers.recorder.operations, nodes, { seed, timeline: [] });
    for (const { name, dataDir } of nodes) {
      if (!existsSync(dataDir)) continue;
      // The sockets by which a directory is locked cannot be copied.
      const filter = (path: string) => !path.endsWith(".sock");
      cpSync(dataDir, join(folder, name), { recursive: true, filter });
    }
    return folder;
  }
}
