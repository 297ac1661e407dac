/** From a start to an exit code: signals, bugs, and the last line of the log. */
import { constants } from "node:os";
import { NewerError } from "../lib/bytes.ts";
import { StorageError } from "../storage/storage-error.ts";
import type { Log } from "./log.ts";

/** The node cannot start as it was told to. The message is one clear line. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Something that runs until it is stopped. */
export interface Running {
  /** Ends in good order, within a bounded time. */
  stop(): Promise<void>;
}

/**
 * Begins, waits for SIGINT or SIGTERM, stops in good order and exits with 0. A second signal ends
 * the process at once; so does a bug anywhere, with one line and exit code 1.
 *
 * `begin` is given a signal that fires when it should rather give up, with an AbortError.
 */
export async function runUntilSignal(
  log: Log,
  begin: (signal: AbortSignal) => Promise<Running>,
): Promise<never> {
  process.on("uncaughtException", (error) => failStop(log, error));
  const abort = new AbortController();
  const stopping = new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        if (abort.signal.aborted) process.exit(128 + constants.signals[name]);
        log.info(`${name}: finishing what is under way`);
        abort.abort();
        resolve();
      });
    }
  });
  try {
    const running = await begin(abort.signal);
    await stopping;
    await running.stop();
  } catch (error) {
    if (!isAbort(error)) failStop(log, error);
  }
  log.info("stopped");
  process.exit(0);
}

/** Says why, and ends the process: nothing may be acknowledged after this. */
export function failStop(log: Log, error: unknown): never {
  if (error instanceof StartError || error instanceof StorageError) log.fatal(error.message);
  else if (error instanceof Error && error.cause instanceof NewerError) log.fatal(error.message);
  else log.fatal({ err: error }, "a bug has stopped this node: it is safe to start it again");
  process.exit(1);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
