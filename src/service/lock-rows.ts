/** The rows of those who hold locks or wait for them, and who is told when it is their turn. */
import { must } from "../lib/assert.ts";
import { isKeySize, type Key, keyOf, prefixEnd } from "../kv/key.ts";
import type { KvStore, Oldest } from "../kv/store.ts";
import { isLive, type KeyValue } from "../kv/version.ts";
import { ServiceError } from "./errors.ts";
import type { RevisionWaits } from "./revision-waits.ts";

const PREFIX = "locks/";
/** Who may want a lock at once: nobody else enters, as far as a node sees. */
export const ROW_MAX = 1_000;
/**
 * Keys of a row that are looked at, which takes about a millisecond. Nodes that let others enter at
 * the same time come near it by no means, but anybody can put keys there.
 */
const ROW_KEYS_MAX = 10_000;

export interface LockRowsDeps {
  readonly store: Pick<KvStore, "revision" | "compactRevision" | "changesFrom" | "oldestBetween">;
  readonly revisions: Pick<RevisionWaits, "whenReached">;
}

/** Those of a row who wait on this node: whom to call for which key. */
type Row = Map<Key, Set<() => void>>;

/**
 * All who wait share one look at what has changed: a row in which no key has gone costs nothing,
 * and one in which some have is read once, for however many there are.
 */
export class LockRows {
  readonly #deps: LockRowsDeps;
  /** By the prefix of their keys; none is empty. */
  readonly #rows = new Map<Key, Row>();
  /** Changes up to here were looked at. */
  #seen = 0;
  #isWatching = false;

  constructor(deps: LockRowsDeps) {
    this.#deps = deps;
  }

  /**
   * Calls `done` once the key, which was just found behind another, is the oldest of its row, or is
   * gone; now and then also when it is neither. Returns how to cancel that.
   */
  whenTurn(key: Key, done: () => void): () => void {
    const prefix = must(rowOf(key), "the key of a lock");
    if (this.#rows.size === 0) this.#seen = this.#deps.store.revision;
    const row: Row = this.#rows.get(prefix) ?? new Map();
    this.#rows.set(prefix, row);
    const waiting = row.get(key) ?? new Set();
    row.set(key, waiting.add(done));
    this.#watch();
    return () => {
      waiting.delete(done);
      if (waiting.size === 0 && row.get(key) === waiting) row.delete(key);
      if (row.size === 0 && this.#rows.get(prefix) === row) this.#rows.delete(prefix);
    };
  }

  #watch(): void {
    if (this.#isWatching || this.#rows.size === 0) return;
    this.#isWatching = true;
    this.#deps.revisions.whenReached(this.#seen + 1, () => {
      this.#isWatching = false;
      this.#look();
      this.#watch();
    });
  }

  #look(): void {
    const { store } = this.#deps;
    const from = this.#seen + 1;
    this.#seen = store.revision;
    // A snapshot may have come without what happened since: so all must look for themselves.
    if (from < store.compactRevision) return this.#wakeAll();
    const shorter = new Set<Key>();
    for (const version of store.changesFrom(from)) {
      // Whoever comes stands behind all who are there.
      if (isLive(version)) continue;
      const prefix = rowOf(version.key);
      if (prefix === null || !this.#rows.has(prefix)) continue;
      shorter.add(prefix);
      this.#wake(prefix, version.key);
    }
    for (const prefix of shorter) {
      // One that is too long is looked at again when it gets shorter.
      const first = rowAt(store, prefix)?.oldest ?? null;
      if (first !== null) this.#wake(prefix, first.key);
    }
  }

  #wakeAll(): void {
    for (const [prefix, row] of this.#rows) {
      for (const key of row.keys()) this.#wake(prefix, key);
    }
  }

  /** Each cancels itself. */
  #wake(prefix: Key, key: Key): void {
    for (const done of this.#rows.get(prefix)?.get(key) ?? []) done();
  }
}

/** What the keys of all who want this lock begin with. */
export function prefixOf(name: string): Key {
  // A name is one part of a path, whatever is in it.
  return keyOf(Buffer.from(`${PREFIX}${encodeURIComponent(name)}/`, "utf8"));
}

/** The key of one who wants the lock. Throws KEY_TOO_LONG. */
export function keyFor(name: string, owner: string): Key {
  const key = `${prefixOf(name)}${keyOf(Buffer.from(encodeURIComponent(owner), "utf8"))}` as Key;
  if (isKeySize(key.length)) return key;
  throw new ServiceError("KEY_TOO_LONG", "the names of the lock and its owner are too long");
}

/** How many stand in a row, and who holds the lock; null: there are more than are looked at. */
export function rowAt(store: Pick<KvStore, "oldestBetween">, prefix: Key): Oldest | null {
  const end = must(prefixEnd(prefix), "text never ends so");
  return store.oldestBetween(prefix, end, ROW_KEYS_MAX);
}

/** No state of a lock can be told with so many keys in its row. */
export function tooManyKeys(name: string): ServiceError {
  const text = `the lock "${name}" has more than ${ROW_KEYS_MAX} keys below ${PREFIX}`;
  return new ServiceError("OVERLOADED", `${text}: delete those that are no requests for it`);
}

/** No more may wait. */
export function tooManyWait(name: string): ServiceError {
  return new ServiceError("OVERLOADED", `${ROW_MAX} want the lock "${name}" already`);
}

/** Who has put the key of a row. */
export function ownerIn({ value }: KeyValue): string {
  return Buffer.from(value).toString("utf8");
}

/** The prefix of the row in which a key stands; null: in none. */
function rowOf(key: Key): Key | null {
  if (!key.startsWith(PREFIX)) return null;
  const end = key.indexOf("/", PREFIX.length);
  return end < 0 ? null : (key.slice(0, end + 1) as Key);
}
