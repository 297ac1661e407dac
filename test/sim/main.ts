/**
 * The simulator from the command line: `npm run sim -- --seconds 60`, or one seed again, with
 * everything that happens in it: `npm run sim -- --seed 17 --trace`.
 */
import { parseArgs } from "node:util";
import { SimCluster } from "./cluster.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "20" },
    trace: { type: "boolean", default: false },
  },
});

function runSeed(seed: string, trace: boolean): number {
  const cluster = new SimCluster(seed, { trace });
  try {
    const result = cluster.run();
    if (trace) process.stdout.write(`${cluster.lines.join("\n")}\n`);
    if (trace) process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.events;
  } catch (error) {
    const options = JSON.stringify(cluster.options);
    process.stdout.write(`${cluster.lines.join("\n")}\n\nseed ${seed} failed; ${options}\n`);
    throw error;
  }
}

const startedAt = performance.now();
const seconds = Number(values.seconds);
let events = 0;
let seeds = 0;
if (values.seed !== undefined) {
  events = runSeed(values.seed, values.trace);
  seeds = 1;
} else {
  for (let seed = Number(values.from); performance.now() - startedAt < seconds * 1_000; seed++) {
    events += runSeed(String(seed), false);
    seeds += 1;
  }
}
const elapsed = (performance.now() - startedAt) / 1_000;
const rate = Math.round(events / elapsed);
process.stdout.write(`${seeds} seeds, ${events} events in ${elapsed.toFixed(1)} s: ${rate}/s\n`);
