/** What the checkers say of a history. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChaosNode } from "./chaos-node.ts";
import type { Strike } from "./nemesis.ts";
import { unreachable } from "../../src/lib/assert.ts";
import { lineOf, type Operation } from "../checker/history.ts";
import { checkHistory, type Verdict } from "../checker/linearizable.ts";
import { timeline as drawing } from "../checker/timeline.ts";
import { checkWitness, type Contradiction } from "../checker/witness.ts";

/**
 * By the name of each checker "ok", or what is wrong. Undecided is wrong. `searched` is the same
 * history, with as few operations of unknown outcome as can be.
 */
export function judge(
  operations: readonly Operation[],
  searched: readonly Operation[],
): Record<string, string> {
  const contradiction = checkWitness(operations);
  const hidden = { ignoreRevisions: true };
  return {
    "all keys by revision": contradiction === null ? "ok" : describe(contradiction),
    "key by key": inWords(checkHistory(searched)),
    "key by key, revisions hidden": inWords(checkHistory(searched, hidden)),
  };
}

function describe({ what, operations }: Contradiction): string {
  return `${what}: ${operations.map((operation) => JSON.stringify(operation)).join("; ")}`;
}

function inWords(verdict: Verdict): string {
  switch (verdict.verdict) {
    case "ok":
      return "ok";
    case "illegal":
      return `${verdict.failure.key} cannot be explained`;
    case "unknown":
      return `undecided: ${verdict.keys.join(", ")}`;
    default:
      return unreachable(verdict);
  }
}

/** Writes the history, and what the nodes said, to a new folder. Returns its path. */
export function keep(
  operations: readonly Operation[],
  nodes: readonly ChaosNode[],
  { seed, timeline }: { readonly seed: string; readonly timeline: readonly Strike[] },
): string {
  const folder = mkdtempSync(join(tmpdir(), `quorate-chaos-${seed}-`));
  const lines = operations.map(lineOf);
  writeFileSync(join(folder, "history.jsonl"), lines.join(""));
  const verdict = checkHistory(operations);
  if (verdict.verdict === "illegal") {
    writeFileSync(join(folder, "timeline.html"), drawing(verdict.failure));
  }
  const strikes = timeline.map((strike) => `${JSON.stringify(strike)}\n`);
  writeFileSync(join(folder, "faults.jsonl"), strikes.join(""));
  for (const node of nodes) writeFileSync(join(folder, `${node.name}.log`), node.log);
  return folder;
}
