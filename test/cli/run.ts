/** The program `quorate` as a real process. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect } from "vitest";
import { until } from "../integration/until.ts";

const ROOT = join(import.meta.dirname, "..", "..");
export const MAIN = join(ROOT, "src", "main.ts");
export const AS_TERMINAL = join(import.meta.dirname, "as-terminal.ts");

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Given {
  readonly input?: string | Uint8Array;
  /** All that it is told by `QUORATE_…`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its standard output passes for a terminal. */
  readonly terminal?: boolean;
}

/** A process that runs, and what it has said so far. */
export class Running {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Result>;
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(args: readonly string[], { input = "", env = {}, terminal = false }: Given = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("QUORATE_"));
    const flags = terminal ? ["--import", AS_TERMINAL] : [];
    const child = spawn(process.execPath, [...flags, MAIN, ...args], {
      env: { ...Object.fromEntries(inherited), ...env },
    });
    this.#child = child;
    child.stdin.on("error", () => {}); // It ended before it had read all: its exit code says why.
    child.stdin.end(input);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = once(child, "close").then(([code]) => {
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** Waits until it has printed this. */
  async printed(text: string, timeoutMs = 15_000): Promise<void> {
    await until(`it prints ${text}`, () => this.stdout.includes(text), timeoutMs);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** As `head` does when it has enough. */
  closeOutput(): void {
    this.#child.stdout.destroy();
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }
}

/** Runs it to its end. */
export function quorate(args: readonly string[], given: Given = {}): Promise<Result> {
  return new Running(args, given).ended;
}

/** The documents that a successful command printed, a line each. */
export function documents({ code, stdout, stderr }: Result): Record<string, unknown>[] {
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The only document that a successful command printed. */
export function printed(result: Result): Record<string, unknown> {
  const [first, ...more] = documents(result);
  expect(more).toEqual([]);
  return first ?? {};
}
