/**
 * Whether the streams of a watch tell the truth: K1 to K6, and the guarantees of section 5 of the
 * HTTP API. It knows what really happened, and finds whatever was told otherwise.
 */
import type { EventKind } from "../../src/watch/selection.ts";

/** A key, as an event tells it. */
export interface Told {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly mod_revision: number;
  readonly create_revision: number;
}

/** What really happened to a key. Changes of one revision follow one another. */
export interface Change {
  readonly kind: EventKind;
  readonly revision: number;
  readonly key: string;
  /** What it became; null: it was deleted. */
  readonly now: Told | null;
  readonly before: Told | null;
}

/** One Server-Sent Event. */
export interface Message {
  readonly id: number | null;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What was asked for, and all that came. */
export interface Stream {
  /** Only what came after this revision was asked for. */
  readonly since: number;
  readonly selects: (key: string) => boolean;
  readonly kinds: ReadonlySet<EventKind>;
  readonly withPrevious: boolean;
  readonly messages: readonly Message[];
  /** It was not cut off, and everything until here must have been told. Left out: it was cut. */
  readonly completeTo?: number;
}

/**
 * All that is wrong with a stream: one line each. `prev` may only be missing at or below
 * `compacted`, the highest revision that was ever compacted at.
 */
export function problemsOf(
  stream: Stream,
  history: readonly Change[],
  compacted = 0,
): readonly string[] {
  const expected = history.filter(
    ({ kind, revision, key }) =>
      revision > stream.since && stream.kinds.has(kind) && stream.selects(key),
  );
  const problems: string[] = [];
  let at = 0;
  let bookmark = stream.since;
  for (const message of stream.messages) {
    const { event, id, data } = message;
    if (event === "error") continue;
    if (event === "progress" || event === "synced") {
      const revision = Number(data["revision"]);
      const missed = expected.slice(at).find((change) => change.revision <= revision);
      if (id !== revision) problems.push(`${event} at ${revision} has the id ${id}`);
      if (revision < bookmark) problems.push(`${event} at ${revision} goes back`);
      if (missed) problems.push(`${event} at ${revision} is ahead of ${nameOf(missed)}`);
      bookmark = revision;
      continue;
    }
    const change = expected[at];
    if (change === undefined) {
      problems.push(`nobody did ${event} ${JSON.stringify(data)}`);
      continue;
    }
    at += 1;
    const isLast = expected[at]?.revision !== change.revision;
    problems.push(...differences(message, change, { isLast, compacted, stream }));
  }
  const { completeTo } = stream;
  const missing = expected[at];
  if (completeTo !== undefined && missing !== undefined && missing.revision <= completeTo) {
    problems.push(`${nameOf(missing)} was never told`);
  }
  return problems;
}

/** Where to resume: the last id; null: there was none. */
export function resumeAt(messages: readonly Message[]): number | null {
  return messages.findLast(({ id }) => id !== null)?.id ?? null;
}

function differences(
  { event, id, data }: Message,
  change: Change,
  { isLast, compacted, stream }: { isLast: boolean; compacted: number; stream: Stream },
): string[] {
  const { prev, ...now } = data;
  const { revision, key } = change;
  const problems: string[] = [];
  const expected = change.now ?? { key, mod_revision: revision };
  const wanted = `${change.kind} ${sorted(expected)}`;
  const got = `${event} ${sorted(now)}`;
  if (got !== wanted) problems.push(`${got} instead of ${wanted}`);
  const wantedId = isLast ? revision : null;
  if (id !== wantedId) problems.push(`${nameOf(change)} has the id ${id}, not ${wantedId}`);
  const before = stream.withPrevious ? change.before : null;
  const mayBeMissing = revision <= compacted;
  if (prev === undefined && (before === null || mayBeMissing)) return problems;
  if (prev === undefined) problems.push(`${nameOf(change)} does not say what was before`);
  else if (before === null) problems.push(`${nameOf(change)} says that something was before`);
  else if (sorted(prev) !== sorted(before)) {
    problems.push(`${nameOf(change)}: before was ${sorted(before)}, not ${sorted(prev)}`);
  }
  return problems;
}

function nameOf({ kind, key, revision }: Change): string {
  return `${kind} of ${key} at ${revision}`;
}

function sorted(data: unknown): string {
  return JSON.stringify(Object.entries(data ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Reads Server-Sent Events as they come, in any pieces. Comments and `retry` are kept apart. */
export class SseReader {
  readonly messages: Message[] = [];
  comments = 0;
  retryMs: number | null = null;
  #rest = "";

  feed(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) this.#read(block);
  }

  #read(block: string): void {
    let id: number | null = null;
    let event = "message";
    let data = "";
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const value = line.slice(colon + 1).replace(/^ /, "");
      switch (line.slice(0, colon)) {
        case "":
          this.comments += 1;
          break;
        case "id":
          id = Number(value);
          break;
        case "event":
          event = value;
          break;
        case "data":
          data += value;
          break;
        case "retry":
          this.retryMs = Number(value);
          break;
        default:
          throw new Error(`no line of an event: ${line}`);
      }
    }
    if (data !== "") this.messages.push({ id, event, data: JSON.parse(data) });
  }
}
