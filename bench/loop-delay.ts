/**
 * Loaded into a process (`node --import`), to tell for how long its event loop was held: at SIGUSR2
 * it writes a file of its process id, and begins anew. What `/v1/status` says is since the start.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const FOLDER = "LOOP_DELAY_DIR";
const RESOLUTION_MS = 1;
const POLL_MS = 10;
const ANSWER_MS = 10_000;

/** In milliseconds. */
export interface LoopDelay {
  /** Beyond the interval of measuring, by the clock. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /**
   * The most processor time of the loop's thread between two looks: on a busy machine the clock
   * also counts when others run. It is known to about 4 ms.
   */
  readonly cpuMax: number;
  /** The longest pause of the collector, by the clock: it waits for threads of its own. */
  readonly gcMax: number;
}

/** The environment of processes that shall be asked, and leave their answers in `folder`. */
export function withLoopDelay(folder: string): Readonly<Record<string, string>> {
  const own = pathToFileURL(import.meta.filename).href;
  return { NODE_OPTIONS: `--import ${own}`, [FOLDER]: folder };
}

/** How long the loop of such a process was held since it was asked last. */
export async function loopDelayOf(pid: number, folder: string): Promise<LoopDelay> {
  process.kill(pid, "SIGUSR2");
  const file = fileOf(folder, pid);
  const end = performance.now() + ANSWER_MS;
  while (performance.now() < end) {
    const text = readOrNull(file);
    if (text !== null) {
      rmSync(file);
      return JSON.parse(text) as LoopDelay;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`process ${pid} does not say how long its loop was held`);
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function fileOf(folder: string, pid: number): string {
  return join(folder, `${pid}.json`);
}

/** Measures this process. */
function measure(folder: string): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const beyond = (ns: number) => rounded(Math.max(0, ns / 1e6 - RESOLUTION_MS));
  let cpuMax = 0;
  let before = threadCpuMs();
  const look = () => {
    const now = threadCpuMs();
    cpuMax = Math.max(cpuMax, now - before);
    before = now;
  };
  setInterval(look, RESOLUTION_MS).unref();
  let gcMax = 0;
  const collections = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMax = Math.max(gcMax, duration);
  });
  collections.observe({ entryTypes: ["gc"] });
  process.on("SIGUSR2", () => {
    const { max } = delay;
    const found = {
      p50: beyond(delay.percentile(50)),
      p99: beyond(delay.percentile(99)),
      max: beyond(max),
      cpuMax: rounded(cpuMax),
      gcMax: rounded(gcMax),
    };
    delay.reset();
    cpuMax = 0;
    gcMax = 0;
    const file = fileOf(folder, process.pid);
    writeFileSync(`${file}.tmp`, JSON.stringify(found));
    renameSync(`${file}.tmp`, file);
  });
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}

const folder = process.env[FOLDER];
if (folder !== undefined) measure(folder);
