/**
 * A frozen state as chunks of bytes, and back.
 *
 * The state is told as its history: the keys as they were just before the compaction revision, then
 * every change from there on, so that restoring is replaying. Equal states have equal chunks, on
 * every node and after any number of restores.
 *
 * ```
 * snapshot = header, bases*, changes*, end, and parts directly before the chunk they belong to
 * header   = 1 (u8), format (u8, 1), revision, compactRevision, time (varints), digest (u32)
 * bases    = 2 (u8), then to the end of the chunk, keys ascending:
 *            key (sized), version, createRevision, modRevision (varints), value
 * changes  = 3 (u8), then to the end of the chunk, in order:
 *            op (u8: 0 put, 1 delete; plus 2 where it begins the next revision), key (sized),
 *            and for a put: value
 * end      = 4 (u8), count of bases, count of changes (varints)
 * part     = 5 (u8), then to the end of the chunk: the next part of a large value
 * value    = length (varint), then the bytes, unless it is large: that has just come in parts, and
 *            ends its chunk
 * ```
 */
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import { isKeySize, type Key, keyOf, VALUE_BYTES_MAX } from "./key.ts";
import { Keyspace, type Step, type View } from "./keyspace.ts";
import { isLive, type LiveVersion, type Stored, toStored, type Version } from "./version.ts";

/** What a snapshot says beside keys and history. */
export interface StateFields {
  /** Cluster time of the last command. */
  readonly time: number;
  readonly digest: number;
}

const FORMAT = 1;
const HEADER = 1;
const BASES = 2;
const CHANGES = 3;
const END = 4;
const PART = 5;

const DELETE = 1;
const NEXT_REVISION = 2;

/** A chunk ends with the record that reaches this size: about a millisecond of work. */
const CHUNK_BYTES = 64 * 1024;
/** A chunk ends after this many steps, even where few of them had anything to write. */
const STEPS_MAX = 8192;
/** Larger values travel in parts, so that no chunk grows much beyond its size. */
const INLINE_BYTES_MAX = 32 * 1024;
const PART_BYTES_MAX = 128 * 1024;
/** An empty chunk: there was work, and nothing to write. */
const PAUSE = new Uint8Array();

/**
 * The chunks of a view, each made when it is asked for. The view must stay open meanwhile. An empty
 * chunk is only a pause in long work, and no part of the snapshot.
 */
export function* encodeSnapshot(view: View, { time, digest }: StateFields): Generator<Uint8Array> {
  const header = new ByteWriter();
  header.u8(HEADER);
  header.u8(FORMAT);
  header.varint(view.revision);
  header.varint(view.compactRevision);
  header.varint(time);
  header.u32(digest);
  yield header.finish();

  const bases = yield* encodeAll(BASES, view.bases(), encodeBase);
  let last = revisionBefore(view.compactRevision);
  const changes = yield* encodeAll(CHANGES, view.changes(), (out, change) => {
    encodeChange(out, change, change.modRevision > last);
    last = change.modRevision;
  });

  const end = new ByteWriter();
  end.u8(END);
  end.varint(bases);
  end.varint(changes);
  yield end.finish();
}

/** The revision of a store that has seen nothing from `compactRevision` on. */
function revisionBefore(compactRevision: number): number {
  return Math.max(compactRevision - 1, 1);
}

/** Makes chunks of one kind, and returns the number of records in them. */
function* encodeAll<V extends Version>(
  kind: number,
  steps: Iterable<Step<V>>,
  encode: (out: ByteWriter, version: V) => void,
): Generator<Uint8Array, number> {
  let records = 0;
  let count = 0;
  let out = new ByteWriter();
  out.u8(kind);
  for (const step of steps) {
    if (step === "pause") {
      yield PAUSE;
      continue;
    }
    let isFull = ++count === STEPS_MAX;
    if (step !== "passed") {
      const large = largeValue(step);
      if (large !== null) yield* encodeParts(large);
      encode(out, step);
      records++;
      isFull ||= large !== null || out.length >= CHUNK_BYTES;
    }
    if (!isFull) continue;
    yield out.finish();
    out = new ByteWriter();
    out.u8(kind);
    count = 0;
  }
  yield out.finish();
  return records;
}

/** The value, where it travels in parts. */
function largeValue({ stored }: Version): Uint8Array | null {
  if (stored === null || typeof stored === "string") return null;
  return stored.length > INLINE_BYTES_MAX ? stored : null;
}

function* encodeParts(value: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < value.length; at += PART_BYTES_MAX) {
    const out = new ByteWriter(1 + PART_BYTES_MAX);
    out.u8(PART);
    out.bytes(value.subarray(at, at + PART_BYTES_MAX));
    yield out.finish();
  }
}

function encodeBase(out: ByteWriter, base: LiveVersion): void {
  out.sizedString(base.key);
  out.varint(base.version);
  out.varint(base.createRevision);
  out.varint(base.modRevision);
  encodeValue(out, base.stored);
}

function encodeChange(out: ByteWriter, change: Version, isNext: boolean): void {
  out.u8((isNext ? NEXT_REVISION : 0) + (isLive(change) ? 0 : DELETE));
  out.sizedString(change.key);
  if (isLive(change)) encodeValue(out, change.stored);
}

function encodeValue(out: ByteWriter, stored: Stored): void {
  if (typeof stored === "string") out.sizedString(stored);
  else if (stored.length <= INLINE_BYTES_MAX) out.sized(stored);
  else out.varint(stored.length);
}

/** What the header says. */
interface Header extends StateFields {
  readonly revision: number;
  readonly compactRevision: number;
}

/** Rebuilds a state from its chunks, beside the present one. */
export class SnapshotReader {
  private readonly done: (keyspace: Keyspace, fields: StateFields) => void;
  private keyspace = new Keyspace();
  private header: Header | null = null;
  /** The kind of the last chunk that was not a part. They come in the order of their numbers. */
  private stage = 0;
  private parts: Uint8Array[] = [];
  private bases = 0;
  private changes = 0;
  private lastKey = "" as Key;

  /** `done` is called by `commit`, with the whole state. */
  constructor(done: (keyspace: Keyspace, fields: StateFields) => void) {
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
    else if (kind === BASES) readAll(source, () => this.readBase(source));
    else readAll(source, () => this.readChange(source));
    source.end();
    if (this.parts.length > 0) throw new MalformedError("parts of no value");
  }

  /** Hands over the state. Throws MalformedError if the snapshot is not complete. */
  commit(): void {
    const { header, keyspace } = this;
    if (header === null || this.stage !== END) throw new MalformedError("the snapshot is cut off");
    if (header.compactRevision > 0) keyspace.compact(header.compactRevision);
    this.done(keyspace, header);
  }

  private readHeader(source: ByteReader): void {
    const format = source.u8();
    if (format !== FORMAT) throw new MalformedError(`unknown snapshot format ${format}`);
    const revision = source.varint();
    const compactRevision = source.varint();
    const time = source.varint();
    const digest = source.u32();
    if (revision < 1 || compactRevision > revision) {
      throw new MalformedError(`revision ${revision}, compacted at ${compactRevision}`);
    }
    this.header = { revision, compactRevision, time, digest };
    this.keyspace = new Keyspace(revisionBefore(compactRevision));
  }

  private readBase(source: ByteReader): void {
    const key = readKey(source);
    if (key <= this.lastKey) throw new MalformedError("keys out of order");
    const version = source.varint();
    const createRevision = source.varint();
    const modRevision = source.varint();
    const isPast = modRevision <= this.keyspace.revision && createRevision <= modRevision;
    if (version < 1 || createRevision < 2 || !isPast) {
      throw new MalformedError("a key with impossible revisions");
    }
    const stored = this.readValue(source);
    this.keyspace.load({ key, stored, version, createRevision, modRevision, prev: null });
    this.lastKey = key;
    this.bases++;
  }

  private readChange(source: ByteReader): void {
    const op = source.u8();
    if (op > (DELETE | NEXT_REVISION)) throw new MalformedError(`unknown change ${op}`);
    const isNext = (op & NEXT_REVISION) !== 0;
    if (!isNext && this.changes === 0) throw new MalformedError("a change without a revision");
    const revision = this.keyspace.revision + (isNext ? 1 : 0);
    const key = readKey(source);
    if ((op & DELETE) === 0) {
      this.keyspace.put(key, this.readValue(source), revision);
    } else {
      const live = this.keyspace.get(key);
      if (live === null) throw new MalformedError("a delete of a key that is not there");
      this.keyspace.delete(live, revision);
    }
    this.changes++;
  }

  private readEnd(source: ByteReader): void {
    const complete = source.varint() === this.bases && source.varint() === this.changes;
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
    case END:
      return stage >= HEADER && stage <= CHANGES;
    case PART:
      return stage >= HEADER && stage < END;
    default:
      return false; // A kind that this version does not know.
  }
}

function readAll(source: ByteReader, readOne: () => void): void {
  while (source.remaining > 0) readOne();
}

function readKey(source: ByteReader): Key {
  const key = source.sized();
  if (!isKeySize(key.length)) throw new MalformedError(`a key of ${key.length} bytes`);
  return keyOf(key);
}
