/**
 * A frozen state as chunks of bytes, and back.
 *
 * The state is told as its history: the keys as they were just before the compaction revision, then
 * every change from there on, so that restoring is replaying. Equal states have equal chunks, on
 * every node and after any number of restores.
 *
 * ```
 * snapshot = header, bases*, changes*, leases*, replies*, end, and parts directly before the chunk
 *            that they belong to
 * header   = 1 (u8), format (u8, 3), revision, compactRevision, time, nextLease, commands
 *            (varints), chain (two u32)
 * bases    = 2 (u8), then to the end of the chunk, keys ascending:
 *            key (sized), version, createRevision, modRevision, lease (0: none) (varints), value
 * changes  = 3 (u8), then to the end of the chunk, in order:
 *            op (u8: 0 put, 1 delete; plus 2 where it begins the next revision, plus 4 where a put
 *            has a lease, or a delete is an expiry), key (sized), and for a put: lease (varint)
 *            where it has one, value
 * leases   = 4 (u8), then to the end of the chunk, ids ascending: as result.ts says
 * replies  = 5 (u8), then to the end of the chunk, the oldest first: key (sized),
 *            fingerprint (u32), time (varint), result (sized)
 * end      = 6 (u8), counts of bases, changes, leases and replies (varints)
 * part     = 7 (u8), then to the end of the chunk: the next part of a large value
 * value    = length (varint), then the bytes, unless it is large: that has just come in parts, and
 *            ends its chunk
 * ```
 */
import { ByteWriter } from "../lib/bytes.ts";
import type { ChainState } from "./chain.ts";
import { encodeDigest } from "./digest.ts";
import type { Step, View } from "./keyspace.ts";
import type { LeaseTree } from "./leases.ts";
import type { Reply, ReplyTree } from "./remembered.ts";
import { encodeLeaseState } from "./result.ts";
import { isLive, type LiveVersion, type Stored, type Version } from "./version.ts";

/** What a snapshot says of the state as a whole. */
export interface StateFields extends ChainState {
  /** Cluster time of the last command. */
  readonly time: number;
  readonly nextLease: number;
}

/** All that is frozen beside keys and history. */
export interface FrozenFields extends StateFields {
  readonly leases: LeaseTree;
  readonly replies: ReplyTree;
}

export const FORMAT = 3;
export const HEADER = 1;
export const BASES = 2;
export const CHANGES = 3;
export const LEASES = 4;
export const REPLIES = 5;
export const END = 6;
export const PART = 7;

export const DELETE = 1;
export const NEXT_REVISION = 2;
export const LEASED_OR_EXPIRED = 4;

/** A chunk ends with the record that reaches this size: about a millisecond of work. */
const CHUNK_BYTES = 64 * 1024;
/**
 * Room for a chunk and one more record of the usual kind, so that nothing is copied, and nothing
 * left behind, as it grows: the collector would look through all the memory far more often.
 */
const CHUNK_CAPACITY = CHUNK_BYTES + 8 * 1024;
/** A chunk ends after this many steps, even where few of them had anything to write. */
const STEPS_MAX = 2048;
/** Larger values travel in parts, so that no chunk grows much beyond its size. */
export const INLINE_BYTES_MAX = 32 * 1024;
export const PART_BYTES_MAX = 128 * 1024;
/** An empty chunk: there was work, and nothing to write. */
const PAUSE = new Uint8Array();

/**
 * The chunks of a view, each made when it is asked for. The view must stay open meanwhile. An empty
 * chunk is only a pause in long work, and no part of the snapshot.
 */
export function* encodeSnapshot(view: View, fields: FrozenFields): Generator<Uint8Array> {
  const { time, commands, chain, nextLease } = fields;
  const header = new ByteWriter();
  header.u8(HEADER);
  header.u8(FORMAT);
  header.varint(view.revision);
  header.varint(view.compactRevision);
  header.varint(time);
  header.varint(nextLease);
  header.varint(commands);
  encodeDigest(header, chain);
  yield header.finish();

  const bases = yield* encodeAll(BASES, view.bases(), encodeBase);
  let last = revisionBefore(view.compactRevision);
  const changes = yield* encodeAll(CHANGES, view.changes(), (out, change) => {
    encodeChange(out, change, change.modRevision > last);
    last = change.modRevision;
  });

  const leases = yield* encodeRecords(LEASES, fields.leases.values(), encodeLeaseState);
  const replies = yield* encodeRecords(REPLIES, fields.replies.values(), encodeReply);

  const end = new ByteWriter();
  end.u8(END);
  for (const count of [bases, changes, leases, replies]) end.varint(count);
  yield end.finish();
}

/** The same of records that are small. */
function* encodeRecords<Item>(
  kind: number,
  records: Iterable<Item>,
  encode: (out: ByteWriter, record: Item) => void,
): Generator<Uint8Array, number> {
  let count = 0;
  let out: ByteWriter | null = null;
  for (const record of records) {
    out ??= chunkOf(kind);
    encode(out, record);
    count++;
    if (out.length < CHUNK_BYTES) continue;
    yield out.finish();
    out = null;
  }
  if (out !== null) yield out.finish();
  return count;
}

function encodeReply(out: ByteWriter, { key, fingerprint, time, result }: Reply): void {
  out.sizedString(key);
  out.u32(fingerprint);
  out.varint(time);
  out.sized(result);
}

/** The revision of a store that has seen nothing from `compactRevision` on. */
export function revisionBefore(compactRevision: number): number {
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
  let out = chunkOf(kind);
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
    out = chunkOf(kind);
    count = 0;
  }
  yield out.finish();
  return records;
}

/** A chunk with nothing in it yet. */
function chunkOf(kind: number): ByteWriter {
  const out = new ByteWriter(CHUNK_CAPACITY);
  out.u8(kind);
  return out;
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
  out.varint(base.lease ?? 0);
  encodeValue(out, base.stored);
}

function encodeChange(out: ByteWriter, change: Version, isNext: boolean): void {
  const marked = isLive(change) ? change.lease !== undefined : change.expired === true;
  const op = (isNext ? NEXT_REVISION : 0) + (marked ? LEASED_OR_EXPIRED : 0);
  out.u8(op + (isLive(change) ? 0 : DELETE));
  out.sizedString(change.key);
  if (!isLive(change)) return;
  if (change.lease !== undefined) out.varint(change.lease);
  encodeValue(out, change.stored);
}

function encodeValue(out: ByteWriter, stored: Stored): void {
  if (typeof stored === "string") out.sizedString(stored);
  else if (stored.length <= INLINE_BYTES_MAX) out.sized(stored);
  else out.varint(stored.length);
}
