/** Reading and writing bytes: fixed big-endian numbers, variable-length numbers, byte strings. */
import { assert } from "./assert.ts";

/** Bytes that do not have the form they should have. Expected of anything from disk or network. */
export class MalformedError extends Error {
  override readonly name: string = "MalformedError";
}

/**
 * Bytes that are as they were written, and say what this version does not know (U4): a newer one
 * has written them. They are not damaged, and must not be treated so.
 */
export class NewerError extends MalformedError {
  override readonly name = "NewerError";

  /** `what` names what is not known. */
  constructor(what: string) {
    super(`${what} is of a newer version of Quorate: upgrade this node`);
  }
}

/** Two digits a byte. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Throws MalformedError where the text is no such. */
export function bytesOfHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new MalformedError("not bytes in hexadecimal");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

const TWO_32 = 0x1_0000_0000;
const GROWTH_MIN = 64;

/** An append-only buffer that grows. Numbers are unsigned and at most 2^53 - 1. */
export class ByteWriter {
  private buffer: Uint8Array;
  private view: DataView;
  private used = 0;

  constructor(capacity: number = GROWTH_MIN) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  get length(): number {
    return this.used;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.used++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.used, value);
    this.used += 4;
  }

  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, () => `not an unsigned number: ${value}`);
    this.reserve(8);
    this.view.setUint32(this.used, Math.floor(value / TWO_32));
    this.view.setUint32(this.used + 4, value % TWO_32);
    this.used += 8;
  }

  /** Seven bits a byte, the lowest first. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, () => `not an unsigned number: ${value}`);
    this.reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.used++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.used++] = rest;
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** A length as varint, then the bytes. */
  sized(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.bytes(bytes);
  }

  /** A byte string (each character one byte), with its length before it. */
  sizedString(text: string): void {
    this.varint(text.length);
    this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.buffer[this.used++] = text.charCodeAt(i);
  }

  /** Overwrites four bytes written before, such as a checksum known only at the end. */
  setU32(offset: number, value: number): void {
    assert(offset + 4 <= this.used, "overwriting bytes that were never written");
    this.view.setUint32(offset, value);
  }

  /** What was written, without a copy. Write no more after this. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.used);
  }

  private reserve(count: number): void {
    if (this.used + count <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(this.buffer.length * 2, this.used + count));
    grown.set(this.buffer.subarray(0, this.used));
    this.buffer = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** Reads what a ByteWriter wrote. Every method throws MalformedError past the end. */
export class ByteReader {
  private readonly source: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(source: Uint8Array) {
    this.source = source;
    this.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }

  get offset(): number {
    return this.at;
  }

  get remaining(): number {
    return this.source.length - this.at;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u32(): number {
    return this.view.getUint32(this.take(4));
  }

  u64(): number {
    const at = this.take(8);
    const value = this.view.getUint32(at) * TWO_32 + this.view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) throw new MalformedError("number beyond 2^53");
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new MalformedError("number beyond 2^53");
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  /** The next `count` bytes, sharing the source's memory. */
  bytes(count: number): Uint8Array {
    const at = this.take(count);
    return this.source.subarray(at, at + count);
  }

  sized(): Uint8Array {
    return this.bytes(this.varint());
  }

  sizedString(): string {
    return byteString(this.sized());
  }

  /** Asserts that nothing is left. */
  end(): void {
    if (this.remaining !== 0) throw new MalformedError(`${this.remaining} bytes too many`);
  }

  private take(count: number): number {
    if (count > this.remaining) throw new MalformedError("unexpected end");
    const at = this.at;
    this.at += count;
    return at;
  }
}

const CHUNK = 4096;

/** Bytes as a string of one character a byte; such strings compare bytewise with `<`. */
export function byteString(bytes: Uint8Array): string {
  if (bytes.length <= CHUNK) return characters(bytes);
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += characters(bytes.subarray(at, at + CHUNK));
  }
  return text;
}

/** Spreading the bytes as arguments would walk an iterator, eight times as slow. */
function characters(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as Iterable<number> as number[]);
}

/** The bytes of a byte string. Characters above 255 are a bug. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    assert(code <= 0xff, "not a byte string");
    bytes[i] = code;
  }
  return bytes;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
