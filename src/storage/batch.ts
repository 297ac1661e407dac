/**
 * One append to the log file: everything that was waiting when the disk became free.
 *
 * A batch is laid out in sectors (sector.ts). Its content, numbers being big-endian:
 *
 * ```
 * offset  size  what
 *      0     4  magic and version: "QWL", 1
 *      4     4  CRC-32C of the header after this field
 *      8     8  sequence number of the segment it is in
 *     16     8  offset of the batch in that file
 *     24     4  chain: the CRC at 4 of the batch before, also across segments; 0 in the first ever
 *     28     4  length of the state, which follows the header
 *     32     4  length of the entries, which follow the state
 *     36     4  CRC-32C of the batch as it is on disk, from the byte after the header to the end
 *     40     …  state: what of the following there is, in this order
 *                 1 byte: bit 0 hard state, bit 1 position, bit 2 reset
 *                 hard state: term (8), vote (length as varint, name; empty: none)
 *                 position: index (8), term (8)
 *                 reset: index (8), term (8)
 *      …     …  entries, each in its own encoding (src/raft/entry.ts), one after another
 * ```
 *
 * The header says where it is, so a batch read from elsewhere is found; the chain says what came
 * before it, so a batch left out, repeated or exchanged is found. See docs/WAL.md.
 */
import { assert, must } from "../lib/assert.ts";
import { ByteReader, ByteWriter, MalformedError, NewerError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { decodeEntry, type Entry, entryLength } from "../raft/entry.ts";
import { asIndex, asTerm, type HardState, isNodeId, type Position } from "../raft/types.ts";
import {
  asTag,
  SECTOR_BYTES,
  SectorReader,
  sectorsFor,
  sectorState,
  SectorWriter,
  TAG_BYTES,
} from "./sector.ts";

/** What one append says. The parts take effect in this order. */
export interface Batch {
  /** Null: unchanged. */
  readonly hardState: HardState | null;
  /** Where the log ended before this batch; in the first batch of every segment, only there. */
  readonly position: Position | null;
  /** Not null: a snapshot up to here replaces the whole log. */
  readonly reset: Position | null;
  /** An entry whose index is in the log already replaces it and all after it. */
  readonly entries: readonly Entry[];
}

/** Where a batch is, and what was written before it. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  /** The checksum of the batch before; 0 for the first ever. */
  readonly chain: number;
}

/** A place of which it may be unknown what was written before. */
export type UnchainedPlace = Omit<Place, "chain"> & { readonly chain: number | null };

/** A batch in bytes, and the checksum that the next one must name. */
export interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** What is at a place of a file. */
export type ReadBatch =
  | {
      readonly kind: "whole";
      readonly batch: Batch;
      readonly end: number;
      readonly checksum: number;
    }
  /** An append that did not finish can explain it: some of its sectors were never written. */
  | { readonly kind: "torn" }
  | { readonly kind: "damaged"; readonly offset: number; readonly what: string }
  /** It is whole, and says what this version does not know. */
  | { readonly kind: "newer"; readonly offset: number; readonly what: string };

/** The head of a batch: how far the batch goes, and what its content must amount to. */
export interface BatchHead {
  readonly end: number;
  readonly checksum: number;
  readonly contentChecksum: number;
}

const MAGIC = 0x51574c01;
const HEADER_BYTES = 40;
/** Where the content begins that `contentChecksum` covers, to the end of the batch. */
export const HEAD_BYTES = TAG_BYTES + HEADER_BYTES;
const CHAIN_AT = 24;
const CONTENT_CHECKSUM_AT = 36;
const WITH_HARD_STATE = 1;
const WITH_POSITION = 2;
const WITH_RESET = 4;

/** Encodes `batch` for its place. */
export function encodeBatch(batch: Batch, place: Place): EncodedBatch {
  const state = encodeState(batch);
  let entriesLength = 0;
  for (const entry of batch.entries) entriesLength += entry.bytes.length;
  assert(entriesLength < 2 ** 32, "a batch of more than 4 GiB");
  const header = new ByteWriter(HEADER_BYTES);
  header.u32(MAGIC);
  header.u32(0);
  header.u64(place.segment);
  header.u64(place.offset);
  header.u32(place.chain);
  header.u32(state.length);
  header.u32(entriesLength);
  header.u32(0);

  const sectors = new SectorWriter(HEADER_BYTES + state.length + entriesLength, tagAt(place));
  sectors.put(header.finish());
  sectors.put(state);
  for (const entry of batch.entries) sectors.put(entry.bytes);
  const bytes = sectors.finish();

  // The rest is in place, so now the checksums can be known. The header's covers the other one.
  header.setU32(CONTENT_CHECKSUM_AT, crc32c(bytes.subarray(HEAD_BYTES)));
  const checksum = headerChecksum(header.finish());
  header.setU32(4, checksum);
  bytes.set(header.finish(), TAG_BYTES);
  return { bytes, checksum };
}

/**
 * Reads the batch at `place` of a segment file, which is a whole number of sectors and longer than
 * `place.offset`. A chain of null means that nothing is known of what came before.
 */
export function readBatch(file: Uint8Array, place: UnchainedPlace): ReadBatch {
  const { segment, offset } = place;
  const first = new SectorReader(file, offset).take(HEADER_BYTES);
  // Of the oldest segment kept, the one before is gone: its first batch tells the chain itself.
  const chain = place.chain ?? viewOf(first).getUint32(CHAIN_AT);
  const expected: Place = { segment, offset, chain };
  const state = sectorState(file, offset, tagAt(expected));
  if (state === "foreign") return damaged(offset, "another batch belongs here");
  if (state === "written") return readFrom(file, expected, first);
  if (place.chain === null) return damaged(offset, "the segment's first batch is missing");
  return must(missing(file, expected, file.length), "a blank sector is a missing one");
}

/** Reads the first sector of the batch at `place`. Null: it is not as such a batch was written. */
export function readHead(sector: Uint8Array, place: UnchainedPlace): BatchHead | null {
  const bytes = sector.subarray(TAG_BYTES, HEAD_BYTES);
  const chain = place.chain ?? viewOf(bytes).getUint32(CHAIN_AT);
  const expected: Place = { ...place, chain };
  if (sectorState(sector, 0, tagAt(expected)) !== "written") return null;
  const header = decodeHeader(bytes, expected);
  if (header === null) return null;
  const { stateLength, entriesLength, checksum, contentChecksum } = header;
  const end = place.offset + sectorsFor(HEADER_BYTES + stateLength + entriesLength);
  return { end, checksum, contentChecksum };
}

function readFrom(file: Uint8Array, place: Place, headerBytes: Uint8Array): ReadBatch {
  const { offset } = place;
  const header = decodeHeader(headerBytes, place);
  if (header === null) return damaged(offset, "the batch's header is damaged");
  const { stateLength, entriesLength, checksum } = header;
  const end = offset + sectorsFor(HEADER_BYTES + stateLength + entriesLength);
  const trouble = missing(file, place, end);
  if (trouble !== null) return trouble;
  const content = file.subarray(offset + HEAD_BYTES, end);
  if (crc32c(content) !== header.contentChecksum) {
    return damaged(offset, "the batch's checksum is wrong");
  }
  try {
    const reader = new SectorReader(file, offset);
    reader.take(HEADER_BYTES);
    const state = decodeState(reader.take(stateLength));
    const entries = decodeEntries(reader.take(entriesLength));
    return { kind: "whole", batch: { ...state, entries }, end, checksum };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    if (error instanceof NewerError) return { kind: "newer", offset, what: error.message };
    return damaged(offset, error.message);
  }
}

/**
 * Null where each sector from the place to `end` is there and carries the batch's tag. `torn` where
 * some were never written, and nothing follows: only one append is ever under way, so what follows
 * another batch's beginning cannot be missing innocently.
 */
function missing(file: Uint8Array, place: Place, end: number): ReadBatch | null {
  const tag = tagAt(place);
  let complete = end <= file.length;
  for (let at = place.offset; at < Math.min(end, file.length); at += SECTOR_BYTES) {
    const state = sectorState(file, at, tag);
    if (state === "foreign") return damaged(at, "this sector belongs to another batch");
    if (state === "blank") complete = false;
  }
  if (complete) return null;
  if (file.length > end)
    return damaged(place.offset, "a part of the batch is missing, yet more follows");
  return { kind: "torn" };
}

function damaged(offset: number, what: string): ReadBatch {
  return { kind: "damaged", offset, what };
}

/** The tag of the batch at a place: anyone who knows the batch before can tell it. */
function tagAt(place: Place): number {
  const writer = new ByteWriter(20);
  writer.u64(place.segment);
  writer.u64(place.offset);
  writer.u32(place.chain);
  return asTag(crc32c(writer.finish()));
}

interface Header {
  readonly stateLength: number;
  readonly entriesLength: number;
  readonly contentChecksum: number;
  readonly checksum: number;
}

/** Null unless this is an undamaged header that was written for this place. */
function decodeHeader(bytes: Uint8Array, place: Place): Header | null {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) return null;
  const checksum = reader.u32();
  if (checksum !== headerChecksum(bytes)) return null;
  if (reader.u64() !== place.segment || reader.u64() !== place.offset) return null;
  if (reader.u32() !== place.chain) return null;
  const [stateLength, entriesLength, contentChecksum] = [reader.u32(), reader.u32(), reader.u32()];
  return { stateLength, entriesLength, contentChecksum, checksum };
}

function headerChecksum(header: Uint8Array): number {
  return crc32c(header.subarray(8));
}

function encodeState({ hardState, position, reset }: Batch): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(
    (hardState === null ? 0 : WITH_HARD_STATE) |
      (position === null ? 0 : WITH_POSITION) |
      (reset === null ? 0 : WITH_RESET),
  );
  if (hardState !== null) {
    writer.u64(hardState.term);
    writer.sizedString(hardState.vote ?? "");
  }
  for (const place of [position, reset]) {
    if (place === null) continue;
    writer.u64(place.index);
    writer.u64(place.term);
  }
  return writer.finish();
}

function decodeState(bytes: Uint8Array): Omit<Batch, "entries"> {
  const reader = new ByteReader(bytes);
  const flags = reader.u8();
  if (flags > (WITH_HARD_STATE | WITH_POSITION | WITH_RESET)) {
    throw new NewerError(`a batch of the log with flags ${flags}`);
  }
  const hardState = flags & WITH_HARD_STATE ? decodeHardState(reader) : null;
  const position = flags & WITH_POSITION ? decodePosition(reader) : null;
  const reset = flags & WITH_RESET ? decodePosition(reader) : null;
  reader.end();
  return { hardState, position, reset };
}

function decodeHardState(reader: ByteReader): HardState {
  const term = asTerm(reader.u64());
  const vote = reader.sizedString();
  if (vote === "") return { term, vote: null };
  if (!isNodeId(vote)) throw new MalformedError("the vote does not name a node");
  return { term, vote };
}

function decodePosition(reader: ByteReader): Position {
  return { index: asIndex(reader.u64()), term: asTerm(reader.u64()) };
}

function decodeEntries(source: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < source.length; ) {
    const length = entryLength(source, at);
    if (length === null || at + length > source.length) {
      throw new MalformedError("the last entry is cut off");
    }
    // Each in memory of its own: a value that is kept must not keep the whole batch.
    entries.push(decodeEntry(source.slice(at, at + length)));
    at += length;
  }
  return entries;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
