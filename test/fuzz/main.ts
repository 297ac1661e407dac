/**
 * The fuzzer of all decoders from the command line: `make fuzz SECONDS=60`, or one target again:
 * `node test/fuzz/main.ts --seed 7 --target messages`.
 */
import { parseArgs } from "node:util";
import { peerTargets } from "./peer-targets.ts";
import { fuzzAll, type Tally } from "./runner.ts";
import { storageTargets } from "./storage-targets.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    target: { type: "string" },
  },
});

const REPORT_MS = 5_000;
const all = [...peerTargets, ...storageTargets];
const targets = all.filter(({ name }) => values.target === undefined || name === values.target);

function total(tallies: readonly Tally[]): number {
  return tallies.reduce((sum, { inputs }) => sum + inputs, 0);
}

const startedAt = performance.now();
let reportAt = startedAt + REPORT_MS;

const tallies = fuzzAll(
  targets,
  { seed: values.seed, seconds: Number(values.seconds) },
  (current) => {
    if (performance.now() < reportAt) return;
    reportAt += REPORT_MS;
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    process.stdout.write(`${seconds} s: ${total(current)} inputs\n`);
  },
);
for (const { name, inputs, accepted, slowestMs } of tallies) {
  const columns = [name.padEnd(24), String(inputs).padStart(9), String(accepted).padStart(8)];
  process.stdout.write(`${columns.join("  ")} accepted  ${slowestMs.toFixed(1)} ms at most\n`);
}
process.stdout.write(`seed ${values.seed}: ${total(tallies)} inputs, nothing found\n`);
