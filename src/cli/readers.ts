/** Reads what is said on the command line; commander tells the user where it cannot be used. */
import { Argument, InvalidArgumentError, Option } from "commander";
import type { WatchEventKind } from "../client/index.ts";

const TIME = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** A hundred years: longer is for ever. */
export const TTL_MAX_MS = 100 * 366 * 86_400_000;
/** Leases are looked at several times in the shortest. */
export const TTL_MIN_MS = 100;

const KINDS: readonly WatchEventKind[] = ["put", "delete", "expire"];

/** A key, or the name of a lock. */
export function readName(text: string): string {
  if (text !== "") return text;
  throw new InvalidArgumentError("It must have at least one character.");
}

/** The name of a member. */
export function readMember(text: string): string {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("Use 1-64 characters of A-Z a-z 0-9 . _ -");
}

/** Where the other nodes reach a member. */
export function readUrl(text: string): string {
  const url = URL.parse(text);
  const isOrigin = url?.protocol === "http:" && url.href === `${url.origin}/`;
  if (isOrigin) return url.origin;
  throw new InvalidArgumentError("Use a URL such as http://10.0.0.4:5001.");
}

/** A whole number of at least `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= min) return number;
    const bound = min === Number.MIN_SAFE_INTEGER ? "" : ` from ${min}`;
    throw new InvalidArgumentError(`Use a whole number${bound}.`);
  };
}

/** A time such as `30s`, in milliseconds. */
export function duration(bounds: {
  readonly minMs: number;
  readonly maxMs: number;
}): (text: string) => number {
  return (text) => {
    const [, count = "", unit = ""] = TIME.exec(text) ?? [];
    const ms = count === "" ? Number.NaN : Math.ceil(Number(count) * (UNIT_MS[unit] ?? 1));
    if (Number.isNaN(ms)) throw new InvalidArgumentError("Use a time such as 500ms, 30s or 5m.");
    if (ms >= bounds.minMs && ms <= bounds.maxMs) return ms;
    const { minMs, maxMs } = bounds;
    throw new InvalidArgumentError(`Use a time of ${timeText(minMs)} to ${timeText(maxMs)}.`);
  };
}

/** A time in milliseconds, in the greatest unit that is whole. */
export function timeText(ms: number): string {
  if (ms === 0) return "0s";
  const units = Object.entries(UNIT_MS).toReversed();
  const [unit, size] = units.find(([, each]) => ms >= each && ms % each === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

/** Kinds of events, with commas between. */
export function readKinds(text: string): readonly WatchEventKind[] {
  const kinds = text.split(",").map((part) => KINDS.find((kind) => kind === part.trim()));
  const known = kinds.filter((kind) => kind !== undefined);
  if (known.length === kinds.length) return known;
  throw new InvalidArgumentError("Use put, delete and expire, with commas between.");
}

export function keyArgument(about?: string): Argument {
  return new Argument("<key>", about).argParser(readName);
}

/** Where to ask, as every command takes it. */
export function endpointsOption(): Option {
  return new Option("-e, --endpoints <url,…>", "the client URLs of nodes to ask, in order")
    .env("QUORATE_ENDPOINTS")
    .default(["http://127.0.0.1:4001"], "http://127.0.0.1:4001")
    .argParser(readEndpoints);
}

/** How long to try, as every command takes it. */
export function timeoutOption(): Option {
  return new Option("--timeout <time>", "how long to try, with all repetitions")
    .default(5_000, "5s")
    .argParser(duration({ minMs: 1, maxMs: 300_000 }));
}

function readEndpoints(text: string): readonly string[] {
  const urls = text.split(",").map((part) => URL.parse(part.trim()));
  const origins = urls.flatMap((url) => {
    return url?.protocol === "http:" || url?.protocol === "https:" ? [url.origin] : [];
  });
  if (origins.length === urls.length) return origins;
  throw new InvalidArgumentError("Use URLs such as http://127.0.0.1:4001, with commas between.");
}
