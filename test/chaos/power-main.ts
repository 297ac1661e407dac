/**
 * Power cuts from the command line: `make power CYCLES=500`, or
 * `node test/chaos/power-main.ts --cycles 100 --seed 7 --mode "one node"`.
 * Exits with 1 where anything was wrong, and with 2 where the machine cannot do it.
 */
import { parseArgs } from "node:util";
import { cutPowerOften, type PowerReport, powerMissing, type PowerTally } from "./power-loop.ts";

const PROGRESS_MS = 3_000;

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "500" },
    seed: { type: "string", default: String(Date.now()) },
    mode: { type: "string", multiple: true },
  },
});

const missing = await powerMissing();
if (missing === null) {
  await run();
} else {
  process.stderr.write(`${missing}\n`);
  process.exitCode = 2;
}

async function run(): Promise<void> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  let saidAt = performance.now();
  const onCycle = ({ cycles, seconds }: PowerTally) => {
    if (!process.stdout.isTTY || performance.now() - saidAt < PROGRESS_MS) return;
    saidAt = performance.now();
    process.stdout.write(`${cycles} of ${values.cycles} cycles in ${seconds.toFixed(0)} s\n`);
  };
  const report = await cutPowerOften({
    cycles: Number(values.cycles),
    seed: values.seed,
    only: values.mode ?? null,
    onCycle,
    interrupted: stop.signal,
  });
  process.stderr.write(problemsOf(report));
  const summary = process.stdout.isTTY ? process.stdout : process.stderr;
  summary.write(`${summaryOf(report)}\n`);
  if (!process.stdout.isTTY) process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exitCode = report.problems.length === 0 && isWhole(report) ? 0 : 1;
}

function problemsOf({ problems, kept }: PowerReport): string {
  const lines = problems.map((problem) => `- ${problem}\n`);
  return lines.join("") + kept.map((folder) => `the data is kept in ${folder}\n`).join("");
}

function isWhole({ cycles }: PowerReport): boolean {
  return cycles === Number(values.cycles);
}

function summaryOf(report: PowerReport): string {
  const { seed, cycles, seconds, acknowledged, modes, problems } = report;
  const each = Object.entries(modes).map(([name, mode]) => `${name} ${mode.cycles}`);
  const good = isWhole(report) ? "nothing was lost" : "ended early, nothing was lost";
  return (
    `${problems.length === 0 ? good : `FAILED, ${problems.length} problems`}: ` +
    `${cycles} cycles (${each.join(", ")}), ${acknowledged} acknowledged writes, ` +
    `${seconds.toFixed(0)} s, seed ${seed}`
  );
}
