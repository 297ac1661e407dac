/** Long polls: a read whose answer the client has already waits until there is another one. */
import type { FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { EVENT_KINDS, type Selection } from "../watch/selection.ts";
import type { Sink, WatchFailure } from "../watch/watcher.ts";
import { type Found, readKey, type Wanted } from "./data-routes.ts";
import { whenGone } from "./gone.ts";
import { WAIT_MAX_MS } from "./limits.ts";
import { duration, invalid, wholeNumber } from "./query.ts";
import { refusalError } from "./watch-routes.ts";

/** Parameters of a read that may wait. */
export const waitParams = {
  wait: duration({ minMs: 0, maxMs: WAIT_MAX_MS }).optional(),
  since: wholeNumber().optional(),
};

/** As they were given. */
export interface WaitQuery {
  readonly wait?: number | undefined;
  readonly since?: number | undefined;
}

/** What to wait for, and how long. */
export interface Wait {
  readonly selection: Pick<Selection, "target" | "key">;
  /** Something that came after this revision. */
  readonly since: number;
  readonly waitMs: number;
}

/**
 * Reads a key as `readKey` does. Where the client has the right tag already, or where nothing came
 * after `since`, it waits as long as the request wants, and says then that it is known. Throws
 * ServiceError.
 */
export async function readOrWait(
  service: KvService,
  request: FastifyRequest,
  { wanted, query }: { readonly wanted: Wanted; readonly query: WaitQuery },
): Promise<Found> {
  const { since } = query;
  const until = performance.now() + waitOf(request, query);
  if (wanted.revision !== null && (query.wait ?? since) !== undefined) {
    throw invalid("the past does not change: leave out revision, or since and wait");
  }
  const selection = { target: "key", key: wanted.key } as const;
  for (;;) {
    // The read sees at least this. A change between the two only means one more round.
    const { revision } = service.storeStatus();
    const read = await readKey(service, request, wanted);
    const isNew = since === undefined ? !read.isKnown : (read.found?.modRevision ?? 0) > since;
    const waitMs = until - performance.now();
    const isDeletion = since !== undefined && read.found === null;
    if (isNew || (waitMs <= 0 && !isDeletion)) return isNew ? read : { ...read, isKnown: true };
    // Only the history knows when a key that is not there was deleted.
    const from = isDeletion ? since : Math.max(revision, since ?? 0);
    const quietTo = await changeOrQuiet(service, request, { selection, since: from, waitMs });
    if (quietTo !== null) return { ...read, isKnown: true };
    if (isDeletion) return readKey(service, request, wanted);
  }
}

/** How long the request wants to wait; 0: not at all. Throws ServiceError INVALID_PARAM. */
export function waitOf({ headers }: FastifyRequest, { wait }: WaitQuery): number {
  if (wait !== undefined) return wait;
  const { prefer } = headers;
  if (prefer === undefined) return 0;
  // A preference may be ignored: what cannot be read is none, and too much is as much as there is.
  const [, seconds] =
    /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer.toString()) ?? [];
  return Math.min(Number(seconds ?? 0) * 1_000, WAIT_MAX_MS);
}

/**
 * Waits until something selected has changed after `since`: null. It has not in that time, or the
 * client is gone: the revision up to which that is known. Throws ServiceError where `since` is too
 * old to know.
 */
export function changeOrQuiet(
  service: KvService,
  request: FastifyRequest,
  { selection, since, waitMs }: Wait,
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const { socket } = request.raw;
    const finish = (found: number | null | ServiceError) => {
      clearTimeout(timer);
      stopListening();
      if (typeof opened !== "string") opened.close();
      if (found instanceof ServiceError) reject(found);
      else resolve(found);
    };
    const sink = new OneChange(since, finish);
    const opened = service.watches.open({
      selection: { ...selection, kinds: new Set(EVENT_KINDS), withPrevious: false },
      since,
      initial: false,
      sink,
    });
    const timer = setTimeout(
      () => sink.isOver({ isAhead: service.storeStatus().revision <= since }),
      Math.max(waitMs, 0),
    );
    const stopListening = whenGone(socket, () => finish(since));
    if (typeof opened === "string") finish(refusalError(opened, service));
  });
}

/** Waits for one change, and for the time to be over. */
class OneChange implements Sink {
  readonly #finish: (found: number | null | ServiceError) => void;
  /** Nothing has changed up to here. */
  #quietTo: number;
  #isCaughtUp = false;
  #isOver = false;

  constructor(since: number, finish: (found: number | null | ServiceError) => void) {
    this.#quietTo = since;
    this.#finish = finish;
  }

  /** No more waiting, once it is known that there was no change; `isAhead`: there cannot be. */
  isOver({ isAhead }: { readonly isAhead: boolean }): void {
    this.#isOver = true;
    if (isAhead || this.#isCaughtUp) this.#finish(this.#quietTo);
  }

  hasRoom(): boolean {
    return true;
  }

  changes(): boolean {
    this.#finish(null);
    return true;
  }

  progress(revision: number): boolean {
    this.#isCaughtUp = true;
    this.#quietTo = Math.max(this.#quietTo, revision);
    if (this.#isOver) this.#finish(this.#quietTo);
    return true;
  }

  fail({ code }: WatchFailure): void {
    // Whoever reads again finds out what there is now.
    if (code === "LAGGED") return this.#finish(null);
    const text = code === "NO_LEADER" ? "no leader is known" : "this node is shutting down";
    this.#finish(new ServiceError(code, text));
  }

  keys(): boolean {
    return true;
  }

  synced(): boolean {
    return true;
  }

  keepAlive(): boolean {
    return true;
  }

  abort(): void {
    this.#finish(this.#quietTo);
  }
}
