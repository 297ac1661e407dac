/** What a watch is told over a connection: whole revisions, out of pieces that may end anywhere. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { QuorateError } from "./error.ts";
import {
  type Entry,
  entryOf,
  entryOrNull,
  type NamedKey,
  namedKeyOf,
  type WireEntry,
  type WireKey,
} from "./values.ts";

/** A key was written, or is there when the watch begins. */
export interface PutEvent extends Entry {
  readonly type: "put";
  /** That wrote it: the same as its `modRevision`. */
  readonly revision: number;
  /** What it was before, where that was asked for; null: it was not there, or that is forgotten. */
  readonly previous: Entry | null;
}

/** A key was deleted, or its time was over. */
export interface GoneEvent extends NamedKey {
  readonly type: "delete" | "expire";
  readonly revision: number;
  readonly previous: Entry | null;
}

/** Everything up to `revision` was told. `synced`: what was there at the beginning was, too. */
export interface BookmarkEvent {
  readonly type: "synced" | "progress";
  readonly revision: number;
}

export type WatchEvent = PutEvent | GoneEvent | BookmarkEvent;

/** All events of one revision. */
export interface Batch {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

/** More than the largest event: two values of 1 MiB, of which JSON writes each byte as `\u0000`. */
const LINE_CHARS_MAX = 16 * 1024 * 1024;

/** Of an event that ends a stream, as the status of HTTP that it would be. */
const STATUS_GONE = 410;
const STATUS_UNAVAILABLE = 503;

/**
 * The batches in the pieces of a stream. One without events says that the stream is open. Rejects
 * with QuorateError where the node says that it ends, or something else than events comes.
 */
export async function* batchesIn(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Batch | null, void, void> {
  const decoder = new TextDecoder();
  const messages: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: LINE_CHARS_MAX,
    onEvent: (message) => messages.push(message),
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") throw notUnderstood(error);
    },
  });
  let events: WatchEvent[] = [];
  for await (const chunk of chunks) {
    if (chunk.length === 0) yield null;
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const message of messages.splice(0)) {
      const event = eventIn(message);
      if (event !== null) events.push(event);
      // Only the last event of a revision has an id: the others are no place to go on from.
      if (message.id === undefined) continue;
      yield { revision: Number(message.id), events };
      events = [];
    }
  }
}

/** Null: a kind of event that this client does not know. */
function eventIn({ event: type = "message", data }: EventSourceMessage): WatchEvent | null {
  const fields = fieldsIn(data);
  switch (type) {
    case "put":
      return putIn(fields as unknown as WirePut);
    case "delete":
    case "expire": {
      const { mod_revision: revision, prev, ...key } = fields as unknown as WireGone;
      return { type, ...namedKeyOf(key), revision, previous: entryOrNull(prev) };
    }
    case "progress":
      return { type, revision: Number(fields["revision"]) };
    case "error":
      throw endIn(fields);
    default:
      return null;
  }
}

interface WirePut extends WireEntry {
  readonly prev?: WireEntry;
}

interface WireGone extends WireKey {
  readonly mod_revision: number;
  readonly prev?: WireEntry;
}

function putIn(fields: WirePut): PutEvent {
  return putEventOf(entryOf(fields), entryOrNull(fields.prev));
}

export function putEventOf(entry: Entry, previous: Entry | null): PutEvent {
  return { type: "put", ...entry, revision: entry.modRevision, previous };
}

function fieldsIn(data: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(data) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw notUnderstood(error);
  }
}

/** Why a node ends a stream. All but one reason are no reason to end the watch. */
function endIn({ code, ...details }: Readonly<Record<string, unknown>>): QuorateError {
  const isCompacted = code === "REVISION_COMPACTED";
  return new QuorateError(`${String(code)}: the node has ended the watch`, {
    code: String(code),
    outcome: "not_applied",
    retryable: !isCompacted,
    status: isCompacted ? STATUS_GONE : STATUS_UNAVAILABLE,
    details,
  });
}

function notUnderstood(cause: unknown): QuorateError {
  const facts = { code: "BAD_ANSWER", outcome: "not_applied", retryable: false } as const;
  return new QuorateError("what came is no event of Quorate", { ...facts, status: 200, cause });
}
