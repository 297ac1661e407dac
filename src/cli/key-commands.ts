/** `quorate get`, `put` and `increment`: what is done with one key. */
import type { Command } from "commander";
import { Option } from "commander";
import type { Entry, PutOptions, ReadOptions, Value } from "../client/index.ts";
import { entryData, valueData } from "./entries.ts";
import { CommandError, EXIT, EXIT_CODES } from "./exit.ts";
import { readAll } from "./input.ts";
import { duration, keyArgument, TTL_MAX_MS, TTL_MIN_MS, wholeNumber } from "./readers.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

interface GetFlags extends CommonOptions {
  readonly revision?: number;
  readonly consistency?: NonNullable<ReadOptions["consistency"]>;
  readonly raw?: boolean;
}

interface PutFlags extends CommonOptions, Pick<PutOptions, "lease" | "ifVersion" | "ifRevision"> {
  readonly ttl?: number;
  readonly prev?: boolean;
}

export function addKeyCommands(program: Command): void {
  addGet(program);
  addPut(program);
  addIncrement(program);
}

function addGet(program: Command): void {
  const command = program
    .command("get")
    .description("Print the value of a key.")
    .addArgument(keyArgument())
    .option("--revision <n>", "as it was at this revision of the store", wholeNumber(1))
    .addOption(
      new Option(
        "--consistency <how>",
        "lease: as clocks allow; stale: what the node knows, even without a majority",
      ).choices(["linearizable", "lease", "stale"]),
    )
    .option("--raw", "the bytes of the value, and nothing else");
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate get greeting
  quorate get greeting --raw > greeting.txt
  quorate get greeting --consistency stale
${EXIT_CODES}`,
    )
    .action((key: string, flags: GetFlags) => {
      return withSession(flags, "read", (session) => get(session, key, flags));
    });
}

function addPut(program: Command): void {
  const command = program
    .command("put")
    .description("Set a key.")
    .addArgument(keyArgument())
    .argument("<value>", "the text to store; - reads it from standard input, as it is")
    .addOption(
      new Option("--ttl <time>", "how long the key lives, such as 30s; for ever otherwise")
        .argParser(duration({ minMs: TTL_MIN_MS, maxMs: TTL_MAX_MS }))
        .conflicts("lease"),
    )
    .option("--lease <id>", "the key lives as long as this lease", wholeNumber(1))
    .option("--if-version <n>", "only if it has this version; 0: it is not there", wholeNumber(0))
    .option("--if-revision <n>", "only if this revision wrote it last", wholeNumber(1))
    .option("--prev", "tell what it was before, too");
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate put greeting hello
  quorate put notes - < notes.txt
  quorate put session/7 ann --ttl 30s
  quorate put greeting hello --if-version 0
${EXIT_CODES}`,
    )
    .action((key: string, value: string, flags: PutFlags) => {
      return withSession(flags, "write", async (session) => {
        const given = value === "-" ? await readAll(process.stdin) : value;
        return put(session, { key, value: given }, flags);
      });
    });
}

function addIncrement(program: Command): void {
  const command = program
    .command("increment")
    .description("Add to a counter, which begins at 0.")
    .addArgument(keyArgument())
    .argument("[by]", "a whole number; 1 otherwise", wholeNumber(Number.MIN_SAFE_INTEGER));
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate increment visits
  quorate increment stock/apples -5
${EXIT_CODES}`,
    )
    .action((key: string, by: number | undefined, flags: CommonOptions) => {
      return withSession(flags, "write", (session) => increment(session, key, by));
    });
}

/** Prints the value of a key. */
export async function get(
  { client, output }: Session,
  key: string,
  { revision, consistency, raw = false }: Omit<GetFlags, keyof CommonOptions>,
): Promise<number> {
  const found = await client.get(key, { revision, consistency });
  if (found === null) {
    const when = revision === undefined ? "" : ` at revision ${revision}`;
    throw new CommandError(`there is no key ${key}${when}`, EXIT.no);
  }
  if (raw) output.raw(found.bytes);
  else output.say(found.value, entryData(found));
  return EXIT.done;
}

/** Sets a key. */
export async function put(
  { client, output }: Session,
  { key, value }: { readonly key: string; readonly value: Value },
  { ttl: ttlMs, lease, ifVersion, ifRevision, prev: previous }: Omit<PutFlags, keyof CommonOptions>,
): Promise<number> {
  const options = { ttlMs, lease, ifVersion, ifRevision, previous };
  const result = await client.put(key, value, options);
  const { version, revision } = result;
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  const before = previous === true ? (result.previous ?? null) : undefined;
  output.say(`${key} is set: version ${version}, revision ${revision}${textBefore(before)}`, {
    key,
    ...valueData(bytes),
    version,
    revision,
    ...(before !== undefined && { prev: before === null ? null : entryData(before) }),
  });
  return EXIT.done;
}

/** Adds to a counter. */
export async function increment(
  { client, output }: Session,
  key: string,
  by?: number,
): Promise<number> {
  const { value, version, revision } = await client.increment(key, by);
  output.say(String(value), { key, value, version, revision });
  return EXIT.done;
}

/** Null: the key was not there; undefined: nobody wants to know. */
function textBefore(before: Entry | null | undefined): string {
  if (before === undefined) return "";
  return before === null ? "; it was not there" : `; it was ${before.value}`;
}
