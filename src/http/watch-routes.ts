/** `/v1/watch`, and watches of single keys where a client accepts events. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { type Key, KEY_BYTES_MAX, keyOf } from "../kv/key.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import type { ReadOptions } from "../service/reading.ts";
import type { WatchRefusal } from "../watch/hub.ts";
import { EVENT_KINDS, type EventKind, type Selection } from "../watch/selection.ts";
import type { RouteDeps } from "./data-routes.ts";
import { keyFromUrl } from "./key-path.ts";
import { flag, invalid, queryReader, wholeNumber } from "./query.ts";
import { readOptions, readParams, wantsEvents } from "./request-options.ts";
import { SseSink } from "./sse-sink.ts";
import type { Unsent } from "./unsent.ts";
import { urlOf } from "./url.ts";

const PATH = "/v1/watch";
/** How long to wait before the next attempt, in seconds. */
const RETRY_AFTER = "1";

const eventKinds = z
  .string()
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(EVENT_KINDS, "use put, delete and expire, with commas between")))
  .transform((kinds): ReadonlySet<EventKind> => new Set(kinds))
  .optional();

const watchParams = {
  ...readParams,
  since: wholeNumber().optional(),
  initial: flag(),
  events: eventKinds,
  prev: flag(),
};
export const keyQuery = queryReader(watchParams);
export const anyQuery = queryReader({
  ...watchParams,
  key: z.string().optional(),
  prefix: z.string().optional(),
});

type WatchQuery = ReturnType<typeof keyQuery>;

/** What to watch, and from where on. */
interface Wish {
  readonly selection: Selection;
  /** Null: from the present state on. */
  readonly since: number | null;
  readonly initial: boolean;
  readonly options: ReadOptions;
}

/** Who watches. */
interface Listener {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly unsent: Unsent;
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** Adds `/v1/watch`. */
export function addWatchRoutes(app: FastifyInstance, { holder, responder }: RouteDeps): void {
  const { unsent } = responder;
  // HEAD would be a stream without a body.
  app.get(PATH, { exposeHeadRoute: false }, (request, reply) => {
    const service = holder.open();
    const query = anyQuery(urlOf(request));
    return watch(service, { request, reply, unsent }, wishOf(request, query, targetOf(query)));
  });
}

/** A handler that watches the key after `prefix` if the client accepts events, else `otherwise`. */
export function eventsOr(deps: RouteDeps, prefix: string, otherwise: Handler): Handler {
  const { unsent } = deps.responder;
  return async (request, reply) => {
    if (!wantsEvents(request)) return otherwise(request, reply);
    const service = deps.holder.open();
    const url = urlOf(request);
    const target = { target: "key", key: keyFromUrl(url, prefix) } as const;
    return watch(service, { request, reply, unsent }, wishOf(request, keyQuery(url), target));
  };
}

/** Says why there is no watch. */
export function refusalError(refusal: WatchRefusal, service: KvService): ServiceError {
  const { compactRevision: oldest, revision: current } = service.storeStatus();
  switch (refusal) {
    case "CLOSED":
      return new ServiceError("SHUTTING_DOWN", "this node is shutting down");
    case "TOO_MANY":
      return new ServiceError("TOO_MANY_WATCHERS", "this node has as many watchers as it can");
    case "COMPACTED":
      return new ServiceError("REVISION_COMPACTED", "what comes after this is forgotten", {
        details: { oldest, current },
      });
  }
}

/** Begins the stream. Throws ServiceError where there cannot be one. */
async function watch(
  service: KvService,
  { request, reply, unsent }: Listener,
  { selection, since: from, initial, options }: Wish,
): Promise<FastifyReply> {
  // A watch that goes on where it was needs nobody else.
  const since = from ?? (await service.reached(options)).revision;
  const hub = service.watches;
  const refusal = hub.refusal(since);
  if (refusal === "TOO_MANY") reply.header("retry-after", RETRY_AFTER);
  if (refusal !== null) throw refusalError(refusal, service);
  const { raw } = reply.hijack();
  if (raw.destroyed) return reply;
  // The hub closes what does not move; between events a watch may be silent for long.
  raw.socket?.setTimeout(0);
  // The connection ends with the stream: there is no need to cut it into chunks.
  raw.removeHeader("transfer-encoding");
  raw.writeHead(200, streamHeaders(service, request.id));
  const sink = new SseSink(raw, unsent);
  const opened = hub.open({ selection, since, initial, sink });
  if (typeof opened === "string") throw refusalError(opened, service);
  sink.attach(opened);
  return reply;
}

/** The connection ends with the stream, whose length nobody knows. */
function streamHeaders(service: KvService, requestId: string): Record<string, string> {
  const { leaderUrl } = service;
  return {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    // Or nginx would keep events until it has a buffer full of them.
    "x-accel-buffering": "no",
    connection: "close",
    "request-id": requestId,
    "quorate-node": service.raftStatus().id,
    ...(leaderUrl !== null && { "quorate-leader": leaderUrl }),
    "quorate-term": String(service.leadership.term),
    "quorate-store-revision": String(service.storeStatus().revision),
  };
}

function wishOf(
  request: FastifyRequest,
  query: WatchQuery,
  target: Pick<Selection, "target" | "key">,
): Wish {
  const { initial, events, prev } = query;
  const kinds = events ?? new Set(EVENT_KINDS);
  if (initial && !kinds.has("put")) throw invalid("initial=true tells of keys by put events");
  if (initial && query.since !== undefined) {
    throw invalid("initial=true begins with the present state: leave since out");
  }
  const lastId = lastEventId(request);
  return {
    selection: { ...target, kinds, withPrevious: prev },
    // A browser comes back with the same URL, and says in a header how far it was.
    since: lastId ?? query.since ?? null,
    initial: initial && lastId === null,
    options: readOptions(request.headers, query),
  };
}

function lastEventId({ headers }: FastifyRequest): number | null {
  const given = headers["last-event-id"];
  if (given === undefined || given === "") return null;
  const revision = typeof given === "string" && /^\d{1,16}$/.test(given) ? Number(given) : -1;
  if (revision >= 0 && Number.isSafeInteger(revision)) return revision;
  throw invalid("Last-Event-ID must be the id of an event of this API");
}

function targetOf({ key, prefix }: { key?: string | undefined; prefix?: string | undefined }) {
  if (key !== undefined && prefix !== undefined) throw invalid("give a key or a prefix, not both");
  if (key !== undefined) {
    if (key === "") throw new ServiceError("INVALID_KEY", "the key is empty");
    return { target: "key", key: keyIn(key) } as const;
  }
  if (prefix !== undefined) return { target: "prefix", key: keyIn(prefix) } as const;
  throw invalid("say what to watch: key=… or prefix=…, where prefix= stands for all keys");
}

function keyIn(text: string): Key {
  const key = keyOf(Buffer.from(text));
  if (key.length <= KEY_BYTES_MAX) return key;
  throw new ServiceError("KEY_TOO_LONG", `a key has at most ${KEY_BYTES_MAX} bytes`);
}
