/**
 * A digest of 64 bits, cheap enough for every entry of the log: two words, mixed as two lanes of
 * MurmurHash3 (x86, 128 bits) are.
 *
 * It finds what goes wrong by chance, in memory or by a bug, and protects from nobody who means
 * harm. Each word permutes the 64 bits: two digests that differ stay different whatever both of
 * them add, and two that are equal differ for certain after one different word.
 */
import type { ByteReader, ByteWriter } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const ADD_FIRST = 0x561ccd1b;
const ADD_SECOND = 0x0bcaa747;
const TWO_32 = 0x1_0000_0000;

/** Longer ones go in by their checksum, which takes half the time. */
const WHOLE_BYTES_MAX = 256;

/** Equal where the same was added in the same order, on every machine. */
export class Digest {
  /** Its words, as signed numbers. */
  first: number;
  second: number;

  constructor(first = 0, second = 0) {
    this.first = first | 0;
    this.second = second | 0;
  }

  /** As 16 hexadecimal digits. */
  get text(): string {
    return textOf(this.first, this.second);
  }

  copy(): Digest {
    return new Digest(this.first, this.second);
  }

  u32(word: number): void {
    const one = rotate(Math.imul(word, C1), 15);
    const mixed = (rotate(this.first ^ Math.imul(one, C2), 19) + this.second) | 0;
    this.first = (Math.imul(mixed, 5) + ADD_FIRST) | 0;
    const two = rotate(Math.imul(word, C2), 16);
    const other = (rotate(this.second ^ Math.imul(two, C3), 17) + this.first) | 0;
    this.second = (Math.imul(other, 5) + ADD_SECOND) | 0;
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    this.u32(value | 0);
    this.u32(Math.floor(value / TWO_32));
  }

  /** The length goes in, too: so no two lists of byte arrays add the same. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    if (bytes.length > WHOLE_BYTES_MAX) this.u32(crc32c(bytes));
    else this.short(bytes);
  }

  private short(bytes: Uint8Array): void {
    let word = 0;
    for (let at = 0; at < bytes.length; at++) {
      word |= (bytes[at] ?? 0) << (8 * (at % 4));
      if (at % 4 !== 3) continue;
      this.u32(word);
      word = 0;
    }
    if (bytes.length % 4 !== 0) this.u32(word);
  }
}

/** Two words as a digest's text. */
export function textOf(first: number, second: number): string {
  return hex(first) + hex(second);
}

export function encodeDigest(out: ByteWriter, { first, second }: Digest): void {
  out.u32(first >>> 0);
  out.u32(second >>> 0);
}

export function decodeDigest(source: ByteReader): Digest {
  return new Digest(source.u32(), source.u32());
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
