/** The state machine: commands in, results out, the same on every node. */
import { AssertionError, assert, unreachable } from "../lib/assert.ts";
import { ByteWriter, MalformedError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import {
  type Command,
  type Compact,
  type Condition,
  type Delete,
  decodeCommand,
  type Put,
} from "./command.ts";
import type { Key } from "./key.ts";
import { Keyspace } from "./keyspace.ts";
import { encodeSnapshot, SnapshotReader } from "./snapshot.ts";
import { Timeline } from "./timeline.ts";
import { type KeyValue, keyValueOf, type LiveVersion, metadataOf, toStored } from "./version.ts";
import type { Metadata } from "./version.ts";

/** The order is a part of the digest. */
const REFUSALS = [
  "VERSION_MISMATCH",
  "KEY_NOT_FOUND",
  "PRECONDITION_FAILED",
  "REVISION_COMPACTED",
  "REVISION_IN_FUTURE",
] as const;

/** Why a command changed nothing. */
export type KvRefusal = (typeof REFUSALS)[number];

/** What became of a command. */
export type KvResult =
  | {
      readonly ok: true;
      /** Of the store, afterwards. */
      readonly revision: number;
      /** What the key is now; null: it is not there. */
      readonly current: Metadata | null;
      /** What the key was before, if the command asked for that and it was there. */
      readonly previous: KeyValue | null;
      /** How many keys were deleted. */
      readonly deleted: number;
    }
  | {
      readonly ok: false;
      readonly code: KvRefusal;
      readonly revision: number;
      /** What the key is, so that nobody has to ask again. */
      readonly current: Metadata | null;
    };

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

/** A result without the value it may carry. */
const RESULT_BYTES = 256;
/** Freed with each command, so that memory follows the compaction without a pause. */
const PURGE_PER_COMMAND = 32;

/**
 * A multi-version map that changes only by `apply`. Deterministic: equal commands in equal order
 * give equal states, results, digests and snapshots, whatever the node did in between.
 */
export class KvStore {
  /** Changes with every command: equal on all nodes that have applied the same. */
  digest = 0;
  private keyspace = new Keyspace();
  private time = 0;
  private readonly timeline = new Timeline();

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

  /** Applies a command. One that cannot be read was written by a newer version, or is a bug. */
  apply(bytes: Uint8Array, time: number): KvResult {
    assert(time >= this.time, "cluster time goes back");
    this.time = time;
    const result = this.applyCommand(decode(bytes));
    this.timeline.note(time, this.revision);
    this.keyspace.purge(PURGE_PER_COMMAND);
    this.digest = crc32c(bytes, digestOf(this.digest, time, result));
    return result;
  }

  /** How much memory a result keeps alive, about. */
  resultBytes(result: KvResult): number {
    return RESULT_BYTES + (result.ok ? (result.previous?.value.length ?? 0) : 0);
  }

  /** The state as it is now, to be encoded bit by bit while this one goes on. */
  freeze(): { chunks(): Iterator<Uint8Array>; release(): void } {
    const { keyspace, time, digest } = this;
    const view = keyspace.freeze();
    return {
      chunks: () => encodeSnapshot(view, { time, digest }),
      release: () => keyspace.release(view),
    };
  }

  /** Reads a snapshot beside the present state, which `commit` replaces. */
  restorer(): SnapshotReader {
    return new SnapshotReader((keyspace, { time, digest }) => {
      this.keyspace = keyspace;
      this.time = time;
      this.digest = digest;
      this.timeline.clear();
      this.timeline.note(time, keyspace.revision);
    });
  }

  private applyCommand(command: Command): KvResult {
    switch (command.type) {
      case "put":
        return this.put(command);
      case "delete":
        return this.delete(command);
      case "compact":
        return this.compact(command);
      default:
        return unreachable(command);
    }
  }

  private put(command: Put): KvResult {
    const { key } = command;
    const live = this.keyspace.get(key);
    const code = failure(command.conditions, live);
    if (code !== null) return this.refusal(code, live);
    const version = this.keyspace.put(key, toStored(command.value), this.revision + 1);
    const current = metadataOf(version);
    const previous = command.returnPrevious && live !== null ? keyValueOf(live) : null;
    return { ok: true, revision: this.revision, current, previous, deleted: 0 };
  }

  private delete(command: Delete): KvResult {
    const live = this.keyspace.get(command.key);
    const code = failure(command.conditions, live);
    if (code !== null) return this.refusal(code, live);
    if (live !== null) this.keyspace.delete(live, this.revision + 1);
    const previous = command.returnPrevious && live !== null ? keyValueOf(live) : null;
    const deleted = live === null ? 0 : 1;
    return { ok: true, revision: this.revision, current: null, previous, deleted };
  }

  private compact({ revision }: Compact): KvResult {
    if (revision <= this.compactRevision) return this.refusal("REVISION_COMPACTED", null);
    if (revision > this.revision) return this.refusal("REVISION_IN_FUTURE", null);
    this.keyspace.compact(revision);
    this.timeline.forget(revision);
    return { ok: true, revision: this.revision, current: null, previous: null, deleted: 0 };
  }

  private refusal(code: KvRefusal, live: LiveVersion | null): KvResult {
    const current = live === null ? null : metadataOf(live);
    return { ok: false, code, revision: this.revision, current };
  }
}

function decode(bytes: Uint8Array): Command {
  try {
    return decodeCommand(bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new AssertionError(`a committed command cannot be read: ${error.message}`);
  }
}

/** The code of the first condition that does not hold; null: all hold. */
function failure(conditions: readonly Condition[], live: LiveVersion | null): KvRefusal | null {
  for (const condition of conditions) {
    const code = check(condition, live);
    if (code !== null) return code;
  }
  return null;
}

function check(condition: Condition, live: LiveVersion | null): KvRefusal | null {
  const version = live?.version ?? 0;
  const modRevision = live?.modRevision ?? 0;
  switch (condition.type) {
    case "version":
      if (version === condition.version) return null;
      return live === null ? "KEY_NOT_FOUND" : "VERSION_MISMATCH";
    case "modRevision":
      return modRevision === condition.modRevision ? null : "PRECONDITION_FAILED";
    case "otherModRevision":
      return modRevision !== condition.modRevision ? null : "PRECONDITION_FAILED";
    case "exists":
      return live !== null ? null : "PRECONDITION_FAILED";
    case "absent":
      return live === null ? null : "PRECONDITION_FAILED";
    default:
      return unreachable(condition);
  }
}

/** Covers what was answered when, and everything before. */
function digestOf(before: number, time: number, result: KvResult): number {
  const { revision, current } = result;
  const out = new ByteWriter();
  out.u32(before);
  out.varint(time);
  out.varint(revision);
  out.u8(result.ok ? 0 : REFUSALS.indexOf(result.code) + 1);
  out.varint(result.ok ? result.deleted : 0);
  out.varint(current?.version ?? 0);
  out.varint(current?.createRevision ?? 0);
  out.varint(current?.modRevision ?? 0);
  return crc32c(out.finish());
}
