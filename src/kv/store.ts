/** The state machine: commands in, results out, the same on every node. */
import { AssertionError, assert } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import { tellAll } from "./all-pages.ts";
import { applyCommand, type State } from "./apply.ts";
import { Chain } from "./chain.ts";
import { type Command, decodeCommand } from "./command.ts";
import { Digest } from "./digest.ts";
import type { Key } from "./key.ts";
import { Keyspace } from "./keyspace.ts";
import type { KeyPage, KeyPageLimits } from "./leased-keys.ts";
import { type Lease, Leases } from "./leases.ts";
import {
  countRange,
  type ListRange,
  type Page,
  type PageLimits,
  readKeys,
  readPage,
  type Slices,
} from "./range.ts";
import { Remembered } from "./remembered.ts";
import type { KvResult } from "./result.ts";
import { resultBytes } from "./result-bytes.ts";
import { encodeSnapshot } from "./snapshot.ts";
import { SnapshotReader } from "./snapshot-reader.ts";
import type { Txn } from "./operation.ts";
import { Timeline } from "./timeline.ts";
import { isReadOnly } from "./txn.ts";
import { type KeyValue, keyValueOf, type LiveVersion, type Version } from "./version.ts";

export type { KvRefusal, KvResult } from "./result.ts";

/** Whether the state at a revision can be read. */
export type RevisionCheck = "ok" | "compacted" | "future";

/** Keys to read, in bytewise order. */
export interface RangeOptions {
  /** The first key. */
  readonly start: Key;
  /** The key before which to stop; null: none. */
  readonly end: Key | null;
  /** At which revision, one that `checkRevision` accepts. */
  readonly revision: number;
  readonly limit: number;
}

/** A range at a revision, to be read a slice at a time. */
export interface RangeQuery {
  readonly range: ListRange;
  readonly revision: number;
}

/** Keys to read at a revision, with at most so many bytes of keys and values together. */
export interface KeysQuery {
  readonly keys: readonly Key[];
  readonly revision: number;
  readonly bytesMax: number;
}

/** The key of a range that was created first. */
export interface Oldest {
  /** Null: there are none. */
  readonly oldest: KeyValue | null;
  /** How many keys there are. */
  readonly count: number;
}

/** Freed with each command, so that memory follows the compaction even where all are busy. */
const PURGE_PER_COMMAND = 32;

/**
 * A multi-version map that changes only by `apply`. Deterministic: equal commands in equal order
 * give equal states, results, digests and snapshots, whatever the node did in between.
 */
export class KvStore {
  private chain = new Chain({ commands: 0, chain: new Digest() });
  private state: State = {
    keyspace: new Keyspace(),
    leases: new Leases(),
    remembered: new Remembered(),
  };
  private time = 0;
  private readonly timeline = new Timeline();
  private readonly listeners = new Set<(change: "applied" | "restored") => void>();

  /** How many commands have made this state. */
  get commands(): number {
    return this.chain.commands;
  }

  /** Changes with every command: equal on all nodes that have applied the same, to the same end. */
  get digest(): string {
    return this.chain.text;
  }

  /** What the digest was after so many commands; null: that is too long ago, or yet to come. */
  digestAt(commands: number): string | null {
    return this.chain.at(commands);
  }

  /**
   * Calls `listener` after every command that made a new revision, and after the whole state was
   * replaced by a snapshot, until the returned function is called.
   */
  listen(listener: (change: "applied" | "restored") => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /**
   * The changes from `revision` on, which must not be older than the compaction revision, in order:
   * one after another where they share a revision. Read it at once: a later command may purge.
   */
  changesFrom(revision: number): Iterable<Version> {
    assert(revision >= this.compactRevision, "these changes are forgotten");
    return this.keyspace.changesFrom(revision);
  }

  /** The number of the last change; 1 while there was none. */
  get revision(): number {
    return this.keyspace.revision;
  }

  /** The oldest revision that can be read; 0: all can. */
  get compactRevision(): number {
    return this.keyspace.compactRevision;
  }

  get liveKeys(): number {
    return this.keyspace.liveKeys;
  }

  /** What the present keys and values account for in memory, about. */
  get liveBytes(): number {
    return this.keyspace.liveBytes;
  }

  /** What only reads of the past need in memory, about. */
  get historyBytes(): number {
    return this.keyspace.historyBytes;
  }

  /** Cluster time of the last command. */
  get clusterTime(): number {
    return this.time;
  }

  checkRevision(revision: number): RevisionCheck {
    if (revision > this.revision) return "future";
    return revision < this.compactRevision ? "compacted" : "ok";
  }

  /** The key as it is now. */
  get(key: Key): KeyValue | null {
    const live = this.keyspace.get(key);
    return live === null ? null : keyValueOf(live);
  }

  /** The key as it was at a revision that `checkRevision` accepts. */
  getAt(key: Key, revision: number): KeyValue | null {
    assert(this.checkRevision(revision) === "ok", "reading a revision that is not there");
    const live = this.keyspace.getAt(key, revision);
    return live === null ? null : keyValueOf(live);
  }

  /**
   * Of the keys from `start` on and before `end`, as they are now, the one that was created first,
   * and how many there are; null: more than `keysMax`. 10,000 take about a millisecond.
   */
  oldestBetween(start: Key, end: Key, keysMax: number): Oldest | null {
    let oldest: LiveVersion | null = null;
    let count = 0;
    for (const live of this.keyspace.liveFrom(start)) {
      if (live.key >= end) break;
      if (++count > keysMax) return null;
      if (oldest === null || live.createRevision < oldest.createRevision) oldest = live;
    }
    return { oldest: oldest === null ? null : keyValueOf(oldest), count };
  }

  /** A lease that clients may name; null: it is not there. */
  lease(id: number): Lease | null {
    return this.state.leases.get(id);
  }

  /** Some of the keys that hang on a lease, in order. */
  keysOfLease(id: number, limits: KeyPageLimits): KeyPage {
    return this.state.leases.keysIn(id, limits);
  }

  /** Any lease, even one that belongs to a key; null: it is not there any more. */
  anyLease(id: number): Lease | null {
    return this.state.leases.has(id) ? this.state.leases.of(id) : null;
  }

  /** A transaction that is read-only. */
  readTxn(txn: Txn): KvResult {
    assert(isReadOnly(txn), "this transaction would write");
    return applyCommand(this.state, { type: "txn", ...txn }, this.time);
  }

  /** How many leases there are. */
  get leases(): number {
    return this.state.leases.size;
  }

  /** Leases whose deadline has come at this cluster time, at most so many. */
  leasesDue(time: number, limit: number): number[] {
    return this.state.leases.due(time, limit);
  }

  /** Reads a part of a range, a slice at a time, at a revision that `checkRevision` accepts. */
  *readPage(query: RangeQuery & { readonly limits: PageLimits }): Slices<Page> {
    this.mustHave(query.revision);
    return yield* this.keyspace.keeping(query.revision, readPage(this.keyspace, query));
  }

  /** Counts the keys and common prefixes of a range; otherwise as `readPage`. */
  *countRange(query: RangeQuery): Slices<number> {
    this.mustHave(query.revision);
    return yield* this.keyspace.keeping(query.revision, countRange(this.keyspace, query));
  }

  /** Reads keys, as `readKeys` says; otherwise as `readPage`. */
  *readKeys(query: KeysQuery): Slices<readonly (KeyValue | null)[] | null> {
    this.mustHave(query.revision);
    return yield* this.keyspace.keeping(query.revision, readKeys(this.keyspace, query));
  }

  /** Calls `tell` with every key as it was at a revision, in order; otherwise as `readPage`. */
  *readAll(revision: number, tell: (page: Page) => void): Slices<void> {
    this.mustHave(revision);
    yield* this.keyspace.keeping(revision, tellAll(this.keyspace, revision, tell));
  }

  range(options: RangeOptions): { readonly items: readonly KeyValue[]; readonly more: boolean } {
    assert(this.checkRevision(options.revision) === "ok", "reading a revision that is not there");
    const { versions, more } = this.keyspace.range(options);
    return { items: versions.map(keyValueOf), more };
  }

  /** The newest revision that is older than this cluster time; null: it is not known. */
  revisionBefore(time: number): number | null {
    return this.timeline.revisionBefore(time);
  }

  /** The oldest revision to compact at so that `bytesMax` of history remain; null: none needed. */
  revisionLeaving(bytesMax: number): number | null {
    if (this.historyBytes <= bytesMax) return null;
    return this.keyspace.revisionLeaving(bytesMax);
  }

  /**
   * Applies a command. One that cannot be read was written by a newer version (then the `cause` of
   * the AssertionError is a NewerError), or is a bug.
   */
  apply(bytes: Uint8Array, time: number): KvResult {
    assert(time >= this.time, "cluster time goes back");
    this.time = time;
    const { revision, compactRevision } = this;
    const result = applyCommand(this.state, decode(bytes), time);
    this.timeline.note(time, this.revision);
    if (this.compactRevision !== compactRevision) this.timeline.forget(this.compactRevision);
    this.keyspace.purge(PURGE_PER_COMMAND);
    const { liveKeys, liveBytes } = this;
    this.chain.link({ command: bytes, time, result, liveKeys, liveBytes });
    if (this.revision !== revision) this.tell("applied");
    return result;
  }

  /**
   * Frees up to `count` compacted changes, and returns how many: fewer if no more can be freed now.
   * Nobody sees a difference but in memory. 4,096 take some milliseconds.
   */
  purge(count: number): number {
    return this.keyspace.purge(count);
  }

  /** See `resultBytes`. */
  resultBytes(result: KvResult): number {
    return resultBytes(result);
  }

  /** The state as it is now, to be encoded bit by bit while this one goes on. */
  freeze(): { chunks(): Iterator<Uint8Array>; release(): void } {
    const { time } = this;
    const chain = this.chain.freeze();
    const { keyspace, leases, remembered } = this.state;
    const view = keyspace.freeze();
    const rest = { leases: leases.freeze(), nextLease: leases.nextId };
    const replies = remembered.freeze();
    return {
      chunks: () => encodeSnapshot(view, { time, ...chain, ...rest, replies }),
      release: () => keyspace.release(view),
    };
  }

  /** Reads a snapshot beside the present state, which `commit` replaces. */
  restorer(): SnapshotReader {
    return new SnapshotReader((state, { time, commands, chain }) => {
      this.state = state;
      this.time = time;
      this.chain = new Chain({ commands, chain });
      this.timeline.clear();
      this.timeline.note(time, state.keyspace.revision);
      this.tell("restored");
    });
  }

  private get keyspace(): Keyspace {
    return this.state.keyspace;
  }

  private mustHave(revision: number): void {
    assert(this.checkRevision(revision) === "ok", "reading a revision that is not there");
  }

  private tell(change: "applied" | "restored"): void {
    for (const listener of this.listeners) listener(change);
  }
}

function decode(bytes: Uint8Array): Command {
  try {
    return decodeCommand(bytes);
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new AssertionError(`a committed command cannot be read: ${cause.message}`, { cause });
  }
}
