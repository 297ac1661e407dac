/**
 * Bytes laid out in sectors, so that what was never written can be told from what was damaged.
 *
 * A disk writes a sector of 512 bytes whole or not at all, and an append that did not finish may
 * have written any of its sectors. Here every sector begins with the four-byte tag of the append it
 * belongs to. A tag is never zero, so a sector of zeros was never written, whatever bytes a user
 * stores; and a sector with another tag than its append's is not a trace of that append.
 */
import { assert } from "../lib/assert.ts";

export const SECTOR_BYTES = 512;
/** The tag at the beginning of each sector. */
export const TAG_BYTES = 4;
const CONTENT_BYTES = SECTOR_BYTES - TAG_BYTES;

/** How much room `length` bytes take: whole sectors. */
export function sectorsFor(length: number): number {
  return Math.ceil(length / CONTENT_BYTES) * SECTOR_BYTES;
}

/** Lays bytes out in sectors. What remains of the last one is zero. */
export class SectorWriter {
  private readonly buffer: Uint8Array;
  private readonly tag: Uint8Array;
  private at = 0;

  /** For `length` bytes of content, all of which must be put. */
  constructor(length: number, tag: number) {
    this.buffer = new Uint8Array(sectorsFor(length));
    this.tag = tagBytes(tag);
  }

  put(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      if (this.at % SECTOR_BYTES === 0) {
        this.buffer.set(this.tag, this.at);
        this.at += TAG_BYTES;
      }
      const count = Math.min(SECTOR_BYTES - (this.at % SECTOR_BYTES), bytes.length - from);
      this.buffer.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), this.at);
      this.at += count;
      from += count;
    }
  }

  finish(): Uint8Array {
    assert(this.buffer.length - this.at < SECTOR_BYTES, "fewer bytes than announced");
    return this.buffer;
  }
}

/** Takes the content out of sectors again, without looking at their tags. */
export class SectorReader {
  private readonly source: Uint8Array;
  private at: number;

  /** Reads from `offset` of `source`, where a sector begins. The caller knows how much is there. */
  constructor(source: Uint8Array, offset: number) {
    this.source = source;
    this.at = offset;
  }

  /** The next `count` bytes, in memory of their own. */
  take(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      if (this.at % SECTOR_BYTES === 0) this.at += TAG_BYTES;
      const part = Math.min(SECTOR_BYTES - (this.at % SECTOR_BYTES), count - filled);
      assert(this.at + part <= this.source.length, "reading sectors that are not there");
      bytes.set(this.source.subarray(this.at, this.at + part), filled);
      this.at += part;
      filled += part;
    }
    return bytes;
  }
}

/** What a sector shows: this append's tag, nothing at all, or something that does not belong. */
export type SectorState = "written" | "blank" | "foreign";

/** Looks at the sector that begins at `offset`, expecting `tag`. The sector must be there whole. */
export function sectorState(source: Uint8Array, offset: number, tag: number): SectorState {
  const found = new DataView(source.buffer, source.byteOffset + offset, TAG_BYTES).getUint32(0);
  if (found === tag) return "written";
  for (let at = offset; at < offset + SECTOR_BYTES; at++) if (source[at] !== 0) return "foreign";
  return "blank";
}

/** Makes a checksum a tag: never zero, and not by one flipped bit or one lost byte either. */
export function asTag(checksum: number): number {
  return (checksum | 0x8000_0001) >>> 0;
}

function tagBytes(tag: number): Uint8Array {
  const bytes = new Uint8Array(TAG_BYTES);
  new DataView(bytes.buffer).setUint32(0, tag);
  return bytes;
}
