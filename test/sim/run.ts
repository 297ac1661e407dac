/** One scenario, run to its end or to its failure. */
import { createHash } from "node:crypto";
import { type Scenario, SimCluster, type SimResult } from "./cluster.ts";

/** What must hold did not. */
export interface Failure {
  readonly kind: "failure";
  readonly scenario: Scenario;
  /** The error, with its stack. */
  readonly error: string;
  /** What happened at last. */
  readonly lines: readonly string[];
}

export interface Success {
  readonly kind: "success";
  readonly result: SimResult;
  readonly lines: readonly string[];
}

/** `trace` keeps all that happens, rather than the last events. */
export async function runScenario(
  scenario: Scenario,
  { trace }: { readonly trace: boolean },
): Promise<Success | Failure> {
  const lines: string[] = [];
  try {
    const cluster = new SimCluster(scenario, { trace, lines });
    const result = await cluster.run();
    return { kind: "success", result, lines };
  } catch (error) {
    return { kind: "failure", scenario, error: stackOf(error), lines };
  }
}

/** Of all that happens: equal for equal histories. */
export async function traceHash(scenario: Scenario): Promise<string> {
  const run = await runScenario(scenario, { trace: true });
  const hash = createHash("sha256").update(run.lines.join("\n"));
  return hash.update(run.kind === "success" ? JSON.stringify(run.result) : "").digest("hex");
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
