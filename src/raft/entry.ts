/**
 * A log entry and its one encoding, which is the same on disk and on the wire.
 *
 * ```
 * offset  size  what (numbers are big-endian)
 *      0     4  CRC-32C of everything after this field
 *      4     4  length of the data
 *      8     1  kind: 0 no-op, 1 command, 2 configuration, 3 rejoin
 *      9     8  index
 *     17     8  term
 *     25     8  cluster time, milliseconds
 *     33     …  data
 * ```
 *
 * The leader computes the checksum once; every follower checks it on arrival and at recovery, so
 * damage anywhere between the leader's memory and a follower's disk is found. The index is inside
 * it, so an entry read from a place where another belongs is found too.
 */
import { MalformedError, NewerError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { decodeConfiguration } from "./membership.ts";
import { decodeRejoin } from "./rejoin.ts";
import type { ClusterTime, Index, Term } from "./types.ts";

/**
 * `noop` starts a term, `command` is for the state machine, `config` is a Configuration, `rejoin`
 * ends the doubt of a node that has lost its log (doubt.ts).
 */
export type EntryKind = "noop" | "command" | "config" | "rejoin";

/** One entry. Immutable; `data` is a part of `bytes`. */
export interface Entry {
  readonly index: Index;
  readonly term: Term;
  readonly time: ClusterTime;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
  /** The whole encoding, for disk and wire. */
  readonly bytes: Uint8Array;
}

/** What the maker of an entry decides. */
export type EntryFields = Omit<Entry, "bytes">;

export const ENTRY_HEADER_BYTES = 33;
/** No entry can be larger: an HTTP body is at most 8 MiB, and this leaves room for overhead. */
export const ENTRY_DATA_BYTES_MAX = 16 * 1024 * 1024;

const KINDS: readonly EntryKind[] = ["noop", "command", "config", "rejoin"];
const TWO_32 = 0x1_0000_0000;

/** Makes an entry, copying `data`: the caller's buffer may be reused. */
export function makeEntry(fields: EntryFields): Entry {
  const { index, term, time, kind } = fields;
  const bytes = new Uint8Array(ENTRY_HEADER_BYTES + fields.data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, fields.data.length);
  bytes[8] = KINDS.indexOf(kind);
  setU64(view, 9, index);
  setU64(view, 17, term);
  setU64(view, 25, time);
  bytes.set(fields.data, ENTRY_HEADER_BYTES);
  view.setUint32(0, crc32c(bytes.subarray(4)));
  return { index, term, time, kind, data: bytes.subarray(ENTRY_HEADER_BYTES), bytes };
}

/** How long the encoded entry at `offset` says it is, or null where even its header is cut off. */
export function entryLength(source: Uint8Array, offset: number): number | null {
  if (source.length - offset < ENTRY_HEADER_BYTES) return null;
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  return ENTRY_HEADER_BYTES + view.getUint32(offset + 4);
}

/**
 * Reads the entry that fills `bytes` exactly, and keeps `bytes`: pass a copy of anything that is
 * part of a larger buffer. Throws MalformedError where checksum, length or fields are wrong, or
 * where it is not of its kind, as nobody could decide what to do with it later; NewerError where
 * its kind is not known.
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (entryLength(bytes, 0) !== bytes.length) throw new MalformedError("entry length is wrong");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== crc32c(bytes.subarray(4))) {
    throw new MalformedError("entry checksum is wrong");
  }
  const kind = KINDS[view.getUint8(8)];
  if (kind === undefined) throw new NewerError(`an entry of kind ${view.getUint8(8)}`);
  const data = bytes.subarray(ENTRY_HEADER_BYTES);
  if (kind === "config") decodeConfiguration(data);
  if (kind === "rejoin") decodeRejoin(data);
  return {
    index: getU64(view, 9) as Index,
    term: getU64(view, 17) as Term,
    time: getU64(view, 25) as ClusterTime,
    kind,
    data,
    bytes,
  };
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / TWO_32));
  view.setUint32(offset + 4, value % TWO_32);
}

function getU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset) * TWO_32 + view.getUint32(offset + 4);
  if (!Number.isSafeInteger(value)) throw new MalformedError("number beyond 2^53");
  return value;
}
