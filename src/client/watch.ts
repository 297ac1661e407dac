/**
 * Watches: every change, in order, once, whatever happens to the nodes.
 *
 * A watch knows the last revision of which it was told everything, and goes on from there on any
 * node. It has such a revision from the beginning: what is there when it begins is listed at one
 * revision, which can be gone on with, too.
 */
import type { Caller } from "./caller.ts";
import { keyOf, textOf, wholeNumber } from "./checks.ts";
import { isPassing, QuorateError } from "./error.ts";
import { listAll, listPage } from "./lists.ts";
import { pause } from "./pause.ts";
import { pauseMs } from "./retry-budget.ts";
import { queryOf } from "./values.ts";
import { type Batch, batchesIn, putEventOf, type WatchEvent } from "./watch-stream.ts";

export type WatchEventKind = "put" | "delete" | "expire";

export interface WatchOptions {
  /** One key, … */
  readonly key?: string | undefined;
  /** … or all that begin so; the empty one stands for all keys. */
  readonly prefix?: string | undefined;
  /** Tells what came after this revision. Left out: after that of the first `progress` event. */
  readonly since?: number | undefined;
  /** Begins with a put for each key that is there, and then `synced`. Not with `since`. */
  readonly initial?: boolean | undefined;
  /** Only these kinds of changes. */
  readonly events?: readonly WatchEventKind[] | undefined;
  /** Whether to tell what the keys were before. */
  readonly previous?: boolean | undefined;
  /** Ends the watch, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a watch was told so far. */
interface Place {
  /** Everything up to this revision. */
  revision: number;
  /** The last revision that a bookmark has named. */
  bookmark: number;
}

const KINDS: readonly unknown[] = ["put", "delete", "expire"];

/**
 * Begins when the first event is asked for. Throws TypeError; the events reject with QuorateError:
 * REVISION_COMPACTED where what comes next is forgotten, and others where it cannot begin in time.
 * Once it has begun it outlives every outage.
 */
export function watch(caller: Caller, options: WatchOptions): AsyncIterableIterator<WatchEvent> {
  checkOptions(options);
  const ending = new AbortController();
  const { signal: given } = options;
  const all = given === undefined ? [ending.signal] : [ending.signal, given];
  const events = eventsOf(caller, options, AbortSignal.any(all));
  return {
    next: async () => {
      try {
        return await events.next();
      } catch (error) {
        if (ending.signal.aborted) return { done: true, value: undefined };
        throw error;
      }
    },
    return: async () => {
      ending.abort(); // Whoever waits for an event now would have to wait for it otherwise.
      await events.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* eventsOf(
  caller: Caller,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void, void> {
  const place = { revision: options.since ?? 0, bookmark: -1 };
  if (options.initial === true) yield* initialEvents(caller, options, { signal, place });
  else if (options.since === undefined) place.revision = await presentRevision(caller, signal);
  const beginBy = performance.now() + caller.timeoutMs;
  let hasBegun = false;
  for (let failures = 0; ; ) {
    try {
      const path = pathOf(options, place.revision);
      const chunks = caller.stream({ method: "GET", path }, signal);
      for await (const batch of batchesIn(chunks)) {
        hasBegun = true;
        if (batch === null) continue;
        failures = 0;
        yield* news(batch, place);
        place.revision = Math.max(place.revision, batch.revision);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof QuorateError) || !isPassing(error)) throw error;
      if (!hasBegun && performance.now() > beginBy) throw error;
    }
    failures += 1;
    await pause(pauseMs(failures), signal);
  }
}

/** What was not told yet: after a resumption, the node begins by saying how far the watch was. */
function* news({ events }: Batch, place: Place): Generator<WatchEvent, void, void> {
  for (const event of events) {
    if (event.type === "progress" || event.type === "synced") {
      if (event.revision <= place.bookmark) continue;
      place.bookmark = event.revision;
    }
    yield event;
  }
}

/** The keys that are there, as puts, all of one revision, which is then the place to go on from. */
async function* initialEvents(
  caller: Caller,
  options: WatchOptions,
  { signal, place }: { readonly signal: AbortSignal; readonly place: Place },
): AsyncGenerator<WatchEvent, void, void> {
  const { key, prefix } = options;
  const range = key === undefined ? { prefix } : { start: key, end: `${key}\0` };
  const revision = await presentRevision(caller, signal);
  for await (const entry of listAll(caller, { ...range, revision, signal })) {
    yield putEventOf(entry, null);
  }
  place.revision = revision;
  place.bookmark = revision;
  yield { type: "synced", revision };
}

async function presentRevision(caller: Caller, signal: AbortSignal): Promise<number> {
  return (await listPage(caller, { limit: 1, keysOnly: true, signal })).revision;
}

function pathOf({ key, prefix, events, previous }: WatchOptions, since: number): string {
  const query = queryOf({ key, prefix, since, events: events?.join(","), prev: previous });
  return `/v1/watch${query}`;
}

function checkOptions({ key, prefix, since, initial, events }: WatchOptions): void {
  if ((key === undefined) === (prefix === undefined)) {
    throw new TypeError("watch a key, or a prefix, where the empty one stands for all keys");
  }
  if (key !== undefined) keyOf("key", key);
  if (prefix !== undefined) textOf("prefix", prefix);
  wholeNumber("since", since);
  if (initial === true && since !== undefined) {
    throw new TypeError("initial begins with what is there: leave since out");
  }
  if (events === undefined) return;
  if (events.length === 0 || !events.every((kind) => KINDS.includes(kind))) {
    throw new TypeError("events are put, delete and expire");
  }
  if (initial === true && !events.includes("put")) {
    throw new TypeError("initial tells of keys by put events");
  }
}
