/** A thread of a campaign: one seed after another, until the time is over or one fails. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../src/lib/assert.ts";
import { NO_TOTALS, type RareCount, type Report, type Share, sum } from "./campaign.ts";
import { type Scenario, scenarioOf } from "./cluster.ts";
import { type Failure, runScenario, traceHash } from "./run.ts";

/** One seed in so many is run twice more, and must be the same history. */
const TWICE_EVERY = 50;
const REPORT_MS = 1_000;

const port = must(parentPort, "a thread");
const { base, from, step, seconds } = workerData as Share;
const endsAt = performance.now() + seconds * 1_000;
let reportAt = performance.now() + REPORT_MS;
let totals = NO_TOTALS;
let rare: RareCount[] = [];

function tell(report: Report): void {
  port.postMessage(report);
}

function tellProgress(): void {
  tell({ kind: "progress", totals, rare });
  totals = NO_TOTALS;
  rare = [];
  reportAt = performance.now() + REPORT_MS;
}

/** Null: it was. */
async function wasSame(scenario: Scenario): Promise<Failure | null> {
  if ((await traceHash(scenario)) === (await traceHash(scenario))) return null;
  return { kind: "failure", scenario, error: "AssertionError: one seed, two histories", lines: [] };
}

for (let seed = from; performance.now() < endsAt; seed += step) {
  const scenario = scenarioOf(`${base}${seed}`);
  const run = await runScenario(scenario, { trace: false });
  if (run.kind === "failure") {
    tell(run);
    break;
  }
  const isTwice = seed % TWICE_EVERY === 0;
  const difference = isTwice ? await wasSame(scenario) : null;
  if (difference !== null) {
    tell(difference);
    break;
  }
  totals = sum(totals, { ...run.result, seeds: 1, twice: isTwice ? 1 : 0 });
  rare.push(...run.result.rare);
  if (performance.now() >= reportAt) tellProgress();
}
tellProgress();
