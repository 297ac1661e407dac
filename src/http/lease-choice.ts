/** How long a key shall live, as a request says it. */
import type { LeaseChoice } from "../kv/operation.ts";
import { NO_LEASE } from "../kv/operation.ts";
import type { Fields } from "./body.ts";
import { invalid } from "./query.ts";
import type { WriteQuery } from "./request-options.ts";

/** Leases are looked at several times in the shortest. */
const TTL_MIN_MS = 100;
/** A hundred years: longer is for ever. */
const TTL_MAX_MS = 100 * 366 * 24 * 3_600_000;

/** `ttl` or `lease`, as parameters or in the body; not both, and none twice. */
export function leaseChoice(query: WriteQuery, fields: Fields): LeaseChoice {
  const ttl = once("ttl", query.ttl, fields["ttl"]);
  const lease = once("lease", query.lease, fields["lease"]);
  if (ttl !== undefined && lease !== undefined) {
    throw invalid("a key has either a ttl or a lease, not both");
  }
  if (lease !== undefined) return { kind: "lease", id: leaseId(lease) };
  if (ttl === undefined) return NO_LEASE;
  return ttl === "keep" ? { kind: "keep" } : { kind: "ttl", ttlMs: ttlMs(ttl) };
}

/** A time to live in seconds, decimals allowed, in milliseconds. */
export function ttlMs(given: unknown): number {
  const isText = typeof given === "string" && /^\d{1,10}(\.\d{1,9})?$/.test(given);
  const ms = isText || typeof given === "number" ? Math.ceil(Number(given) * 1_000) : Number.NaN;
  if (ms >= TTL_MIN_MS && ms <= TTL_MAX_MS) return ms;
  throw invalid('"ttl" must be a number of seconds, from 0.1 to a hundred years');
}

/** The id of a lease. */
export function leaseId(given: unknown): number {
  if (typeof given === "number" && Number.isSafeInteger(given) && given > 0) return given;
  throw invalid('"lease" must be the id of a lease: a whole number');
}

function once(name: string, inQuery: unknown, inBody: unknown): unknown {
  if (inQuery === undefined) return inBody;
  if (inBody === undefined) return inQuery;
  throw invalid(`"${name}" is given twice, as parameter and in the body`);
}
