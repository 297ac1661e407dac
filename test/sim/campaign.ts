/** Many seeds, on several threads, for a time: what they come to, or the first that fails. */
import { Worker } from "node:worker_threads";
import type { Failure } from "./run.ts";
import { type Rare, Sometimes } from "./sometimes.ts";

export interface CampaignOptions {
  readonly jobs: number;
  readonly seconds: number;
  /** Seeds are this text and a number, counted from `from`. */
  readonly base: string;
  readonly from: number;
  /** Called about once a second. */
  readonly onProgress: (totals: Totals) => void;
}

export interface Totals {
  readonly seeds: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly answered: number;
  readonly leaders: number;
  /** How many seeds were run twice, to see that they are one history each. */
  readonly twice: number;
}

/** What a thread is given. It runs every `step`-th seed. */
export interface Share {
  readonly base: string;
  readonly from: number;
  readonly step: number;
  readonly seconds: number;
}

/** What a thread says: what the last seeds came to, or that one has failed. */
export type Report =
  | { readonly kind: "progress"; readonly totals: Totals; readonly rare: readonly RareCount[] }
  | Failure;
export type RareCount = readonly [Rare, number];

export interface CampaignResult {
  readonly totals: Totals;
  readonly sometimes: Sometimes;
  readonly failure: Failure | null;
}

export const NO_TOTALS: Totals = {
  seeds: 0,
  events: 0,
  simulatedMs: 0,
  operations: 0,
  answered: 0,
  leaders: 0,
  twice: 0,
};

/** Ends at the first failure. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { jobs, seconds, base, from, onProgress } = options;
  const sometimes = new Sometimes();
  let totals = NO_TOTALS;
  let failure: Failure | null = null;
  const workers = Array.from({ length: jobs }, (_, at) => {
    const workerData: Share = { base, from: from + at, step: jobs, seconds };
    return new Worker(new URL("./campaign-thread.ts", import.meta.url), { workerData });
  });
  const stop = () => Promise.all(workers.map((worker) => worker.terminate()));
  const onReport = (report: Report) => {
    if (report.kind === "failure") {
      failure ??= report;
      return void stop();
    }
    totals = sum(totals, report.totals);
    sometimes.add(report.rare);
    onProgress(totals);
  };
  const ends = workers.map((worker) => {
    worker.on("message", onReport);
    return new Promise<void>((resolve, reject) => {
      worker.on("error", reject);
      worker.on("exit", () => resolve());
    });
  });
  try {
    await Promise.all(ends);
  } finally {
    await stop();
  }
  return { totals, sometimes, failure };
}

export function sum(a: Totals, b: Totals): Totals {
  return {
    seeds: a.seeds + b.seeds,
    events: a.events + b.events,
    simulatedMs: a.simulatedMs + b.simulatedMs,
    operations: a.operations + b.operations,
    answered: a.answered + b.answered,
    leaders: a.leaders + b.leaders,
    twice: a.twice + b.twice,
  };
}
