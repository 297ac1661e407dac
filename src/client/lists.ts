/** Many keys at once: pages, counts, and keys by name, each in one view. */
import { Buffer } from "node:buffer";
import type { Caller } from "./caller.ts";
import { keyOf, textOf, wholeNumber } from "./checks.ts";
import { readQuery, type ReadOptions } from "./single-keys.ts";
import { type Entry, entryOf, entryOrNull, queryOf, type WireEntry } from "./values.ts";

/** Which keys: all, unless it says otherwise. In the order of their bytes. */
export interface RangeOptions {
  readonly prefix?: string | undefined;
  /** From this key on. */
  readonly start?: string | undefined;
  /** Up to this key, without it. */
  readonly end?: string | undefined;
  /** Only those that were written after this revision. */
  readonly since?: number | undefined;
}

export interface CountOptions extends ReadOptions, RangeOptions {}

export interface ListAllOptions extends ReadOptions, RangeOptions {
  /** The last key first. */
  readonly reverse?: boolean | undefined;
  /** Leaves values out. */
  readonly keysOnly?: boolean | undefined;
}

export interface ListOptions extends ListAllOptions {
  /** Keys and prefixes in a page: 100 by default, 1000 at most. */
  readonly limit?: number | undefined;
  /** Keys that have this after the prefix are told as one prefix, which ends with it. */
  readonly delimiter?: string | undefined;
  /** Where the last page ended; all other options must be repeated with it. */
  readonly cursor?: string | undefined;
}

/** Part of a list. */
export interface Page {
  readonly items: readonly Entry[];
  /** Of a delimiter. Bytes that are no UTF-8 are replacement characters here. */
  readonly prefixes: readonly string[];
  /** For the next page, of the same revision; null: this is the last one. */
  readonly cursor: string | null;
  /** That all pages show. */
  readonly revision: number;
}

interface WirePage {
  readonly items: readonly WireEntry[];
  readonly prefixes: readonly (string | { readonly key: string })[];
  readonly cursor: string | null;
  readonly revision: number;
  readonly count: number;
}

const PAGE_MAX = 1_000;

export async function listPage(caller: Caller, options: ListOptions): Promise<Page> {
  const { reverse, keysOnly, delimiter, cursor } = options;
  const { items, prefixes, revision, ...page } = await ask(caller, options, {
    limit: wholeNumber("limit", options.limit, 1),
    reverse,
    keys_only: keysOnly,
    delimiter,
    cursor,
  });
  const texts = prefixes.map(prefixText);
  return { items: items.map(entryOf), prefixes: texts, cursor: page.cursor, revision };
}

export async function countKeys(caller: Caller, options: CountOptions): Promise<number> {
  return (await ask(caller, options, { count_only: true })).count;
}

/** All keys, page by page as they are asked for, and all of one revision. */
export async function* listAll(
  caller: Caller,
  options: ListAllOptions,
): AsyncGenerator<Entry, void, void> {
  let cursor: string | undefined;
  do {
    const page = await listPage(caller, { ...options, limit: PAGE_MAX, cursor });
    yield* page.items;
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined);
}

/** The keys in the order of their names; null: not there. */
export async function getMany(
  caller: Caller,
  keys: readonly string[],
  options: ReadOptions,
): Promise<(Entry | null)[]> {
  const path = `/v1/batch/get${queryOf(readQuery(options))}`;
  const body = JSON.stringify({ keys: keys.map((key) => keyOf("a key", key)) });
  const headers = { "content-type": "application/json" };
  const call = { kind: "read", method: "POST", path, headers, body } as const;
  const answer = await caller.ask<{ readonly items: readonly (WireEntry | null)[] }>(call, options);
  return answer.items.map(entryOrNull);
}

type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

function ask(caller: Caller, options: CountOptions, more: Parameters): Promise<WirePage> {
  const { prefix, start, end } = options;
  const given = { prefix, start, end, delimiter: more["delimiter"] };
  for (const [name, text] of Object.entries(given)) if (text !== undefined) textOf(name, text);
  if (prefix !== undefined && (start !== undefined || end !== undefined)) {
    throw new TypeError("give a prefix, or start and end");
  }
  const since = wholeNumber("since", options.since);
  const query = queryOf({ ...readQuery(options), prefix, start, end, since, ...more });
  return caller.ask<WirePage>({ kind: "read", method: "GET", path: `/v1/kv${query}` }, options);
}

function prefixText(prefix: string | { readonly key: string }): string {
  return typeof prefix === "string" ? prefix : Buffer.from(prefix.key, "base64").toString("utf8");
}
