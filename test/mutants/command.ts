/** Runs a program with a bound on its time. */
import { spawn } from "node:child_process";

export interface CommandOptions {
  readonly cwd: string;
  readonly timeoutMs: number;
}

export interface CommandResult {
  /** Null: it was killed, as it took too long. */
  readonly code: number | null;
  readonly output: string;
  readonly seconds: number;
}

/** What is printed beyond this is not kept: only the end tells what went wrong. */
const OUTPUT_MAX = 4 * 1024 * 1024;

const running = new Set<() => void>();

/** Ends what is still running, at once. */
export function killAll(): void {
  for (const kill of running) kill();
}

/** Resolves when the program, and all that it has started, has ended. */
export function run(
  command: string,
  args: readonly string[],
  { cwd, timeoutMs }: CommandOptions,
): Promise<CommandResult> {
  const startedAt = performance.now();
  // In a group of its own, so that the processes it starts end with it.
  const child = spawn(command, args, { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  let output = "";
  const keep = (text: string) => {
    output = (output + text).slice(-OUTPUT_MAX);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  return new Promise((resolve, reject) => {
    running.add(kill);
    const timer = setTimeout(kill, timeoutMs);
    const end = () => {
      clearTimeout(timer);
      running.delete(kill);
    };
    child.once("error", (error) => {
      end();
      reject(error);
    });
    child.once("close", (code) => {
      end();
      resolve({ code, output, seconds: (performance.now() - startedAt) / 1_000 });
    });
  });
}
