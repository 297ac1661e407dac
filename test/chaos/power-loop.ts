/** Many power cuts: of a single node, of one node of three, and of all three at once. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PowerArena } from "./power-arena.ts";
import { type PowerMode, type RoundResult, runRound } from "./power-round.ts";
import { volumesMissing } from "./volume.ts";

export interface PowerOptions {
  /** In all modes together. */
  readonly cycles: number;
  readonly seed: string;
  /** Names of modes; null: all. */
  readonly only: readonly string[] | null;
  /** Called after each cycle. */
  readonly onCycle: (tally: PowerTally) => void;
  /** Ends the run after the cycles that are under way, of which nothing is said any more. */
  readonly interrupted: AbortSignal;
}

/** What was done so far. */
export interface PowerTally {
  readonly cycles: number;
  readonly seconds: number;
}

interface ModeTally extends Omit<RoundResult, "problems" | "kept"> {
  readonly cycles: number;
  /** On average; several clusters run side by side. */
  readonly cycleMs: number;
}

export interface PowerReport extends PowerTally {
  readonly seed: string;
  /** Acknowledged writes, each of which was found again on every disk in the end. */
  readonly acknowledged: number;
  readonly modes: Readonly<Record<string, ModeTally>>;
  /** Everything that is wrong, in words. Empty: the run has passed. */
  readonly problems: readonly string[];
  /** Where the data of failed rounds is. */
  readonly kept: readonly string[];
}

interface Round {
  readonly mode: PowerMode;
  readonly cycles: number;
  readonly seed: string;
}

/** A cycle of three nodes takes several times as long as one of a single node. */
const MODES: readonly (PowerMode & { readonly share: number })[] = [
  { name: "one node", nodes: 1, cut: "one", share: 3 },
  { name: "one of three", nodes: 3, cut: "one", share: 1 },
  { name: "all of three", nodes: 3, cut: "all", share: 1 },
];
/** Then a cluster ends and another begins, so that states stay small and starts stay quick. */
const ROUND_CYCLES = 25;
/** A cycle waits a lot: for elections, for its moment, for the disk. */
const SIDE_BY_SIDE = 3;
const PROBLEM_LENGTH = 400;

/** Why there can be no power cuts here, in one line; null: there can. */
export async function powerMissing(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "power cuts need root, to mount file systems of their own";
  const scratch = mkdtempSync(join(tmpdir(), "quorate-power-"));
  try {
    const missing = await volumesMissing(scratch);
    return missing === null ? null : `power cuts need loop devices and ext4: ${missing}`;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Runs it. The first problem ends the run. */
export async function cutPowerOften(options: PowerOptions): Promise<PowerReport> {
  const compiled = mkdtempSync(join(tmpdir(), "quorate-power-"));
  const before = process.env[COMPILE_CACHE];
  process.env[COMPILE_CACHE] = compiled;
  try {
    return await new PowerLoop(options).run();
  } finally {
    if (before === undefined) delete process.env[COMPILE_CACHE];
    else process.env[COMPILE_CACHE] = before;
    rmSync(compiled, { recursive: true });
  }
}

/** Half of a start is otherwise spent on stripping the types from the same sources again. */
const COMPILE_CACHE = "NODE_COMPILE_CACHE";

/** A process writes it at an orderly end only, and none of the others comes to that soon. */
async function fillCompileCache(): Promise<void> {
  const arena = await PowerArena.open(1);
  try {
    await Promise.all(arena.nodes.map((node) => node.stop()));
  } finally {
    await arena.close();
  }
}

class PowerLoop {
  readonly #options: PowerOptions;
  readonly #rounds: Round[];
  readonly #times = new Map<string, number[]>();
  readonly #results: { readonly name: string; readonly result: RoundResult }[] = [];
  readonly #problems: string[] = [];
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #startedAt = performance.now();

  constructor(options: PowerOptions) {
    this.#options = options;
    this.#rounds = plan(options);
    this.#signal = AbortSignal.any([options.interrupted, this.#failed.signal]);
  }

  async run(): Promise<PowerReport> {
    await fillCompileCache().catch((error: unknown) => this.#fail("the first start", [error]));
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => this.#work()));
    const names = [...this.#times.keys()].sort();
    const modes = Object.fromEntries(names.map((name) => [name, this.#modeTally(name)]));
    return {
      seed: this.#options.seed,
      ...this.#tally(),
      acknowledged: Object.values(modes).reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      modes,
      problems: this.#problems,
      kept: this.#results.flatMap(({ result: { kept } }) => (kept === null ? [] : [kept])),
    };
  }

  /** Runs one round after another, until none is left or one has failed. */
  async #work(): Promise<void> {
    for (;;) {
      const round = this.#signal.aborted ? undefined : this.#rounds.shift();
      if (round === undefined) return;
      await this.#round(round);
    }
  }

  async #round({ mode, cycles, seed }: Round): Promise<void> {
    const { name } = mode;
    const times = this.#times.get(name) ?? [];
    this.#times.set(name, times);
    const onCycle = (ms: number) => {
      times.push(ms);
      this.#options.onCycle(this.#tally());
    };
    const what = `${name}, seed ${seed}`;
    const { interrupted } = this.#options;
    const signal = this.#signal;
    try {
      const result = await runRound({ mode, cycles, seed, onCycle, signal, interrupted });
      this.#results.push({ name, result });
      this.#fail(what, result.problems);
    } catch (error) {
      this.#fail(what, [error]);
    }
  }

  /** Ends the run, if there are any problems. */
  #fail(what: string, problems: readonly unknown[]): void {
    if (problems.length === 0 || this.#options.interrupted.aborted) return;
    this.#failed.abort();
    this.#problems.push(...problems.map((problem) => inShort(`${what}, ${String(problem)}`)));
  }

  #tally(): PowerTally {
    const cycles = [...this.#times.values()].reduce((sum, { length }) => sum + length, 0);
    return { cycles, seconds: Math.round(performance.now() - this.#startedAt) / 1_000 };
  }

  #modeTally(name: string): ModeTally {
    const times = this.#times.get(name) ?? [];
    const results = this.#results.filter((each) => each.name === name);
    const sum = (field: keyof Omit<RoundResult, "problems" | "kept">) =>
      results.reduce((total, { result }) => total + result[field], 0);
    return {
      cycles: times.length,
      cycleMs: Math.round(times.reduce((total, ms) => total + ms, 0) / times.length),
      cuts: sum("cuts"),
      acknowledged: sum("acknowledged"),
      unknown: sum("unknown"),
      notApplied: sum("notApplied"),
      torn: sum("torn"),
      snapshots: sum("snapshots"),
    };
  }
}

/** The rounds of all modes by turns, with so many cycles in all. */
function plan({ cycles, seed, only }: PowerOptions): Round[] {
  const modes = MODES.filter(({ name }) => only?.includes(name) ?? true);
  const shares = modes.reduce((sum, { share }) => sum + share, 0);
  const [first, ...others] = modes;
  if (first === undefined) throw new Error(`use ${MODES.map(({ name }) => name).join(", ")}`);
  const small = others.map((mode) => ({ mode, left: Math.floor((cycles * mode.share) / shares) }));
  const rest = cycles - small.reduce((sum, { left }) => sum + left, 0);
  const rounds: Round[] = [];
  let todo = [...small, { mode: first, left: rest }].filter(({ left }) => left > 0);
  while (todo.length > 0) {
    for (const { mode, left } of todo) {
      const count = Math.min(left, ROUND_CYCLES);
      rounds.push({ mode, cycles: count, seed: `${seed}/${rounds.length + 1}` });
    }
    todo = todo
      .map(({ mode, left }) => ({ mode, left: left - ROUND_CYCLES }))
      .filter(({ left }) => left > 0);
  }
  return rounds;
}

/** Values are long, and so is what the system says of a command that has failed. */
function inShort(text: string): string {
  const line = text.replace(/\s+/g, " ");
  if (line.length <= PROBLEM_LENGTH) return line;
  return `${line.slice(0, PROBLEM_LENGTH / 2)} … ${line.slice(-PROBLEM_LENGTH / 2)}`;
}
