/** A minute of chaos, with every fault that this machine allows (A10, A12, A17). */
import { expect, test } from "vitest";
import { tableOf } from "./report.ts";
import { runChaos } from "./run.ts";

const SECONDS = 60;
/** Machines that run all tests may be busy with much else. */
const RATE_MIN = 50;

test("three nodes under all faults at once tell no client anything that is not so", async () => {
  const report = await runChaos({
    seconds: SECONDS,
    nodes: 3,
    seed: process.env["SEED"] ?? "a minute",
    only: null,
    rateMin: RATE_MIN,
  });
  expect(report.problems, tableOf(report)).toEqual([]);
});
