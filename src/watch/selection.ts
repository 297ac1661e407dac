/** What a watcher wants to be told, and what a change is to it. */
import type { Key } from "../kv/key.ts";
import { isLive, type LiveVersion, type Version } from "../kv/version.ts";

/** What happened to a key. `expire`: it was deleted because its lease was over. */
export type EventKind = "put" | "delete" | "expire";

export const EVENT_KINDS: readonly EventKind[] = ["put", "delete", "expire"];

/** Which changes. */
export interface Selection {
  /** Of one key, or of all that begin with it. */
  readonly target: "key" | "prefix";
  readonly key: Key;
  readonly kinds: ReadonlySet<EventKind>;
  /** Whether events say what the key was before. */
  readonly withPrevious: boolean;
}

/** A change, as a watcher is told of it. */
export interface WatchEvent {
  readonly kind: EventKind;
  readonly version: Version;
  /** What the key was before; null: it was not there, nobody asked, or that is compacted. */
  readonly previous: LiveVersion | null;
}

/** The same text for selections to which the same changes are the same events. */
export function nameOf({ target, key, kinds, withPrevious }: Selection): string {
  const kindsName = EVENT_KINDS.filter((kind) => kinds.has(kind)).join();
  return `${target} ${kindsName} ${withPrevious} ${key}`;
}

/** What a change of a selected key is to the selection; null: it is filtered out. */
export function eventOf(
  { kinds, withPrevious }: Selection,
  version: Version,
  compactRevision: number,
): WatchEvent | null {
  const kind = kindOf(version);
  if (!kinds.has(kind)) return null;
  // The state before the compaction revision itself cannot be read any more.
  const isKnown = withPrevious && version.modRevision > compactRevision;
  const { prev } = version;
  return { kind, version, previous: isKnown && prev !== null && isLive(prev) ? prev : null };
}

function kindOf(version: Version): EventKind {
  if (isLive(version)) return "put";
  return version.expired === true ? "expire" : "delete";
}
