/** How commands end: exit codes, and the errors that lead to them. */
import { constants } from "node:os";

/** What a command comes to, as an exit code. */
export const EXIT = {
  done: 0,
  /** It is not there, or not as it was to be; somebody else holds the lock. */
  no: 1,
  usage: 2,
  /** It is certain that nothing was changed. */
  failed: 3,
  /** Nobody knows whether the write was applied. */
  unknown: 4,
  /** The lock was lost while the command ran. */
  lockLost: 5,
  /** As shells have it: there is such a program, but it cannot be run. */
  cannotRun: 126,
  /** As shells have it: there is no such program. */
  noProgram: 127,
} as const;

/** For the help of every command. */
export const EXIT_CODES = `
Exit codes: 0 done; 1 not there, or not as it was to be; 2 wrong usage; 3 certainly not done;
4 may have been done.`;

/** A command that came to nothing. The message is one clear line. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Somebody has ended the command by a signal, such as with Ctrl-C: nothing to complain about. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.exitCode = exitCodeOf(signal);
  }
}

/** As shells tell that a signal has ended a program. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
