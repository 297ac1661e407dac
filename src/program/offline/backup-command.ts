/** `quorate backup`: a copy of the whole state in a file, which is whole or not there. */
import { Buffer } from "node:buffer";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { CommandError, EXIT, EXIT_CODES } from "../../cli/exit.ts";
import type { Output } from "../../cli/output.ts";
import {
  type CommonOptions,
  type Session,
  withCommonOptions,
  withSession,
} from "../../cli/session.ts";
import { interruptible } from "../../cli/signals.ts";
import type { Backup } from "../../client/index.ts";
import { MalformedError } from "../../lib/bytes.ts";
import { reason } from "../../storage/node-files.ts";

const NOTES = `
Writes go on meanwhile, and are not in it. What comes is checked before the file has its name, and
--timeout is for it to begin. Make a new cluster of it with quorate restore.

Example:
  quorate backup monday.backup
${EXIT_CODES}`;

export function addBackupCommand(program: Command): void {
  const command = program
    .command("backup")
    .description("Copy the whole state, as it is at one revision, into a file.")
    .argument("<file>", "where to; what is there is replaced when the copy is whole");
  withCommonOptions(command)
    .addHelpText("after", NOTES)
    .action((file: string, flags: CommonOptions) => {
      return withSession(flags, "read", (session) => {
        return interruptible((signal) => backUp(session, file, signal));
      });
    });
}

/** Writes the copy beside `file` first. Rejects with CommandError, or as the client does. */
async function backUp(
  { client, output }: Session,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const temporary = `${file}.${process.pid}.tmp`;
  // It holds all there is, for whoever could read it.
  const handle = await onDisk(file, () => open(temporary, "wx", 0o600));
  try {
    const backup = await client.backup({ signal });
    const bytes = await receive(backup, { file, handle, output });
    await onDisk(file, async () => {
      await handle.sync();
      await rename(temporary, file);
      await syncDirectory(dirname(file));
    });
    const { revision, node } = backup;
    output.say(`${file} has revision ${revision}, from ${node}: ${inMegabytes(bytes)}`, {
      file,
      revision,
      bytes,
      node,
    });
    return EXIT.done;
  } finally {
    await handle.close();
    await rm(temporary, { force: true });
  }
}

interface Target {
  /** What it will be called. */
  readonly file: string;
  readonly handle: FileHandle;
  readonly output: Output;
}

/** Writes what comes, and checks it. Returns how many bytes it is. */
async function receive(
  { bytes: pieces, node }: Backup,
  { file, handle, output }: Target,
): Promise<number> {
  // Only now, as no other command needs it and should wait for it.
  const { SnapshotScanner } = await import("../../storage/snapshot-format.ts");
  const scanner = new SnapshotScanner();
  const progress = new Progress(output);
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      scanner.push(piece);
      await onDisk(file, () => handle.writeFile(piece));
      bytes += piece.length;
      progress.show(bytes);
    }
    scanner.finish();
    return bytes;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    const text = `what ${node} sent is no whole backup (${error.message}): try again`;
    throw new CommandError(text, EXIT.failed);
  } finally {
    progress.end();
  }
}

/** Rejects with a CommandError that says what to do about the disk. */
async function onDisk<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new CommandError(`cannot write ${file}: ${reason(error)}`, EXIT.failed);
  }
}

/** Without it, a power failure could take the name away again. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const PROGRESS_MS = 100;
const LINE_START = "\r";
const CLEAR_LINE = "\r\u001b[K";

/** A line that says how far it is, for a person at a terminal. */
class Progress {
  readonly #output: Output;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(output: Output) {
    this.#output = output;
  }

  show(bytes: number): void {
    const now = performance.now();
    if (!this.#output.isTerminal || now - this.#shownAt < PROGRESS_MS) return;
    this.#shownAt = now;
    this.#write(`${LINE_START}${inMegabytes(bytes)} received`);
  }

  /** The line makes room for others. */
  end(): void {
    if (this.#output.isTerminal) this.#write(CLEAR_LINE);
  }

  #write(text: string): void {
    this.#output.raw(Buffer.from(text));
  }
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
