/**
 * The simulator from the command line: `npm run sim -- --seconds 60 --jobs 2`; one seed again, with
 * all that happens in it: `npm run sim -- --seed 17 --trace`; a failing one made simple:
 * `npm run sim -- --seed 17 --minimize`, which leaves a file for `--scenario`.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runCampaign, type Totals } from "./campaign.ts";
import { type Scenario, scenarioOf } from "./cluster.ts";
import { failureOf, minimize } from "./minimize.ts";
import { type Failure, runScenario } from "./run.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    jobs: { type: "string", default: "1" },
    /** Seeds are this text and a number: a commit, so that each has its own. */
    base: { type: "string", default: "" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    scenario: { type: "string" },
    trace: { type: "boolean", default: false },
    minimize: { type: "boolean", default: false },
  },
});

/** So long that all the rare states must have been met. */
const LONG_SECONDS = 120;
const PROGRESS_MS = 5_000;
const MINIMIZE_RUNS_MAX = 2_000;
const SCENARIO_FILE = "scenario.json";

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "no commit";
  }
}

function printFailure({ scenario, error, lines }: Failure): void {
  const { seed, options, schedule } = scenario;
  print(lines.join("\n"));
  print(`\nseed ${seed} failed at ${commit()}; ${schedule.length} troubles planned`);
  print(`options ${JSON.stringify(options)}`);
  print(error);
  process.exitCode = 1;
}

function inWords({ seeds, events, simulatedMs, operations }: Totals, seconds: number): string {
  const hours = (simulatedMs / 3_600_000).toFixed(2);
  const rate = Math.round(events / seconds);
  return (
    `${seconds.toFixed(0)} s: ${seeds} seeds, ${events} events (${rate}/s), ` +
    `${hours} simulated hours, ${operations} operations of clients`
  );
}

async function campaign(): Promise<void> {
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  let toldAt = startedAt;
  const onProgress = (totals: Totals) => {
    if (!process.stdout.isTTY || performance.now() - toldAt < PROGRESS_MS) return;
    toldAt = performance.now();
    print(inWords(totals, elapsed()));
  };
  const seconds = Number(values.seconds);
  const { totals, sometimes, failure } = await runCampaign({
    jobs: Number(values.jobs),
    seconds,
    base: values.base,
    from: Number(values.from),
    onProgress,
  });
  if (failure !== null) return printFailure(failure);
  const { missing, counts } = sometimes;
  const isComplete = missing.length === 0 || seconds < LONG_SECONDS;
  if (!isComplete) process.exitCode = 1;
  if (process.stdout.isTTY) {
    print(inWords(totals, elapsed()));
    print(`${totals.twice} seeds were run twice, and were the same`);
    if (missing.length > 0) print(`never seen: ${missing.join("; ")}`);
    return;
  }
  const simulatedHours = Number((totals.simulatedMs / 3_600_000).toFixed(3));
  const { simulatedMs: _, ...counted } = totals;
  const result = { ...counted, simulatedHours, seconds: Math.round(elapsed()) };
  print(JSON.stringify({ ...result, sometimes: Object.fromEntries(counts), missing }));
}

async function single(scenario: Scenario): Promise<void> {
  const run = await runScenario(scenario, { trace: values.trace });
  if (run.kind === "failure") return printFailure(run);
  if (values.trace) print(run.lines.join("\n"));
  print(JSON.stringify(run.result));
}

async function simplest(scenario: Scenario): Promise<void> {
  const simple = await minimize(scenario, {
    failureOf,
    runsMax: MINIMIZE_RUNS_MAX,
    onSimpler: ({ schedule }, runs) => print(`${runs} runs: ${schedule.length} troubles left`),
  });
  writeFileSync(SCENARIO_FILE, `${JSON.stringify(simple, null, 2)}\n`);
  print(`the simplest is in ${SCENARIO_FILE}: npm run sim -- --scenario ${SCENARIO_FILE} --trace`);
  const run = await runScenario(simple, { trace: false });
  if (run.kind === "failure") printFailure(run);
}

function asked(): Scenario | null {
  if (values.scenario !== undefined) {
    return JSON.parse(readFileSync(values.scenario, "utf8")) as Scenario;
  }
  return values.seed === undefined ? null : scenarioOf(values.seed);
}

const scenario = asked();
if (scenario === null) await campaign();
else if (values.minimize) await simplest(scenario);
else await single(scenario);
