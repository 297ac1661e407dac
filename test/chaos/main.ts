/**
 * Chaos from the command line: `make chaos SECONDS=600`, or
 * `node test/chaos/main.ts --seconds 120 --nodes 5 --seed 7 --nemesis "kill one" --nemesis chain`.
 * Prints a table for people, or JSON into a pipe. Exits with 1 where anything was wrong.
 */
import { parseArgs } from "node:util";
import { tableOf } from "./report.ts";
import { runChaos } from "./run.ts";

/** Ten minutes make more than 200,000 operations. */
const RATE_MIN = 350;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    nodes: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now()) },
    nemesis: { type: "string", multiple: true },
  },
});

const report = await runChaos({
  seconds: Number(values.seconds),
  nodes: Number(values.nodes),
  seed: values.seed,
  only: values.nemesis ?? null,
  rateMin: RATE_MIN,
});
const text = process.stdout.isTTY ? tableOf(report) : JSON.stringify(report, null, 2);
process.stdout.write(`${text}\n`);
process.exitCode = report.problems.length === 0 ? 0 : 1;
