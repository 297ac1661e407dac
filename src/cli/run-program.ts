/** Runs a program of the user, as a shell would: its exit code, and signals passed on to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { isatty } from "node:tty";
import { CommandError, EXIT, exitCodeOf } from "./exit.ts";
import { ENDING_SIGNALS } from "./signals.ts";

export interface ProgramOptions {
  /** Added to the environment of this process; undefined: taken out of it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends the program: it gets SIGTERM and, if that does not help, SIGKILL. */
  readonly ending?: AbortSignal | undefined;
}

type Ended = [number | null, NodeJS.Signals | null];

/** A program that was told to end has so long to do it. */
const END_WITHIN_MS = 5_000;

/**
 * Runs it until it ends, on the terminal of this process. What ends this process is passed on to
 * it. Rejects with CommandError where there is no such program.
 */
export async function runProgram(
  [name = "", ...args]: readonly string[],
  { env, ending }: ProgramOptions,
): Promise<number> {
  let child: ChildProcess | undefined;
  const passOn = (signal: NodeJS.Signals) => {
    if (signal !== "SIGINT" || !hasTerminal()) child?.kill(signal);
  };
  let killing: NodeJS.Timeout | undefined;
  const end = () => {
    if (child !== undefined) killing = endSoon(child);
  };
  // Before there is a program: a signal that comes at once must not end this process alone.
  for (const signal of ENDING_SIGNALS) process.on(signal, passOn);
  ending?.addEventListener("abort", end);
  try {
    child = spawn(name, args, { stdio: "inherit", env: { ...process.env, ...env } });
    if (ending?.aborted === true) end();
    const [code, signal] = (await once(child, "exit")) as Ended;
    return signal === null ? (code ?? EXIT.failed) : exitCodeOf(signal);
  } catch (error) {
    throw cannotRun(name, error as NodeJS.ErrnoException);
  } finally {
    clearTimeout(killing);
    ending?.removeEventListener("abort", end);
    for (const signal of ENDING_SIGNALS) process.off(signal, passOn);
  }
}

/** Ctrl-C at a terminal is for every program there; passed on it would come twice. */
function hasTerminal(): boolean {
  return [0, 1, 2].some((fd) => isatty(fd));
}

function endSoon(child: ChildProcess): NodeJS.Timeout {
  child.kill("SIGTERM");
  return setTimeout(() => child.kill("SIGKILL"), END_WITHIN_MS);
}

function cannotRun(name: string, { code, message }: NodeJS.ErrnoException): CommandError {
  if (code === "ENOENT") {
    return new CommandError(`there is no program ${name}: look at PATH`, EXIT.noProgram);
  }
  return new CommandError(`${name} cannot be run: ${message}`, EXIT.cannotRun);
}
