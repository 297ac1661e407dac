/** Makes a scenario that fails simple: what it does not need for the failure is left out. */
import type { Scenario } from "./cluster.ts";
import type { SwarmOptions } from "./options.ts";
import { runScenario } from "./run.ts";
import type { Scheduled } from "./schedule.ts";

export interface MinimizeOptions {
  /** In which way the scenario fails; null: it does not. */
  readonly failureOf: (scenario: Scenario) => Promise<string | null>;
  readonly runsMax: number;
  /** Told of each simpler scenario that still fails. */
  readonly onSimpler: (scenario: Scenario, runs: number) => void;
}

/** Simplifications of the options, each tried by itself. */
const SIMPLER: readonly ((options: SwarmOptions) => SwarmOptions)[] = [
  (options) => ({ ...options, wholeApiPercent: 0 }),
  (options) => ({ ...options, lossPercent: 0 }),
  (options) => ({ ...options, repeatPercent: 0 }),
  (options) => ({ ...options, linkMessagesMax: 1_000 }),
  (options) => ({ ...options, slowDiskPercent: 0 }),
  (options) => ({ ...options, delayMaxMs: 1 }),
  (options) => ({ ...options, diskMaxMs: 1 }),
  (options) => ({ ...options, clockRates: [1] }),
  (options) => ({ ...options, keys: 1 }),
  (options) => ({ ...options, clients: 1 }),
  (options) => ({ ...options, clientPauseMaxMs: 300 }),
  (options) => ({ ...options, snapshotEntries: 1_000 }),
  (options) => ({ ...options, segmentBytesMax: 100_000 }),
  (options) => ({ ...options, appendEntriesMax: 100, appendBytesMax: 10_000 }),
  (options) => ({ ...options, windowMessages: 100 }),
];

/**
 * The simplest scenario found that fails in the same way: troubles are left out by halves, quarters
 * and so on (delta debugging), options made plain one by one, the time of trouble cut.
 */
export async function minimize(start: Scenario, options: MinimizeOptions): Promise<Scenario> {
  const { failureOf } = options;
  const wanted = await failureOf(start);
  if (wanted === null) return start;
  let best = start;
  let runs = 1;
  const attempt = async (scenario: Scenario): Promise<boolean> => {
    if (runs >= options.runsMax) return false;
    runs += 1;
    if ((await failureOf(scenario)) !== wanted) return false;
    best = scenario;
    options.onSimpler(best, runs);
    return true;
  };
  for (let before = null as Scenario | null; before !== best && runs < options.runsMax; ) {
    before = best;
    await leaveOut(() => best, attempt);
    for (const simpler of SIMPLER) {
      const changed = simpler(best.options);
      const isSame = JSON.stringify(changed) === JSON.stringify(best.options);
      if (!isSame) await attempt({ ...best, options: changed });
    }
    await cutTime(() => best, attempt);
  }
  return best;
}

type Attempt = (scenario: Scenario) => Promise<boolean>;

async function leaveOut(best: () => Scenario, attempt: Attempt): Promise<void> {
  for (let size = Math.ceil(best().schedule.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best().schedule.length; ) {
      const { schedule } = best();
      const rest: Scheduled[] = [...schedule.slice(0, at), ...schedule.slice(at + size)];
      if (!(await attempt({ ...best(), schedule: rest }))) at += size;
    }
  }
}

async function cutTime(best: () => Scenario, attempt: Attempt): Promise<void> {
  for (;;) {
    const { options } = best();
    const lastsMs = Math.floor((options.trouble.lastsMs * 3) / 4);
    const trouble = { ...options.trouble, lastsMs };
    if (lastsMs < 500 || !(await attempt({ ...best(), options: { ...options, trouble } }))) return;
  }
}

/** What the failure says, but for names and numbers; null: it does not fail. */
export async function failureOf(scenario: Scenario): Promise<string | null> {
  const run = await runScenario(scenario, { trace: false });
  if (run.kind === "success") return null;
  const [line = ""] = run.error.split("\n");
  return line.replace(/:\s*\{.*$/, "").replace(/n?\d+/g, "#");
}
