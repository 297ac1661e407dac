/**
 * Checks a history from a file: `npm run check-history -- FILE [--html PAGE] [--ignore-revisions]
 * [--seconds N]`. Exits with 0: linearizable, 1: not, 2: no verdict, or no history.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { HistoryError, type Operation, readHistory } from "./history.ts";
import { checkHistory, type Failure } from "./linearizable.ts";
import { describe, timeline } from "./timeline.ts";
import { checkWitness } from "./witness.ts";

const STEPS_A_SECOND = 1_000_000;
const EXIT = { ok: 0, illegal: 1, unknown: 2 } as const;

interface Report {
  readonly verdict: keyof typeof EXIT;
  readonly operations: number;
  /** What is wrong, or undecided. */
  readonly what?: string;
  readonly involved?: readonly Operation[];
}

const usage = "usage: check-history FILE [--html PAGE] [--ignore-revisions] [--seconds N]";

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      html: { type: "string" },
      "ignore-revisions": { type: "boolean", default: false },
      seconds: { type: "string", default: "20" },
    },
  });
  const [path] = positionals;
  const seconds = Number(values.seconds);
  if (path === undefined || positionals.length > 1 || !(seconds > 0)) throw new Error(usage);
  const operations = readHistory(path);
  const ignoreRevisions = values["ignore-revisions"];
  const { report, failure } = check(operations, { ignoreRevisions, seconds });
  tell(report);
  if (values.html !== undefined && failure !== null) {
    writeFileSync(values.html, timeline(failure));
    process.stderr.write(`the timeline is in ${values.html}\n`);
  }
  process.exitCode = EXIT[report.verdict];
}

function check(
  operations: readonly Operation[],
  { ignoreRevisions, seconds }: { ignoreRevisions: boolean; seconds: number },
): { readonly report: Report; readonly failure: Failure | null } {
  const count = operations.length;
  const contradiction = ignoreRevisions ? null : checkWitness(operations);
  const stepsMax = seconds * STEPS_A_SECOND;
  const result = checkHistory(operations, { ignoreRevisions, stepsMax });
  if (result.verdict === "illegal") {
    const { failure } = result;
    const what = contradiction?.what ?? `no order explains the answers about ${failure.key}`;
    const involved = contradiction?.operations ?? stuck(failure);
    return { report: { verdict: "illegal", operations: count, what, involved }, failure };
  }
  if (contradiction !== null) {
    const { what, operations: involved } = contradiction;
    return { report: { verdict: "illegal", operations: count, what, involved }, failure: null };
  }
  if (result.verdict === "ok") {
    return { report: { verdict: "ok", operations: count }, failure: null };
  }
  const { keys } = result;
  const what = `given up on ${keys.length} keys, such as ${keys[0]}: allow more --seconds`;
  return { report: { verdict: "unknown", operations: count, what }, failure: null };
}

/** The first operations that could not be placed. */
function stuck({ operations, placed }: Failure): readonly Operation[] {
  const explained = new Set(placed);
  const left = operations.filter((each) => !explained.has(each) && each.outcome !== "unknown");
  return left.slice(0, 3);
}

/** Sentences for a person, JSON for a pipe. */
function tell(report: Report): void {
  if (!process.stdout.isTTY) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { verdict, operations, what, involved = [] } = report;
  const headline = { ok: "linearizable", illegal: "NOT linearizable", unknown: "no verdict" };
  process.stdout.write(`${headline[verdict]}: ${operations} operations\n`);
  if (what !== undefined) process.stdout.write(`${what}\n`);
  for (const operation of involved) {
    const { client, key, call, return: end } = operation;
    process.stdout.write(`  ${client} ${key} [${call}, ${end ?? "…"}] ${describe(operation)}\n`);
  }
}

try {
  main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const isMistake = error instanceof HistoryError || error.message === usage || "code" in error;
  process.stderr.write(`${isMistake ? error.message : error.stack}\n`);
  process.exitCode = EXIT.unknown;
}
