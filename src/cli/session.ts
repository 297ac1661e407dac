/** A command at work: its client, where it prints, and what its failures mean to whoever ran it. */
import type { Command } from "commander";
import { QuorateError } from "../client/error.ts";
import type { QuorateClient } from "../client/index.ts";
import { CommandError, EXIT } from "./exit.ts";
import { Output, oneLine } from "./output.ts";
import { endpointsOption, timeoutOption } from "./readers.ts";

/** What every command can be told. */
export interface CommonOptions {
  readonly endpoints: readonly string[];
  readonly timeout: number;
}

/** Whom to ask, and whom to tell. */
export interface Session {
  readonly client: QuorateClient;
  readonly output: Output;
  /** Says to a person, beside what is printed, what they should know. */
  readonly warn: (text: string) => void;
}

/** What the command changes, so that it can be unknown what came of it: nothing, data, members. */
export type Purpose = "read" | "write" | "members";

/** The cluster says no, and it is no mistake. */
const NO = new Set([
  "KEY_NOT_FOUND",
  "LEASE_NOT_FOUND",
  "LEASE_LOST",
  "LOCK_HELD",
  "MEMBER_EXISTS",
  "MEMBER_NOT_FOUND",
  "PRECONDITION_FAILED",
  "VERSION_MISMATCH",
]);

/** What to do next. */
const ADVICE: Readonly<Record<string, string>> = {
  UNREACHABLE: "start a node there, or name others with --endpoints",
  BAD_ANSWER: "look at --endpoints: they must be the client URLs of Quorate nodes",
  NO_LEADER: "look with quorate status whether a majority of the nodes runs",
  REVISION_COMPACTED: "ask for a later revision, or for what is there now",
  CONFIG_CHANGE_IN_PROGRESS: "wait until it is through, and try again",
  MEMBER_NOT_FOUND: "look with quorate member list who is one",
  UNSAFE_CHANGE: "look with quorate member list how far the members are",
  LEASE_NOT_FOUND: "grant a new one with quorate lease grant",
  LOCK_HELD: "wait longer with --wait, or look with quorate list locks/ who has it",
  NOT_A_NUMBER: "set the key to a whole number first",
  PRECONDITION_FAILED: "read the key again before the next try",
  VERSION_MISMATCH: "read the key again before the next try",
};
const UNTOLD = "the write may have been applied: read the key before you try again";
const UNKNOWN: Readonly<Record<Exclude<Purpose, "read">, string>> = {
  write: "nobody knows whether the write was applied: read the key before you try again",
  members: "nobody knows whether that is done: look with quorate member list before you try again",
};

/** Adds what every command can be told. */
export function withCommonOptions(command: Command): Command {
  return command.addOption(endpointsOption()).addOption(timeoutOption());
}

/**
 * Does the work with a client that is closed afterwards. What it returns is the exit code. Rejects
 * with CommandError where the cluster cannot do it, or does not want to.
 */
export async function withSession(
  { endpoints, timeout: timeoutMs }: CommonOptions,
  purpose: Purpose,
  work: (session: Session) => Promise<number>,
): Promise<void> {
  // Only now, as neither the server nor --help needs it and should wait for it.
  const { QuorateClient } = await import("../client/index.ts");
  process.stdout.on("error", (error) => endWithoutOutput(error, purpose));
  const client = new QuorateClient({ endpoints, timeoutMs });
  try {
    process.exitCode = await work({ client, output: new Output(process.stdout), warn });
  } catch (error) {
    throw error instanceof QuorateError ? commandError(error, purpose) : error;
  } finally {
    await client.close();
  }
}

/** What the failure means, in one line. */
export function commandError(error: QuorateError, purpose: Purpose): CommandError {
  const { code, outcome } = error;
  const changes = purpose !== "read" && outcome === "unknown" ? purpose : null;
  const advice = changes === null ? ADVICE[code] : UNKNOWN[changes];
  const text = advice === undefined ? error.message : `${error.message}; ${advice}`;
  return new CommandError(oneLine(text), exitCodeFor(error, changes !== null));
}

function exitCodeFor({ code }: QuorateError, isUnknown: boolean): number {
  if (NO.has(code)) return EXIT.no;
  return isUnknown ? EXIT.unknown : EXIT.failed;
}

function warn(text: string): void {
  process.stderr.write(`quorate: ${oneLine(text)}\n`);
}

/** Whoever read the output, such as `head`, has enough of it; or nobody can be told. */
function endWithoutOutput({ code, message }: NodeJS.ErrnoException, purpose: Purpose): void {
  if (code === "EPIPE") process.exit(EXIT.done);
  const isWrite = purpose === "write";
  warn(`standard output cannot be written: ${message}${isWrite ? `; ${UNTOLD}` : ""}`);
  process.exit(isWrite ? EXIT.unknown : EXIT.failed);
}
