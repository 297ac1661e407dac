#!/usr/bin/env node
/** The program `quorate`: a server (`serve`), and a small client for people and scripts. */
import { Command, CommanderError } from "commander";
import about from "../package.json" with { type: "json" };
import { addClientCommands } from "./cli/client-commands.ts";
import { CommandError, EXIT, Interrupted } from "./cli/exit.ts";
import { ConfigError } from "./config.ts";
import { addBackupCommand } from "./program/offline/backup-command.ts";
import { addRecoverCommand } from "./program/offline/recover-command.ts";
import { addRestoreCommand } from "./program/offline/restore-command.ts";
import { addServeCommand } from "./program/serve-command.ts";

const program = new Command("quorate")
  .description("A linearizable, replicated key-value server, and its client.")
  .version(about.version)
  .configureOutput({ outputError: (text, write) => write(inOneLine(text)) })
  .showSuggestionAfterError()
  .exitOverride();
addServeCommand(program);
addClientCommands(program);
addBackupCommand(program);
addRestoreCommand(program);
addRecoverCommand(program);
// The settings of a command are those of the program when the command was made.
for (const command of program.commands) command.copyInheritedSettings(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/** Says what is wrong, in one line, unless commander has said it. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof ConfigError) return complain(error.message, EXIT.usage);
  if (error instanceof Interrupted) return error.exitCode;
  if (error instanceof CommandError) return complain(error.message, error.exitCode);
  throw error;
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`quorate: ${message}\n`);
  return exitCode;
}

/** As all complaints of this program are. */
function inOneLine(text: string): string {
  return `${text
    .replace(/^error: /, "quorate: ")
    .trim()
    .replaceAll("\n", " ")}\n`;
}
