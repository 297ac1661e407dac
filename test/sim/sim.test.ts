/** The simulator as a test: as many seeds as fit, and each of them the same every time. */
import { expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { scenarioOf } from "./cluster.ts";
import { traceHash } from "./run.ts";

const SECONDS = Number(process.env["SIM_SECONDS"] ?? 20);

test("one seed is one history", async () => {
  for (const seed of ["1", "17", "a seed can be any text"]) {
    expect(await traceHash(scenarioOf(seed))).toBe(await traceHash(scenarioOf(seed)));
  }
  expect(await traceHash(scenarioOf("1"))).not.toBe(await traceHash(scenarioOf("2")));
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
