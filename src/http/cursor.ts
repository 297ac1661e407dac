/**
 * Cursors: where a list goes on, and at which revision. Opaque to clients, and the same on every
 * node. Not secret: who forges one reads nothing that could not be asked for otherwise.
 *
 * ```
 * cursor = base64url of: format (u8, 1), revision (varint), range (u32), position (sized),
 *          checksum of all before it (u32)
 * range  = checksum of what was asked for
 * ```
 */
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { type Key, keyOf } from "../kv/key.ts";
import type { ListRange } from "../kv/range.ts";
import type { ServiceError } from "../service/errors.ts";
import { invalid } from "./query.ts";

/** A place in a list. */
export interface Place {
  readonly revision: number;
  /** Where the rest begins or, in reverse, before which key it ends. */
  readonly position: Key;
}

const FORMAT = 1;
const CHECKSUM_BYTES = 4;

/** The cursor for a place in the list of `range`. */
export function cursorFor(range: ListRange, { revision, position }: Place): string {
  const out = new ByteWriter();
  out.u8(FORMAT);
  out.varint(revision);
  out.u32(checksumOf(range));
  out.sizedString(position);
  out.u32(crc32c(out.finish()));
  return bufferOf(out.finish()).toString("base64url");
}

/** The place that a cursor stands for. Throws ServiceError where it is none of this list. */
export function placeOf(cursor: string, range: ListRange): Place {
  const { checksum, ...place } = read(cursor);
  const { start, end } = range;
  const isInside = place.position >= start && (end === null || place.position <= end);
  if (checksum === checksumOf(range) && isInside) return place;
  throw invalid("the cursor belongs to another list: repeat all parameters of the first request");
}

/** The bytes of any cursor. Throws ServiceError where it is none. */
export function cursorBytes(cursor: string): Buffer {
  const bytes = Buffer.from(cursor, "base64url");
  // Decoding passes over whatever is not base64url.
  if (bytes.toString("base64url") === cursor) return bytes;
  throw damaged();
}

/** What is said of a cursor that no page gave. */
export function damaged(): ServiceError {
  return invalid("the cursor cannot be read: it must be exactly the one that the last page gave");
}

function read(cursor: string): Place & { readonly checksum: number } {
  const bytes = cursorBytes(cursor);
  if (bytes.length < CHECKSUM_BYTES) throw damaged();
  const end = bytes.length - CHECKSUM_BYTES;
  if (bytes.readUInt32BE(end) !== crc32c(bytes.subarray(0, end))) throw damaged();
  try {
    const source = new ByteReader(bytes.subarray(0, end));
    if (source.u8() !== FORMAT) throw damaged();
    const revision = source.varint();
    const checksum = source.u32();
    const position = keyOf(source.sized());
    source.end();
    return { revision, checksum, position };
  } catch (error) {
    throw error instanceof MalformedError ? damaged() : error;
  }
}

/** Of all that decides which entries there are, and in which order. */
function checksumOf({ start, end, isReverse, since, grouping }: ListRange): number {
  const out = new ByteWriter();
  out.sizedString(start);
  out.u8(end === null ? 0 : 1);
  out.sizedString(end ?? "");
  out.u8(isReverse ? 1 : 0);
  out.varint(since);
  out.varint(grouping?.prefixBytes ?? 0);
  out.sizedString(grouping?.delimiter ?? "");
  return crc32c(out.finish());
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
