/** `quorate lock`: runs a program while it holds a lock. */
import { Argument, type Command, Option } from "commander";
import { QuorateError } from "../client/error.ts";
import type { Lock } from "../client/index.ts";
import { splitAtDashes } from "./behind-dashes.ts";
import { CommandError, EXIT } from "./exit.ts";
import { duration, readName, timeText, TTL_MAX_MS, TTL_MIN_MS } from "./readers.ts";
import { runProgram } from "./run-program.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";
import { interruptible } from "./signals.ts";

interface LockFlags extends CommonOptions {
  readonly ttl: number;
  readonly wait: number;
}

const TTL_DEFAULT_MS = 10_000;
/** Servers wait no longer. */
const WAIT_MAX_MS = 60_000;

const NOTES = `
The program finds these in its environment, for writes that only the holder of the lock may do
(see quorate txn --help):
  QUORATE_LOCK_TOKEN  greater than that of any earlier holder
  QUORATE_LOCK_KEY    the key that stands for the lock; its create_revision is the token

SIGINT, SIGTERM and SIGHUP are passed on to the program, and the lock is released when it ends. If
the lock may be lost, the program gets SIGTERM and, 5 seconds later, SIGKILL.

Examples:
  quorate lock deploy -- ./deploy.sh --now
  quorate lock nightly --wait 0s --ttl 1m -- ./backup.sh

Exit codes: that of the program (128 and the number of the signal that ended it; 126 and 127 where
it cannot be run or is not there); 1 somebody else holds the lock; 2 wrong usage; 3 the cluster
cannot give it; 5 the lock was lost while the program ran.`;

export function addLockCommand(program: Command): void {
  const command = program
    .command("lock")
    .description("Run a program while holding a lock, which nobody else holds meanwhile.")
    .usage("[options] <name> -- <program> [args...]")
    .addArgument(new Argument("<name>", "of the lock").argParser(readName))
    .argument("[program...]", "what to run, behind --")
    .addOption(
      new Option("--ttl <time>", "how long the lock outlives this process if that is killed")
        .default(TTL_DEFAULT_MS, timeText(TTL_DEFAULT_MS))
        .argParser(duration({ minMs: TTL_MIN_MS, maxMs: TTL_MAX_MS })),
    )
    .addOption(
      new Option("--wait <time>", "how long to wait for it: 0s to 1m")
        .default(WAIT_MAX_MS, timeText(WAIT_MAX_MS))
        .argParser(duration({ minMs: 0, maxMs: WAIT_MAX_MS })),
    );
  withCommonOptions(command)
    .addHelpText("after", NOTES)
    .action((name: string, _words: unknown, flags: LockFlags) => {
      const { before, behind } = splitAtDashes(command.args, process.argv);
      if (before.length !== 1 || behind.length === 0) {
        const example = `quorate lock ${name} -- make deploy`;
        throw new CommandError(`name what to run behind --, such as: ${example}`, EXIT.usage);
      }
      return withSession(flags, "read", (session) => {
        return lockAndRun(session, { name, words: behind }, flags);
      });
    });
}

/** Takes the lock, runs the program, and gives the lock back. Returns the program's exit code. */
export async function lockAndRun(
  session: Session,
  { name, words }: { readonly name: string; readonly words: readonly string[] },
  { ttl: ttlMs, wait: waitMs }: Omit<LockFlags, keyof CommonOptions>,
): Promise<number> {
  const { client } = session;
  return interruptible(async (signal) => {
    const lock = await client.lock(name, { ttlMs, waitMs, signal });
    try {
      signal.throwIfAborted();
      return await runHolding(lock, words, client.endpoints);
    } finally {
      if (!lock.signal.aborted) await release(lock, session);
    }
  });
}

async function runHolding(
  lock: Lock,
  words: readonly string[],
  endpoints: readonly string[],
): Promise<number> {
  const env = {
    QUORATE_ENDPOINTS: endpoints.join(","),
    QUORATE_LOCK_TOKEN: String(lock.token),
    QUORATE_LOCK_KEY: lock.guard.key,
  };
  const code = await runProgram(words, { env, ending: lock.signal });
  try {
    // Where this process stood still the signal may not have come yet.
    lock.throwIfLost();
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    const text = `${error.message}; see what the program left half done`;
    throw new CommandError(text, EXIT.lockLost);
  }
  return code;
}

/** The program has ended, so a failure is nothing more than a delay for others. */
async function release(lock: Lock, { warn }: Session): Promise<void> {
  try {
    await lock.release();
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    warn(`the lock could not be released, and ends by itself: ${error.message}`);
  }
}
