/** What commands have in common that work on a data directory while no node runs there. */
import { type Command, Option } from "commander";
import { CommandError, EXIT } from "../../cli/exit.ts";
import { Output } from "../../cli/output.ts";
import { type Config, resolveConfig, settingsByFlag, variableOf } from "../../config.ts";
import { must } from "../../lib/assert.ts";
import { StorageError } from "../../storage/storage-error.ts";
import { StartError } from "../lifetime.ts";

/** Adds some of the settings of `serve`, which mean the same here. */
export function addSettings(command: Command, flags: readonly string[]): void {
  for (const flag of flags) {
    const { value, help, byDefault } = must(settingsByFlag.get(flag), `no setting ${flag}`);
    const text = `${help} (env ${variableOf(flag)}; default ${byDefault})`;
    command.addOption(new Option(`--${flag} <${value}>`, text));
  }
}

/** The configuration by flags and environment. Throws ConfigError. */
export function settingsOf(given: Readonly<Record<string, unknown>>): Config {
  const flags = [...settingsByFlag.keys()].map((flag) => {
    const name = flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [flag, given[name] as string | undefined] as const;
  });
  return resolveConfig({ flags: Object.fromEntries(flags), env: process.env, file: null });
}

/** Does the work, whose failures become one line, and says what came of it. */
export async function offline(work: (output: Output) => Promise<void>): Promise<void> {
  try {
    await work(new Output(process.stdout));
  } catch (error) {
    if (!(error instanceof StartError || error instanceof StorageError)) throw error;
    throw new CommandError(error.message, EXIT.failed);
  }
}
