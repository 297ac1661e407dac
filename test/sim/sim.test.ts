/** The simulator as a test: as many seeds as fit, and each of them the same every time. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { type Scenario, scenarioOf } from "./cluster.ts";
import { minimize } from "./minimize.ts";
import { runScenario, traceHash } from "./run.ts";

const SECONDS = Number(process.env["SIM_SECONDS"] ?? 20);

test("one seed is one history", async () => {
  for (const seed of ["1", "17", "a seed can be any text"]) {
    expect(await traceHash(scenarioOf(seed))).toBe(await traceHash(scenarioOf(seed)));
  }
  expect(await traceHash(scenarioOf("1"))).not.toBe(await traceHash(scenarioOf("2")));
});

const folder = join(import.meta.dirname, "regressions");

/** Scenarios that failed once, made simple: each is named for what was wrong. */
test.each(readdirSync(folder))("%s does not fail any more", async (name) => {
  const scenario = JSON.parse(readFileSync(join(folder, name), "utf8")) as Scenario;
  const run = await runScenario(scenario, { trace: false });
  expect(run.kind === "failure" ? run.error : "").toBe("");
});

test("a failing scenario becomes simple", async () => {
  const start = scenarioOf("1");
  const [first, last] = [start.schedule[3], start.schedule.at(-2)];
  const has = ({ schedule }: Scenario) =>
    schedule.some(({ when }) => when === first?.when) &&
    schedule.some(({ when }) => when === last?.when);
  let told = 0;
  const simple = await minimize(start, {
    failureOf: (scenario) => Promise.resolve(has(scenario) ? "it fails" : null),
    runsMax: 1_000,
    onSimpler: () => {
      told += 1;
    },
  });
  expect(start.schedule.length).toBeGreaterThan(10);
  expect(simple.schedule).toEqual([first, last]);
  expect(simple.options).toMatchObject({ clients: 1, keys: 1, lossPercent: 0, clockRates: [1] });
  expect(told).toBeGreaterThan(3);
});

// Each run is over in well under the half minute that is added.
test(
  `seeds of trouble for ${SECONDS} s: nothing acknowledged is lost, nothing old is read`,
  async () => {
    const { totals, failure } = await runCampaign({
      jobs: 1,
      seconds: SECONDS,
      base: "",
      from: 1,
      onProgress: () => {},
    });
    const { seeds, events, operations } = totals;
    console.info(`${seeds} seeds, ${events} events, ${operations} operations`);
    const what = failure === null ? "" : `${failure.scenario.seed}: ${failure.error}`;
    expect(what, failure?.lines.join("\n") ?? "").toBe("");
    expect(events).toBeGreaterThan(10_000 * SECONDS);
  },
  SECONDS * 1_000 + 30_000,
);
