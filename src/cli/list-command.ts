/** `quorate list`: keys in the order of their bytes. */
import { Buffer } from "node:buffer";
import { type Command, Option } from "commander";
import type { ListOptions, Page } from "../client/index.ts";
import { entryData, entryRow } from "./entries.ts";
import { EXIT, EXIT_CODES } from "./exit.ts";
import type { Line } from "./output.ts";
import { readName, wholeNumber } from "./readers.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

interface ListFlags extends CommonOptions {
  readonly limit?: number;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
  readonly count?: boolean;
  readonly delimiter?: string;
  readonly revision?: number;
}

/** The most that a node tells at once. */
const PAGE_MAX = 1_000;

export function addListCommand(program: Command): void {
  const command = program
    .command("list")
    .description("Show keys and their values, all of one revision, in the order of their bytes.")
    .argument("[prefix]", "only keys that begin so")
    .option("--limit <n>", "so many at most; all otherwise", wholeNumber(1))
    .option("--reverse", "the last key first")
    .option("--keys-only", "without values")
    .addOption(
      new Option("--count", "only how many there are").conflicts([
        "limit",
        "reverse",
        "keysOnly",
        "delimiter",
      ]),
    )
    .option("--delimiter <text>", "show keys that have this after the prefix as one", readName)
    .option("--revision <n>", "as it was at this revision of the store", wholeNumber(1));
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate list
  quorate list app/ --delimiter /
  quorate list app/ --reverse --limit 1
  quorate list app/ --count
${EXIT_CODES}`,
    )
    .action((prefix: string | undefined, flags: ListFlags) => {
      return withSession(flags, "read", (session) => {
        return flags.count === true ? count(session, prefix, flags) : list(session, prefix, flags);
      });
    });
}

/** Prints how many keys there are. */
export async function count(
  { client, output }: Session,
  prefix: string | undefined,
  { revision }: Pick<ListFlags, "revision">,
): Promise<number> {
  const found = await client.count({ prefix, revision });
  output.say(String(found), { count: found });
  return EXIT.done;
}

/** Prints keys, and what a delimiter makes of them, page by page. */
export async function list(
  { client, output }: Session,
  prefix: string | undefined,
  { limit = Number.POSITIVE_INFINITY, ...flags }: Omit<ListFlags, keyof CommonOptions>,
): Promise<number> {
  const { reverse = false, keysOnly = false, delimiter, revision } = flags;
  const options: ListOptions = { prefix, reverse, keysOnly, delimiter, revision };
  let cursor: string | undefined;
  let left = limit;
  do {
    const page = await client.list({ ...options, limit: Math.min(left, PAGE_MAX), cursor });
    const lines = linesOf(page, { keysOnly, reverse });
    output.lines(lines);
    left -= lines.length;
    cursor = left > 0 ? (page.cursor ?? undefined) : undefined;
  } while (cursor !== undefined);
  return EXIT.done;
}

/** Keys and prefixes in one order: a page has them apart. */
function linesOf(
  { items, prefixes }: Page,
  { keysOnly, reverse }: { readonly keysOnly: boolean; readonly reverse: boolean },
): Line[] {
  const keys = items.map((entry) => ({
    place: Buffer.from(entry.key, entry.keyEncoding),
    row: entryRow(entry, { keysOnly }),
    data: entryData(entry, { keysOnly }),
  }));
  const groups = prefixes.map((prefix) => ({
    place: Buffer.from(prefix),
    row: { key: prefix },
    data: { prefix },
  }));
  const sorted = [...keys, ...groups].sort((one, other) => Buffer.compare(one.place, other.place));
  return reverse ? sorted.reverse() : sorted;
}
