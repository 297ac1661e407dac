/** One node as a real process, and what it says. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "./until.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** A line of the log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running `quorate serve`. It ends with the test's process at the latest. */
export class NodeProcess {
  readonly lines: LogLine[] = [];
  /** What it wrote to standard error: nothing, if all is well. */
  stderr = "";
  readonly exited: Promise<Exit>;
  exit: Exit | null = null;
  readonly #child: ChildProcess;

  /** `imports`: what is loaded before the program, by names of files from the root. */
  constructor(args: readonly string[], imports: readonly string[] = []) {
    const before = ["dev/with-parent.ts", ...imports];
    const flags = before.flatMap((file) => ["--import", join(ROOT, file)]);
    const child = spawn(process.execPath, [...flags, join(ROOT, "src", "main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
    createInterface(child.stdout).on("line", (line) => {
      this.lines.push(JSON.parse(line) as LogLine);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.exited = once(child, "close").then(([code, signal]) => {
      this.exit = { code, signal } as Exit;
      return this.exit;
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the process did not start");
    return this.#child.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** kill -9, as a power failure would: nothing that is not on disk survives in the process. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }

  /** The messages of all lines of a level. */
  messages(level: string): string[] {
    return this.lines.flatMap((line) => (line.level === level ? [line.msg] : []));
  }

  /** Waits for a line that matches. */
  async said(pattern: RegExp, timeoutMs?: number): Promise<string> {
    const find = () => this.lines.find(({ msg }) => pattern.test(msg))?.msg ?? null;
    return until(`a line like ${String(pattern)}`, find, timeoutMs);
  }
}
