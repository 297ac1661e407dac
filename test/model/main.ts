/**
 * The model checker from the command line: `make model SECONDS=600` goes through all scenarios, and
 * `node test/model/main.ts --scenario "two elections, a crash"` through one of them. Exits with 1
 * where something is wrong, after telling how it comes to that.
 */
import { parseArgs } from "node:util";
import { Explorer } from "./explorer.ts";
import { largeScenarios, scenarios } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "300" },
    scenario: { type: "string" },
  },
});

const all = [...scenarios, ...largeScenarios];
const wanted = all.filter(({ name }) => values.scenario === undefined || name === values.scenario);
if (wanted.length === 0) {
  throw new Error(`name one of: ${all.map(({ name }) => name).join("; ")}`);
}
const startedAt = performance.now();

for (const { name, options } of wanted) {
  const left = Number(values.seconds) - (performance.now() - startedAt) / 1_000;
  const from = performance.now();
  const found = new Explorer(options).run({ seconds: left });
  const { states, steps, depth, committed, leaders, complete, violation } = found;
  const seconds = ((performance.now() - from) / 1_000).toFixed(1);
  const end = complete ? "complete" : "not complete";
  process.stdout.write(
    `${name}: ${states} states, ${steps} steps, depth ${depth}, ` +
      `up to ${leaders} leaders and ${committed} committed entries, ${seconds} s: ` +
      `${violation === null ? end : "VIOLATION"}\n`,
  );
  if (violation === null) continue;
  process.stdout.write(`${violation.map((line) => `  ${line}`).join("\n")}\n`);
  process.exitCode = 1;
}
