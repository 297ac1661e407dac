/** What the streams of watches told, against each other, against the disk, and against writers. */
import {
  type Change,
  type Message,
  problemsOf,
  resumeAt,
  type Stream,
  type Told,
} from "../watch/validate.ts";
import { EVENT_KINDS, type EventKind } from "../../src/watch/selection.ts";

/** One connection of one watcher, and all that came over it. */
export interface Connection {
  readonly prefix: string;
  /** What came after it was asked for; null: all that is there, and then what comes. */
  readonly since: number | null;
  readonly withPrevious: boolean;
  readonly messages: readonly Message[];
  /** Up to here it was not cut off; null: it was. */
  readonly completeTo: number | null;
}

const KINDS: ReadonlySet<EventKind> = new Set(EVENT_KINDS);

/**
 * All changes, as one watcher was told them over connections that each go on where the last one
 * ended. An unfinished revision is left to the connection that tells it as a whole.
 */
export function historyOf(connections: readonly Connection[]): readonly Change[] {
  const history: Change[] = [];
  const state = new Map<string, Told>();
  for (const { messages } of connections) {
    const last = messages.findLastIndex(({ id }) => id !== null);
    for (const { event, data } of messages.slice(0, last + 1)) {
      if (!isKind(event)) continue;
      const key = String(data["key"]);
      const now = event === "put" ? (data as unknown as Told) : null;
      const before = state.get(key) ?? null;
      history.push({ kind: event, revision: Number(data["mod_revision"]), key, now, before });
      if (now === null) state.delete(key);
      else state.set(key, now);
    }
  }
  return history;
}

/** Where the history that was told differs from the one on disk, which begins after `since`. */
export function contradictions(
  told: readonly Change[],
  onDisk: readonly Change[],
  since: number,
): readonly string[] {
  const known = told.filter(({ revision }) => revision > since);
  const problems: string[] = [];
  for (let at = 0; at < Math.max(known.length, onDisk.length); at++) {
    const [wanted, got] = [show(onDisk[at]), show(known[at])];
    if (wanted === got) continue;
    // All that follows is moved by one: it would say nothing more.
    return [...problems, `the disk has ${wanted}, and watchers were told ${got}`];
  }
  return problems;
}

/** A write that was acknowledged. */
export interface Acknowledged {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** Acknowledged writes that no watcher was told of. */
export function untold(
  writes: readonly Acknowledged[],
  history: readonly Change[],
): readonly string[] {
  const places = new Set(history.map((each) => placeOf(each.key, each.now?.value, each.revision)));
  return writes
    .filter(({ key, value, revision }) => !places.has(placeOf(key, value, revision)))
    .map(({ key, value, revision }) => `${key} = ${value} at ${revision} was told to nobody`);
}

/**
 * Everything that is wrong with a connection, in words. What was before a change may be missing
 * at or below `compacted` only: there the past was forgotten.
 */
export function connectionProblems(
  connection: Connection,
  history: readonly Change[],
  compacted = 0,
): readonly string[] {
  const { prefix, since, withPrevious, messages, completeTo } = connection;
  const selects = (key: string) => key.startsWith(prefix);
  const about = { selects, kinds: KINDS, withPrevious, ...(completeTo !== null && { completeTo }) };
  if (since !== null) return streamProblems({ ...about, since, messages }, history, compacted);
  const at = messages.findIndex(({ event }) => event === "synced");
  const synced = messages[at];
  // It was cut off before it had told all: nobody may rely on anything yet.
  if (synced === undefined) return [];
  const revision = Number(synced.data["revision"]);
  const rest = { ...about, since: revision, messages: messages.slice(at) };
  const listed = messages.slice(0, at);
  return [
    ...listingProblems(
      listed,
      history.filter((each) => selects(each.key)),
      revision,
    ),
    ...streamProblems(rest, history, compacted),
  ];
}

/** Only the part of the history that the stream may speak of: histories are long, streams many. */
function streamProblems(
  stream: Stream,
  history: readonly Change[],
  compacted: number,
): readonly string[] {
  const told = stream.messages.map(({ data }) => Number(data["mod_revision"] ?? data["revision"]));
  const to = Math.max(stream.completeTo ?? 0, ...lastOf(told));
  const begin = firstAfter(history, stream.since);
  const end = firstAfter(history, to);
  const problems = problemsOf(stream, history.slice(begin, end), compacted);
  return problems.map((problem) => `a watch from ${stream.since} on: ${problem}`);
}

/** The keys of a state, each once and in order, and nothing with an id. */
function listingProblems(
  listed: readonly Message[],
  history: readonly Change[],
  revision: number,
): readonly string[] {
  const state = new Map<string, Told>();
  for (const { key, now } of history.slice(0, firstAfter(history, revision))) {
    if (now === null) state.delete(key);
    else state.set(key, now);
  }
  const wanted = [...state.values()].map(fieldsOf).sort();
  const got = listed.map(({ data }) => fieldsOf(data as unknown as Told)).sort();
  const problems: string[] = [];
  if (JSON.stringify(wanted) !== JSON.stringify(got)) {
    problems.push(`a watch told ${got.length} keys at ${revision}, not the ${wanted.length} there`);
  }
  const named = listed.find(({ id, event }) => id !== null || event !== "put");
  if (named !== undefined) problems.push(`a listing has a ${named.event} with id ${named.id}`);
  return problems;
}

/** The index of the first change after a revision. */
function firstAfter(history: readonly Change[], revision: number): number {
  let [low, high] = [0, history.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((history[middle]?.revision ?? 0) > revision) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Where a watcher goes on; null: it must begin anew. */
export function placeAfter({ since, messages }: Connection): number | null {
  return resumeAt(messages) ?? since;
}

/** The greatest of the last few: the order of all is checked elsewhere. */
function lastOf(told: readonly number[]): readonly number[] {
  return told.filter(Number.isFinite).slice(-100);
}

function isKind(event: string): event is EventKind {
  return (KINDS as ReadonlySet<string>).has(event);
}

function show(change: Change | undefined): string {
  if (change === undefined) return "nothing more";
  const { kind, key, revision, now } = change;
  return `${kind} of ${key} at ${revision}${now === null ? "" : ` ${fieldsOf(now)}`}`;
}

function fieldsOf({ key, value, version, mod_revision, create_revision }: Told): string {
  return JSON.stringify([key, value, version, mod_revision, create_revision]);
}

function placeOf(key: string, value: string | undefined, revision: number): string {
  return `${revision} ${key} ${value ?? ""}`;
}
