/** Makes the system calls of a running process fail or hang, by strace. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

/** Whether this machine has strace, and lets it look into another process. */
export function canInject(): boolean {
  const probe = spawnSync("strace", ["-qq", "-e", "trace=none", "true"]);
  return probe.status === 0;
}

/**
 * While it is attached, every fdatasync of the process ends as it says. It looks only at the
 * threads that do such calls, so the event loop is as fast as ever.
 */
export class FaultInjector {
  readonly #strace: ChildProcess;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  /** `effect` as strace writes it: `error=EIO`, `delay_enter=5000000` (microseconds). */
  static async attach(pid: number, effect: string): Promise<FaultInjector> {
    const inject = ["-e", "trace=fdatasync", "-e", `inject=fdatasync:${effect}`];
    const threads = workersOf(pid).flatMap((thread) => ["-p", thread]);
    const strace = spawn("strace", [...threads, ...inject], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    strace.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until("strace is attached", () => said.includes(" attached"));
    return new FaultInjector(strace);
  }

  /** From now on system calls are what they were; those that hang are let go. */
  async detach(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    this.#strace.kill("SIGTERM");
    await once(this.#strace, "exit");
  }
}

/** Node does its file operations in threads of this name. */
function workersOf(pid: number): readonly string[] {
  const tasks = `/proc/${pid}/task`;
  const isWorker = (thread: string) =>
    readFileSync(join(tasks, thread, "comm"), "utf8").startsWith("libuv-worker");
  const workers = readdirSync(tasks).filter(isWorker);
  if (workers.length === 0) throw new Error(`${pid} has no threads for file operations`);
  return workers;
}
