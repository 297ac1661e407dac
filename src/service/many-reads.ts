/** Reads of many keys as they were at one revision: parts of ranges, counts, and single keys. */
import type { Key } from "../kv/key.ts";
import type { ListRange, Page, PageLimits, Slices } from "../kv/range.ts";
import type { KvStore } from "../kv/store.ts";
import type { KeyValue } from "../kv/version.ts";
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import { ContentHash } from "./node-content-hash.ts";
import { SlicedReads } from "./sliced-reads.ts";

/** A range, and at which revision; null: as it is now. */
export interface RangeAt {
  readonly range: ListRange;
  readonly revision: number | null;
}

/** Keys, and at which revision; null: as they are now. */
export interface KeysAt {
  readonly keys: readonly Key[];
  readonly revision: number | null;
  /** Of keys and values together: where they have more, the request fails. */
  readonly bytesMax: number;
}

/** What was read. */
export interface ManyReading<Found> {
  readonly found: Found;
  /** At which all of it was read. */
  readonly revision: number;
  /** Of the store when the reading began. */
  readonly storeRevision: number;
}

/** What reads the store, slice by slice, and by when it must have ended. */
interface Reader<Found> {
  readonly revision: number | null;
  readonly deadline: Millis;
  readonly read: (revision: number) => Slices<Found>;
}

/** Reads from this node's own state as it is when they begin; they take turns. */
export class ManyReads {
  readonly #store: KvStore;
  readonly #reads: SlicedReads;

  constructor(store: KvStore, clock: Clock) {
    this.#store = store;
    this.#reads = new SlicedReads(clock);
  }

  /** Rejects with a ServiceError where the revision cannot be read, or at the deadline. */
  readPage(
    { range, revision }: RangeAt,
    limits: PageLimits,
    deadline: Millis,
  ): Promise<ManyReading<Page>> {
    const read = (at: number) => {
      this.#checkSince(range);
      return this.#store.readPage({ range, revision: at, limits });
    };
    return this.#run({ revision, deadline, read });
  }

  /** Otherwise as `readPage`. */
  countRange({ range, revision }: RangeAt, deadline: Millis): Promise<ManyReading<number>> {
    const read = (at: number) => {
      this.#checkSince(range);
      return this.#store.countRange({ range, revision: at });
    };
    return this.#run({ revision, deadline, read });
  }

  /** One result for each key, in their order; null: it was not there. Otherwise as `readPage`. */
  async readKeys(
    { keys, revision, bytesMax }: KeysAt,
    deadline: Millis,
  ): Promise<ManyReading<readonly (KeyValue | null)[]>> {
    const read = (at: number) => this.#store.readKeys({ keys, revision: at, bytesMax });
    const { found, ...reading } = await this.#run({ revision, deadline, read });
    if (found !== null) return { found, ...reading };
    const text = `these keys have more than ${bytesMax} bytes together: ask for fewer at once`;
    throw new ServiceError("VALUE_TOO_LARGE", text);
  }

  /** A hash over every key, with all that is known of it. Otherwise as `readPage`. */
  async hash(revision: number | null, deadline: Millis): Promise<ManyReading<string>> {
    const hash = new ContentHash();
    const read = (at: number) => this.#store.readAll(at, (page) => hash.add(page));
    const reading = await this.#run({ revision, deadline, read });
    return { ...reading, found: hash.finish() };
  }

  #run<Found>({ revision, deadline, read }: Reader<Found>): Promise<ManyReading<Found>> {
    return this.#reads.run(slicesOf(this.#store, revision, read), deadline);
  }

  #checkSince({ since }: ListRange): void {
    if (since > this.#store.revision) throw inFuture(this.#store, since);
  }
}

/** The first slice also looks at the revision: until it runs, that may have been forgotten. */
function* slicesOf<Found>(
  store: KvStore,
  revision: number | null,
  read: (revision: number) => Slices<Found>,
): Slices<ManyReading<Found>> {
  const storeRevision = store.revision;
  const at = revision ?? storeRevision;
  mustHave(store, at);
  const found = yield* read(at);
  return { found, revision: at, storeRevision };
}

/** Throws ServiceError where the state at `revision` cannot be read. */
export function mustHave(store: KvStore, revision: number): void {
  switch (store.checkRevision(revision)) {
    case "ok":
      return;
    case "compacted":
      throw new ServiceError("REVISION_COMPACTED", `revision ${revision} is forgotten`, {
        details: detailsOf(store),
      });
    case "future":
      throw inFuture(store, revision);
  }
}

function inFuture(store: KvStore, revision: number): ServiceError {
  const text = `revision ${revision} is not written yet`;
  return new ServiceError("REVISION_IN_FUTURE", text, { details: detailsOf(store) });
}

function detailsOf({ compactRevision, revision }: KvStore) {
  return { oldest: compactRevision, current: revision };
}
