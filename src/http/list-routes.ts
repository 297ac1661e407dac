/** Lists of keys: parts of ranges in bytewise order, which a cursor continues, and counts. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { FIRST_KEY, type Key, prefixEnd } from "../kv/key.ts";
import type { ListRange } from "../kv/range.ts";
import type { KvService, Reached } from "../service/kv-service.ts";
import type { ReadOptions } from "../service/reading.ts";
import { cursorFor, placeOf } from "./cursor.ts";
import { dataRoute, leading, type RouteDeps } from "./data-routes.ts";
import { describeItem, describeKey, describeLife } from "./describe.ts";
import { LIST_BYTES_MAX, LIST_ENTRIES_DEFAULT, LIST_ENTRIES_MAX } from "./limits.ts";
import { changeOrQuiet, waitOf, waitParams } from "./long-poll.ts";
import { flag, invalid, keyText, queryReader, text, wholeNumber } from "./query.ts";
import { readOptions, readParams, refuseEvents } from "./request-options.ts";
import { type Answer, readHeaders } from "./responses.ts";
import { urlOf } from "./url.ts";

export const listQuery = queryReader({
  ...readParams,
  ...waitParams,
  prefix: keyText().optional(),
  start: keyText().optional(),
  end: keyText({ bytesMin: 1 }).optional(),
  delimiter: keyText({ bytesMin: 1 }).optional(),
  revision: wholeNumber().optional(),
  limit: wholeNumber({ min: 1, max: LIST_ENTRIES_MAX }).optional(),
  cursor: text().optional(),
  reverse: flag(),
  keys_only: flag(),
  count_only: flag(),
});

type ListQuery = ReturnType<typeof listQuery>;

/** What a list is asked for, once its parameters are known to make sense together. */
interface Wanted {
  readonly range: ListRange;
  /** Null: as the keys are now. */
  readonly revision: number | null;
  /** The part of the range that is still ahead. */
  readonly rest: ListRange;
  readonly options: ReadOptions;
}

/** Adds `GET /v1/kv`. */
export function addListRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.get("/v1/kv", dataRoute(deps, list));
}

async function list(service: KvService, request: FastifyRequest): Promise<Answer> {
  const query = listQuery(urlOf(request));
  refuseConditions(request);
  refuseEvents(request.headers);
  const asked = wantedBy(query, readOptions(request.headers, query));
  const wanted = { ...asked, options: await leading(service, request, asked.options) };
  const quiet = await newsOrTimeout(service, request, { query, wanted });
  if (quiet !== null) {
    return nothingNew(service, quiet);
  }
  return query.count_only ? countAnswer(service, wanted) : pageAnswer(service, wanted, query);
}

/**
 * Waits as long as the request wants for something after `since`: null. Where nothing came: up to
 * which revision that is so, for the next `since`.
 */
async function newsOrTimeout(
  service: KvService,
  request: FastifyRequest,
  { query, wanted }: { readonly query: ListQuery; readonly wanted: Wanted },
): Promise<Reached | null> {
  const { prefix, since, wait, start, end } = query;
  if (since === undefined && wait !== undefined) throw invalid('"wait" needs "since"');
  const waitMs = waitOf(request, query);
  const isOfPast = query.revision !== undefined || query.cursor !== undefined;
  const isAsked = wait !== undefined || (waitMs > 0 && !isOfPast);
  if (since === undefined || !isAsked) return null;
  if (start !== undefined || end !== undefined) throw invalid('"wait" is for a "prefix"');
  const { consistency } = await service.reached(wanted.options);
  const selection = { target: "prefix", key: prefix ?? FIRST_KEY } as const;
  const revision = await changeOrQuiet(service, request, { selection, since, waitMs });
  return revision === null ? null : { revision, consistency };
}

function nothingNew(service: KvService, { revision, consistency }: Reached): Answer {
  const storeRevision = Math.min(revision, service.storeStatus().revision);
  const isStale = consistency === "stale";
  const lastContactMs = isStale ? service.raftStatus().lastContactMs : null;
  const headers = readHeaders({ storeRevision, lastContactMs, consistency });
  return { status: 304, headers, body: null };
}

async function countAnswer(service: KvService, { range, ...wanted }: Wanted): Promise<Answer> {
  const { revision, options } = wanted;
  const reading = await service.count({ range, revision }, options);
  const body = { items: [], prefixes: [], cursor: null, ...told(reading.revision, reading.found) };
  const headers = readHeaders(reading);
  return { status: 200, headers, body: JSON.stringify(body) };
}

/** The count is told only where the page is the whole list: to find it out may take long. */
async function pageAnswer(
  service: KvService,
  { range, rest, ...wanted }: Wanted,
  { limit = LIST_ENTRIES_DEFAULT, keys_only: isKeysOnly, cursor }: ListQuery,
): Promise<Answer> {
  const limits = { entries: limit, bytes: LIST_BYTES_MAX, isKeysOnly };
  const { options } = wanted;
  const reading = await service.list({ range: rest, revision: wanted.revision, limits }, options);
  const { found, revision } = reading;
  const { items, prefixes, next } = found;
  const isWhole = cursor === undefined && next === null;
  const body = {
    items: items.map((item) => ({ ...describeItem(item), ...describeLife(service.lifeOf(item)) })),
    prefixes: prefixes.map(describePrefix),
    cursor: next === null ? null : cursorFor(range, { revision, position: next }),
    ...told(revision, isWhole ? items.length + prefixes.length : null),
  };
  const headers = readHeaders(reading);
  return { status: 200, headers, body: JSON.stringify(body) };
}

function told(revision: number, count: number | null) {
  return { revision, count };
}

/** Text, or else as keys are named in bodies. */
function describePrefix(prefix: Key) {
  const { key, key_encoding: encoding } = describeKey(prefix);
  return encoding === undefined ? key : { key, encoding };
}

/** Lists have no ETag: a condition would be lost. */
export function refuseConditions({ headers }: FastifyRequest): void {
  if (headers["if-match"] === undefined && headers["if-none-match"] === undefined) return;
  throw invalid("If-Match and If-None-Match are for single keys, and not for this request");
}

function wantedBy(query: ListQuery, options: ReadOptions): Wanted {
  checkTogether(query);
  const range = rangeOf(query);
  const revision = query.revision ?? null;
  if (query.cursor === undefined) return { range, rest: range, revision, options };
  const place = placeOf(query.cursor, range);
  if (revision !== null && revision !== place.revision) {
    throw invalid(`the cursor belongs to revision ${place.revision}, not to ${revision}`);
  }
  const { position } = place;
  const rest = range.isReverse ? { ...range, end: position } : { ...range, start: position };
  // Another node may have given the cursor, which this one has not caught up with yet.
  const minRevision = Math.max(options.minRevision ?? 0, place.revision);
  return { range, rest, revision: place.revision, options: { ...options, minRevision } };
}

function rangeOf({ prefix, start, end, delimiter, reverse, since }: ListQuery): ListRange {
  return {
    start: prefix ?? start ?? FIRST_KEY,
    end: prefix === undefined ? (end ?? null) : prefixEnd(prefix),
    isReverse: reverse,
    since: since ?? 0,
    grouping: delimiter === undefined ? null : { prefixBytes: prefix?.length ?? 0, delimiter },
  };
}

/** Throws ServiceError where one parameter would take the meaning from another. */
function checkTogether(query: ListQuery): void {
  const given = (name: keyof ListQuery) => query[name] !== undefined && query[name] !== false;
  for (const [one, others] of APART) {
    if (!given(one)) continue;
    const other = others.find(given);
    if (other === undefined) continue;
    throw invalid(`the parameters "${one}" and "${other}" cannot be used together`);
  }
  const { since = 0, revision = since } = query;
  if (since > revision) throw invalid('"since" must not be greater than "revision"');
}

const APART: readonly (readonly [keyof ListQuery, readonly (keyof ListQuery)[]])[] = [
  ["prefix", ["start", "end"]],
  ["wait", ["revision", "cursor"]],
  ["count_only", ["limit", "cursor", "reverse", "keys_only"]],
];
