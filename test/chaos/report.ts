/** A run of chaos in a table for people. */
import type { ChaosReport } from "./run.ts";

const PROBLEMS_SHOWN = 20;

export function tableOf(report: ChaosReport): string {
  const { ok, refused, failed, unknown, failures } = report.operations;
  const { standing, peaks } = report;
  const lines = [
    row("seed", report.seed),
    row("nodes", `${report.nodes}, started ${report.starts} times, now in term ${standing.term}`),
    row("operations", `${ok + refused + failed + unknown} in ${report.seconds} s`),
    row("  a second", String(report.operationsPerSecond)),
    row("  done", String(ok)),
    row("  refused", `${refused} (a condition did not hold)`),
    row("  not applied", String(failed)),
    row("  unknown", String(unknown)),
    ...rows(failures),
    row("keys", `${report.keys}, store revision ${standing.revision}`),
    row("workloads", ""),
    ...Object.entries(report.feats).map(([name, times]) => row(`  ${name}`, String(times))),
    row("faults", ""),
    ...rows(report.strikes),
    row("left out", Object.keys(report.leftOut).length === 0 ? "none" : ""),
    ...rows(report.leftOut),
    row("sent again", `the oldest after ${(report.oldestReplayMs / 1_000).toFixed(1)} s`),
    ...rows(report.replayed),
    row("peaks", `${peaks.rssMb} MiB of memory, ${peaks.files} open files`),
    row("warnings", Object.keys(report.warnings).length === 0 ? "none" : ""),
    ...rows(report.warnings),
    row("checkers", ""),
    ...rows(report.verdicts),
    ...problems(report),
  ];
  return lines.join("\n");
}

function problems({ problems: all, kept }: ChaosReport): string[] {
  if (all.length === 0) return ["", "passed"];
  const shown = all.slice(0, PROBLEMS_SHOWN).map((problem) => `- ${problem}`);
  const more = all.length - shown.length;
  return [
    "",
    `FAILED; the history is in ${kept}`,
    ...shown,
    ...(more > 0 ? [`- ${more} more`] : []),
  ];
}

function rows(counts: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, what]) => row(`  ${name}`, String(what)));
}

function row(name: string, what: string): string {
  return `${name.padEnd(34)}${what}`;
}
