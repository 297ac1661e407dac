/** The program `quorate` as a real process, run to its end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it with this standard input, and with no other `QUORATE_…` than in `env`. */
export async function quorate(
  args: readonly string[],
  given: { input?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Result> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("QUORATE_"));
  const env = { ...Object.fromEntries(inherited), ...given.env };
  const child = spawn(process.execPath, [MAIN, ...args], { env });
  child.stdin.end(given.input ?? "");
  const exited = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  return { code, stdout, stderr };
}
