/** `quorate serve`: from the command line to a running node. */
import { readFileSync } from "node:fs";
import { isatty } from "node:tty";
import { type Command, Option } from "commander";
import about from "../../package.json" with { type: "json" };
import {
  type Config,
  ConfigError,
  flagsOf,
  resolveConfig,
  settingsByFlag,
  variableOf,
} from "../config.ts";

const CONFIG = { flag: "config", variable: variableOf("config") };

const STDOUT = 1;

const NOTES = `
A flag comes before its environment variable, and that before the file.

Examples:
  quorate serve
  quorate serve --name n1 --data-dir n1 --client-listen 127.0.0.1:4001 \\
    --initial-cluster n1=http://127.0.0.1:5001,n2=http://127.0.0.1:5002,n3=http://127.0.0.1:5003`;

/** Adds `serve`. It rejects with ConfigError where it is not told properly what to do. */
export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("Run a node. Without any option it is a working cluster of one.");
  for (const [flag, { value, help, byDefault }] of settingsByFlag) {
    const text = `${help} (env ${variableOf(flag)}; default ${byDefault})`;
    command.addOption(new Option(`--${flag} <${value}>`, text));
  }
  command
    .option(
      `--${CONFIG.flag} <path>`,
      `read settings from a JSON file such as {"name": "n1"} (env ${CONFIG.variable})`,
    )
    .addHelpText("after", NOTES)
    .action((_options: unknown, self: Command) => start(readConfig(self)));
}

async function start(config: Config): Promise<never> {
  // Only now, as the client commands need none of it and should not wait for it.
  const [{ tuneCollector }, { openLog }, { runUntilSignal }, { serve }] = await Promise.all([
    import("./collector.ts"),
    import("./log.ts"),
    import("./lifetime.ts"),
    import("./serve.ts"),
  ]);
  tuneCollector();
  const { name, logLevel: level, logFormat } = config;
  // Not by `process.stdout`, which would make a pipe answer "try again" where it can be waited for.
  const isColourful = isatty(STDOUT);
  const isPretty = logFormat === "pretty" || (logFormat === "auto" && isColourful);
  const log = openLog({ name, level, isPretty, isColourful, fd: STDOUT });
  log.info(`quorate ${about.version} starts: ${flagsOf(config)}`);
  return runUntilSignal(log, (signal) => serve({ config, log, signal }));
}

function readConfig(command: Command): Config {
  const flags = Object.fromEntries(
    command.options.map((option) => [
      option.long?.slice(2) ?? "",
      command.getOptionValue(option.attributeName()) as string | undefined,
    ]),
  );
  const path = flags[CONFIG.flag] ?? process.env[CONFIG.variable];
  const file = path === undefined ? null : { path, text: readText(path) };
  return resolveConfig({ flags, env: process.env, file });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigError(`cannot read --config ${path}: ${(cause as Error).message}`, { cause });
  }
}
