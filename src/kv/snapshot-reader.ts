/** A state from the chunks of a snapshot, built beside the present one. */
import { ByteReader, MalformedError, NewerError } from "../lib/bytes.ts";
import type { State } from "./apply.ts";
import { isIdempotencyKey } from "./command.ts";
import { decodeDigest } from "./digest.ts";
import { type Key, VALUE_BYTES_MAX } from "./key.ts";
import { Keyspace } from "./keyspace.ts";
import { LeasedKeys } from "./leased-keys.ts";
import { Leases } from "./leases.ts";
import { decodeKey as readKey } from "./operation.ts";
import { OUTCOME_BYTES_MAX } from "./outcome.ts";
import { Remembered } from "./remembered.ts";
import { decodeLeaseState, decodeResult } from "./result.ts";
import {
  BASES,
  CHANGES,
  DELETE,
  END,
  FORMAT,
  HEADER,
  INLINE_BYTES_MAX,
  LEASED_OR_EXPIRED,
  LEASES,
  NEXT_REVISION,
  PART,
  PART_BYTES_MAX,
  REPLIES,
  revisionBefore,
  type StateFields,
} from "./snapshot.ts";
import { type Stored, toStored } from "./version.ts";

/** What the header says. */
interface Header extends StateFields {
  readonly revision: number;
  readonly compactRevision: number;
}

/** See above. Whatever is wrong with a chunk, it says so by a MalformedError. */
export class SnapshotReader {
  private readonly done: (state: State, fields: StateFields) => void;
  private keyspace = new Keyspace();
  private header: Header | null = null;
  /** The kind of the last chunk that was not a part. They come in the order of their numbers. */
  private stage = 0;
  private parts: Uint8Array[] = [];
  private bases = 0;
  private changes = 0;
  private leases = new Leases();
  private lastLease = 0;
  private readonly remembered = new Remembered();
  private readonly leased = new LeasedKeys();
  /** Keys that hang on a lease which has not come yet. */
  private waiting = 0;
  private lastKey = "" as Key;

  /** `done` is called by `commit`, with the whole state. */
  constructor(done: (state: State, fields: StateFields) => void) {
    this.done = done;
  }

  /**
   * Takes the next chunk, as it was cut. Throws MalformedError where it makes no sense; then the
   * reader is of no more use.
   */
  feed(chunk: Uint8Array): void {
    const source = new ByteReader(chunk);
    const kind = source.u8();
    if (!mayFollow(kind, this.stage)) {
      throw new MalformedError(`a chunk of kind ${kind} after one of kind ${this.stage}`);
    }
    if (kind === PART) return this.takePart(source.bytes(source.remaining));
    this.stage = kind;
    if (kind === HEADER) this.readHeader(source);
    else if (kind === END) this.readEnd(source);
    else readAll(source, () => this.readRecord(kind, source));
    source.end();
    if (this.parts.length > 0) throw new MalformedError("parts of no value");
  }

  /** Hands over the state. Throws MalformedError if the snapshot is not complete. */
  commit(): void {
    const { header, keyspace, leases, remembered } = this;
    if (header === null || this.stage !== END) throw new MalformedError("the snapshot is cut off");
    if (header.compactRevision > 0) keyspace.compact(header.compactRevision);
    if (this.waiting > 0) throw new MalformedError("a key whose lease is not there");
    this.done({ keyspace, leases, remembered }, header);
  }

  private readRecord(kind: number, source: ByteReader): void {
    switch (kind) {
      case BASES:
        return this.readBase(source);
      case CHANGES:
        return this.readChange(source);
      case LEASES:
        return this.readLease(source);
      default:
        return this.readReply(source);
    }
  }

  private readHeader(source: ByteReader): void {
    const format = source.u8();
    if (format > FORMAT) throw new NewerError(`a state of format ${format}`);
    if (format !== FORMAT) throw new MalformedError(`unknown snapshot format ${format}`);
    const revision = source.varint();
    const compactRevision = source.varint();
    const time = source.varint();
    const nextLease = source.varint();
    const commands = source.varint();
    const chain = decodeDigest(source);
    if (revision < 1 || compactRevision > revision) {
      throw new MalformedError(`revision ${revision}, compacted at ${compactRevision}`);
    }
    if (nextLease < 1) throw new MalformedError("leases begin at 1");
    this.header = { revision, compactRevision, time, nextLease, commands, chain };
    this.keyspace = new Keyspace(revisionBefore(compactRevision));
    this.leases = new Leases(nextLease, this.leased);
  }

  private readBase(source: ByteReader): void {
    const key = readKey(source);
    if (key <= this.lastKey) throw new MalformedError("keys out of order");
    const version = source.varint();
    const createRevision = source.varint();
    const modRevision = source.varint();
    const lease = source.varint();
    const isPast = modRevision <= this.keyspace.revision && createRevision <= modRevision;
    if (version < 1 || createRevision < 2 || !isPast) {
      throw new MalformedError("a key with impossible revisions");
    }
    const stored = this.readValue(source);
    const known = { key, stored, version, createRevision, modRevision, prev: null };
    this.keyspace.load(lease === 0 ? known : { ...known, lease });
    this.hangs(key, { on: lease, before: 0 });
    this.lastKey = key;
    this.bases++;
  }

  private readChange(source: ByteReader): void {
    const op = source.u8();
    if (op > (DELETE | NEXT_REVISION | LEASED_OR_EXPIRED))
      throw new MalformedError(`unknown change ${op}`);
    const isNext = (op & NEXT_REVISION) !== 0;
    if (!isNext && this.changes === 0) throw new MalformedError("a change without a revision");
    const revision = this.keyspace.revision + (isNext ? 1 : 0);
    const isMarked = (op & LEASED_OR_EXPIRED) !== 0;
    const key = readKey(source);
    if ((op & DELETE) === 0) {
      const lease = isMarked ? source.varint() : undefined;
      if (lease === 0) throw new MalformedError("a lease that is none");
      const before = this.keyspace.get(key)?.lease ?? 0;
      this.keyspace.put(key, this.readValue(source), { revision, lease });
      this.hangs(key, { on: lease ?? 0, before });
    } else {
      const live = this.keyspace.get(key);
      if (live === null) throw new MalformedError("a delete of a key that is not there");
      this.keyspace.delete(live, { revision, expired: isMarked });
      this.hangs(key, { on: 0, before: live.lease ?? 0 });
    }
    this.changes++;
  }

  /** On which lease a key hangs from now on, and on which it hung before; 0: on none. */
  private hangs(key: Key, { on, before }: { on: number; before: number }): void {
    if (before > 0) {
      this.leased.delete(before, key);
      this.waiting--;
    }
    if (on > 0) {
      this.leased.add(on, key);
      this.waiting++;
    }
  }

  private readLease(source: ByteReader): void {
    const lease = decodeLeaseState(source);
    if (lease.id <= this.lastLease) throw new MalformedError("leases out of order");
    this.leases.load(lease);
    this.lastLease = lease.id;
    const keys = this.leased.count(lease.id);
    if (lease.isOwn && keys !== 1) throw new MalformedError(`an own lease of ${keys} keys`);
    this.waiting -= keys;
  }

  private readReply(source: ByteReader): void {
    const key = source.sizedString();
    if (!isIdempotencyKey(key)) throw new MalformedError("an impossible idempotency key");
    const [fingerprint, time] = [source.u32(), source.varint()];
    const result = source.sized().slice();
    if (result.length > OUTCOME_BYTES_MAX) throw new MalformedError("a reply that is too large");
    const content = new ByteReader(result);
    decodeResult(content);
    content.end();
    if (this.remembered.has(key)) throw new MalformedError("two replies of one key");
    this.remembered.load({ key, fingerprint, time, result });
  }

  private readEnd(source: ByteReader): void {
    const { bases, changes, leases, remembered } = this;
    const counts = [bases, changes, leases.size, remembered.size];
    const complete = counts.every((count) => source.varint() === count);
    if (!complete || this.keyspace.revision !== this.header?.revision) {
      throw new MalformedError("the snapshot lacks a part");
    }
  }

  /** Keeps a copy: chunks may share one buffer. */
  private takePart(part: Uint8Array): void {
    if (this.parts.length * PART_BYTES_MAX >= VALUE_BYTES_MAX) {
      throw new MalformedError("too many parts");
    }
    this.parts.push(new Uint8Array(part));
  }

  private readValue(source: ByteReader): Stored {
    const length = source.varint();
    if (length > VALUE_BYTES_MAX) throw new MalformedError("the value is too large");
    if (length <= INLINE_BYTES_MAX) return toStored(source.bytes(length));
    const value = new Uint8Array(length);
    let at = 0;
    for (const part of this.parts) {
      if (at + part.length > length) throw new MalformedError("the parts exceed their value");
      value.set(part, at);
      at += part.length;
    }
    if (at < length) throw new MalformedError("the parts do not fill their value");
    this.parts = [];
    return toStored(value);
  }
}

/** Whether a chunk of `kind` may come when the last one that was not a part was of kind `stage`. */
function mayFollow(kind: number, stage: number): boolean {
  switch (kind) {
    case HEADER:
      return stage === 0;
    case BASES:
      return stage === HEADER || stage === BASES;
    case CHANGES:
      return stage >= HEADER && stage <= CHANGES;
    case LEASES:
      return stage >= HEADER && stage <= LEASES;
    case REPLIES:
    case END:
      return stage >= HEADER && stage <= REPLIES;
    case PART:
      return stage >= HEADER && stage < END;
    default:
      return false; // A kind that this version does not know.
  }
}

function readAll(source: ByteReader, readOne: () => void): void {
  while (source.remaining > 0) readOne();
}
