/** `quorate del`: one key, those of a prefix, or all. */
import { type Command, Option } from "commander";
import { CommandError, EXIT, EXIT_CODES } from "./exit.ts";
import { isConfirmed } from "./input.ts";
import { readName } from "./readers.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

interface DeleteFlags extends CommonOptions {
  readonly prefix?: string;
  readonly all?: boolean;
  readonly yes?: boolean;
}

export function addDeleteCommand(program: Command): void {
  const command = program
    .command("del")
    .description("Delete a key, or many under one revision. It is no mistake if there is none.")
    .argument("[key]", undefined, readName)
    .addOption(
      new Option("--prefix <text>", "all keys that begin so").argParser(readName).conflicts("all"),
    )
    .option("--all", "every key there is; asks first")
    .option("--yes", "do not ask");
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate del greeting
  quorate del --prefix session/
  quorate del --all --yes
${EXIT_CODES}`,
    )
    .action(async (key: string | undefined, flags: DeleteFlags) => {
      const named = [key, flags.prefix, flags.all].filter((each) => each !== undefined);
      if (named.length !== 1) {
        throw new CommandError("name one: a key, or --prefix, or --all", EXIT.usage);
      }
      await withSession(flags, "write", async (session) => {
        if (key !== undefined) return deleteKey(session, key);
        if (flags.prefix !== undefined) return deletePrefix(session, flags.prefix);
        if (flags.yes !== true) await confirm(session);
        return deleteAll(session);
      });
    });
}

/** Deletes a key, whether it is there or not. */
export async function deleteKey({ client, output }: Session, key: string): Promise<number> {
  const { deleted: count, revision } = await client.delete(key);
  const deleted = count > 0;
  const said = deleted ? `${key} is deleted: revision ${revision}` : `there was no key ${key}`;
  output.say(said, { key, deleted, revision });
  return EXIT.done;
}

/** Deletes all keys that begin so. */
export async function deletePrefix({ client, output }: Session, prefix: string): Promise<number> {
  const { deleted, revision } = await client.deletePrefix(prefix);
  output.say(`${keys(deleted)} deleted: revision ${revision}`, { prefix, deleted, revision });
  return EXIT.done;
}

/** Deletes every key there is. */
export async function deleteAll({ client, output }: Session): Promise<number> {
  const { deleted, revision } = await client.deleteAll();
  output.say(`${keys(deleted)} deleted: revision ${revision}`, { deleted, revision });
  return EXIT.done;
}

/** Rejects with CommandError unless a person says yes. */
async function confirm({ client }: Session): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new CommandError("nobody can be asked here: add --yes to delete every key", EXIT.usage);
  }
  const question = `Delete every key there is (${keys(await client.count())})?`;
  const streams = { input: process.stdin, output: process.stderr };
  if (await isConfirmed(question, streams)) return;
  throw new CommandError("nothing was deleted", EXIT.failed);
}

function keys(count: number): string {
  return count === 1 ? "1 key" : `${count} keys`;
}
