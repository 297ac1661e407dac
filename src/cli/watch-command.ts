/** `quorate watch`: changes as they happen, printed or given to a program. */
import { Argument, type Command, Option } from "commander";
import type {
  GoneEvent,
  PutEvent,
  WatchEvent,
  WatchEventKind,
  WatchOptions,
} from "../client/index.ts";
import { splitAtDashes } from "./behind-dashes.ts";
import { cut, entryData, keyData, textIn, valueData } from "./entries.ts";
import { CommandError, EXIT, EXIT_CODES } from "./exit.ts";
import { type Colour, type Output, oneLine } from "./output.ts";
import { readKinds, readName, wholeNumber } from "./readers.ts";
import { runProgram } from "./run-program.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";
import { interruptible } from "./signals.ts";

interface WatchFlags extends CommonOptions {
  readonly prefix?: string;
  readonly since?: number;
  readonly initial?: boolean;
  readonly events?: readonly WatchEventKind[];
  readonly prev?: boolean;
}

type Change = PutEvent | GoneEvent;

/** Linux allows 128 KiB for a variable with its name. */
const VARIABLE_BYTES_MAX = 100_000;
const REVISION_WIDTH = 8;
const EVENT_WIDTH = 6;
const COLOURS: Readonly<Record<WatchEventKind, Colour>> = {
  put: "green",
  delete: "red",
  expire: "yellow",
};

const NOTES = `
It goes on until Ctrl-C, over the end of any node, and tells every change once. A program behind --
is run for one change after the other, and finds in its environment:
  QUORATE_EVENT     put, delete or expire
  QUORATE_KEY       the key
  QUORATE_VALUE     the new value; not set where there is none, or where it is no text or too long
  QUORATE_REVISION  of the change
Where the program fails, the watch ends with its exit code, and says how to go on: with --since, or
again with --initial where it was not through with the keys that were there first.

Examples:
  quorate watch greeting
  quorate watch --prefix app/ --initial
  quorate watch --prefix '' --since 1 --events delete,expire --prev
  quorate watch --prefix app/ -- sh -c 'echo "$QUORATE_KEY is $QUORATE_VALUE"'
${EXIT_CODES}`;

export function addWatchCommand(program: Command): void {
  const command = program
    .command("watch")
    .description("Show changes as they happen.")
    .usage("[options] <key | --prefix text> [-- program args...]")
    .addArgument(new Argument("[key]").argParser(readName))
    .argument("[program...]", "run for each change, behind --")
    .option("--prefix <text>", "all keys that begin so; '' stands for all there are")
    .option("--since <revision>", "what came after it, first", wholeNumber(0))
    .addOption(new Option("--initial", "the keys that are there, first").conflicts("since"))
    .option("--events <kind,…>", "only these of put, delete and expire", readKinds)
    .option("--prev", "tell what the keys were before, too");
  withCommonOptions(command)
    .addHelpText("after", NOTES)
    .action((_key: unknown, _words: unknown, flags: WatchFlags) => {
      const { before, behind } = splitAtDashes(command.args, process.argv);
      const options = optionsFrom(before, flags);
      return withSession(flags, "read", (session) => {
        return interruptible((signal) => watch(session, { ...options, signal }, behind));
      });
    });
}

/** Tells of every change until the signal is aborted, to the program if there is one. */
export async function watch(
  session: Session,
  options: WatchOptions & { readonly signal: AbortSignal },
  words: readonly string[],
): Promise<number> {
  let isInitial = options.initial === true;
  for await (const event of session.client.watch(options)) {
    if (event.type === "synced") isInitial = false;
    if (words.length === 0) print(event, session.output, options);
    else if ("key" in event) {
      const code = await runProgram(words, { env: environmentOf(event, session) });
      options.signal.throwIfAborted();
      if (code === EXIT.done) continue;
      // What is there first comes in the order of keys: no revision says how far it was told.
      const again = isInitial
        ? "begin again with --initial"
        : `go on with --since ${event.revision - 1}`;
      throw new CommandError(`the program ended with ${code} for ${event.key}: ${again}`, code);
    }
  }
  return EXIT.done;
}

/** Throws CommandError. */
function optionsFrom(before: readonly string[], flags: WatchFlags): WatchOptions {
  const { prefix, since, initial, events, prev: previous } = flags;
  const [key, ...rest] = before;
  if (rest.length > 0) {
    throw new CommandError("put the program to run behind --", EXIT.usage);
  }
  if ((key === undefined) === (prefix === undefined)) {
    throw new CommandError("name one: a key, or --prefix", EXIT.usage);
  }
  if (initial === true && events !== undefined && !events.includes("put")) {
    throw new CommandError(
      "--initial tells of keys by put events: add put to --events",
      EXIT.usage,
    );
  }
  return { key, prefix, since, initial, events, previous };
}

/** Not how far the watch is: that is for those who go on elsewhere, which the client does. */
function print(event: WatchEvent, output: Output, { previous = false }: WatchOptions): void {
  if ("key" in event) {
    output.say(textOf(event, { output, previous }), dataOf(event, previous));
  } else if (event.type === "synced" && !output.isTerminal) {
    output.say("", { event: event.type, revision: event.revision });
  }
}

function textOf(
  event: Change,
  { output, previous }: { readonly output: Output; readonly previous: boolean },
): string {
  const { type, key, revision } = event;
  const value = event.type === "put" ? `  ${cut(event.value)}` : "";
  const was = event.previous === null ? "it was not there" : `it was ${cut(event.previous.value)}`;
  const place = String(revision).padStart(REVISION_WIDTH);
  const kind = output.paint(COLOURS[type], type.padEnd(EVENT_WIDTH));
  return `${place}  ${kind}  ${oneLine(`${key}${value}`)}${previous ? oneLine(`  (${was})`) : ""}`;
}

function dataOf(event: Change, isPreviousTold: boolean) {
  const { type, revision, previous } = event;
  return {
    event: type,
    ...keyData(event),
    ...(event.type === "put" && { ...valueData(event.bytes), version: event.version }),
    revision,
    ...(isPreviousTold && { prev: previous === null ? null : entryData(previous) }),
  };
}

function environmentOf(event: Change, { client, warn }: Session) {
  const { type, key, revision } = event;
  const value = event.type === "put" ? textIn(event.bytes) : undefined;
  const fits = (text: string | null) => {
    return text !== null && !text.includes("\0") && Buffer.byteLength(text) <= VARIABLE_BYTES_MAX;
  };
  if (value !== undefined && !fits(value)) warn(`QUORATE_VALUE cannot hold the value of ${key}`);
  if (!fits(key)) warn(`QUORATE_KEY cannot hold ${key}`);
  return {
    QUORATE_ENDPOINTS: client.endpoints.join(","),
    QUORATE_EVENT: type,
    QUORATE_REVISION: String(revision),
    QUORATE_KEY: fits(key) ? key : undefined,
    QUORATE_VALUE: value !== undefined && value !== null && fits(value) ? value : undefined,
  };
}
