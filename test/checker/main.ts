/**
 * Checks a history from a file: `npm run check-history -- FILE [--html PAGE] [--ignore-revisions]
 * [--seconds N]`. Exits with 0: linearizable, 1: not, 2: no verdict, or no history.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { AnyOperation } from "./history.ts";
import { checkHistory, type Failure, type Verdict } from "./linearizable.ts";
import { HistoryError, readHistory } from "./read-history.ts";
import { describe, timeline } from "./timeline.ts";
import { checkWitness } from "./witness.ts";

const STEPS_A_SECOND = 1_000_000;
const EXIT = { ok: 0, illegal: 1, unknown: 2 } as const;

interface Report {
  readonly verdict: keyof typeof EXIT;
  readonly operations: number;
  /** Which checks have looked at all of it, and what only one of them has. */
  readonly covered: string;
  /** What is wrong, or undecided. */
  readonly what?: string;
  readonly involved?: readonly AnyOperation[];
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
  operations: readonly AnyOperation[],
  { ignoreRevisions, seconds }: { ignoreRevisions: boolean; seconds: number },
): { readonly report: Report; readonly failure: Failure | null } {
  const contradiction = ignoreRevisions ? null : checkWitness(operations);
  const stepsMax = seconds * STEPS_A_SECOND;
  const result = checkHistory(operations, { ignoreRevisions, stepsMax });
  const covered = coverage(result, ignoreRevisions);
  const about = { operations: operations.length, covered };
  if (result.verdict === "illegal") {
    const { failure } = result;
    const what = contradiction?.what ?? `no order explains the answers about ${failure.key}`;
    const involved = contradiction?.operations ?? stuck(failure);
    return { report: { ...about, verdict: "illegal", what, involved }, failure };
  }
  if (contradiction !== null) {
    const { what, operations: involved } = contradiction;
    return { report: { ...about, verdict: "illegal", what, involved }, failure: null };
  }
  if (result.verdict === "ok") return { report: { ...about, verdict: "ok" }, failure: null };
  const { keys } = result;
  const what = `given up on ${keys.length} keys, such as ${keys[0]}: allow more --seconds`;
  return { report: { ...about, verdict: "unknown", what }, failure: null };
}

function coverage(result: Verdict, ignoreRevisions: boolean): string {
  if (ignoreRevisions) return "search, without revisions";
  if (result.verdict !== "ok") return "witness, and search as far as it came";
  const { leftToWitness = [] } = result;
  const without = leftToWitness.length === 0 ? "" : ` but for ${leftToWitness.join("; ")}`;
  return `witness, and search${without}`;
}

/** The first operations that could not be placed. */
function stuck({ operations, placed }: Failure): readonly AnyOperation[] {
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
  const { verdict, operations, covered, what, involved = [] } = report;
  const headline = { ok: "linearizable", illegal: "NOT linearizable", unknown: "no verdict" };
  process.stdout.write(`${headline[verdict]}: ${operations} operations, by ${covered}\n`);
  if (what !== undefined) process.stdout.write(`${what}\n`);
  for (const operation of involved) {
    const { client, call, return: end } = operation;
    const key = "key" in operation ? ` ${operation.key}` : "";
    const time = `[${call}, ${end ?? "…"}]`;
    process.stdout.write(`  ${client}${key} ${time} ${describe(operation)}\n`);
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
