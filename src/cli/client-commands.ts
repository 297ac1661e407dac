/** The client's part of the command line. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type CommandContext, del, get, put, status } from "./commands.ts";
import { Output } from "./output.ts";

const EXIT_CODES = `
Exit codes: 0 done; 1 no such key; 2 wrong usage; 3 certainly not done; 4 may have been done.`;

/** Adds `get`, `put`, `del` and `status`. Each rejects with CommandError where it fails. */
export function addClientCommands(program: Command): void {
  const context = ({ endpoints }: { endpoints: readonly string[] }): CommandContext => {
    return { endpoints, output: new Output(process.stdout) };
  };
  program
    .command("get")
    .description("Print the value of a key.")
    .argument("<key>")
    .addOption(endpointsOption())
    .addHelpText("after", `\nExamples:\n  quorate get greeting\n${EXIT_CODES}`)
    .action((key: string, options) => get(context(options), key));
  program
    .command("put")
    .description("Set a key.")
    .argument("<key>")
    .argument("<value>", "the text to store; - reads it from standard input")
    .addOption(endpointsOption())
    .addHelpText(
      "after",
      `\nExamples:\n  quorate put greeting hello\n  quorate put notes - < notes.txt\n${EXIT_CODES}`,
    )
    .action((key: string, value: string, options) => put(context(options), key, value));
  program
    .command("del")
    .description("Delete a key.")
    .argument("<key>")
    .addOption(endpointsOption())
    .addHelpText("after", `\nExamples:\n  quorate del greeting\n${EXIT_CODES}`)
    .action((key: string, options) => del(context(options), key));
  program
    .command("status")
    .description("Show how every node at the endpoints is doing.")
    .addOption(endpointsOption())
    .addHelpText(
      "after",
      "\nExamples:\n  quorate status --endpoints http://127.0.0.1:4001,http://127.0.0.1:4002",
    )
    .action((options) => status(context(options)));
}

function endpointsOption(): Option {
  return new Option("-e, --endpoints <url,…>", "the client URLs of nodes to ask, in order")
    .env("QUORATE_ENDPOINTS")
    .default(["http://127.0.0.1:4001"], "http://127.0.0.1:4001")
    .argParser(readEndpoints);
}

function readEndpoints(text: string): readonly string[] {
  const urls = text.split(",").map((part) => URL.parse(part.trim()));
  const origins = urls.flatMap((url) => (url?.protocol === "http:" ? [url.origin] : []));
  if (origins.length === urls.length) return origins;
  throw new InvalidArgumentError("Use URLs such as http://127.0.0.1:4001, with commas between.");
}
