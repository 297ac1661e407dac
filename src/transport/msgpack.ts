/**
 * The part of msgpack that peers speak, sealed with a checksum.
 *
 * Writing is msgpackr's. Reading is not: its decoder cannot be told to leave alone what a hostile
 * body may hold. It compiles record extensions, builds maps, dates and big integers, renames
 * `__proto__`, and recurses as deep as the bytes say, all before anyone could look at the result.
 * Here the schema drives the reader: the caller says what must come next, and everything else is
 * refused where it stands. There is nothing to execute, no recursion, and no object with a key.
 */
import { pack } from "msgpackr";
import { MalformedError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";

/** What may be packed: there are no maps, so there are no keys. */
export type Packable = number | boolean | null | string | Uint8Array | readonly Packable[];

const TWO_32 = 0x1_0000_0000;
/** `[uint32, payload]`: an array of two, then the mark of a uint32, the checksum, the payload. */
const SEAL = [0x92, 0xce] as const;
const SEAL_BYTES = 6;

/**
 * A body: msgpack `[CRC-32C of the encoded payload, payload]`. TCP's own checksum lets one in
 * 65,000 damaged segments pass, and a flipped bit in a commit index would be believed.
 */
export function seal(payload: Packable): Uint8Array {
  const body = pack([TWO_32 - 1, payload]);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  view.setUint32(SEAL.length, crc32c(body.subarray(SEAL_BYTES)));
  return body;
}

/** A reader of the payload of a sealed body. Throws MalformedError where the seal is broken. */
export function unseal(body: Uint8Array): MsgpackReader {
  if (body.length < SEAL_BYTES || body[0] !== SEAL[0] || body[1] !== SEAL[1]) {
    throw new MalformedError("not a sealed body");
  }
  const payload = body.subarray(SEAL_BYTES);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (view.getUint32(SEAL.length) !== crc32c(payload)) {
    throw new MalformedError("body checksum is wrong");
  }
  return new MsgpackReader(payload);
}

/** Reads what the caller expects. Every method throws MalformedError where something else comes. */
export class MsgpackReader {
  readonly #source: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(source: Uint8Array) {
    // A Buffer's `slice` would not copy.
    this.#source = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }

  /** The length of an array whose elements come next. Never more than there are bytes left. */
  array(): number {
    const tag = this.#tag();
    let count: number;
    if (tag >= 0x90 && tag <= 0x9f) count = tag - 0x90;
    else if (tag === 0xdc) count = this.#view.getUint16(this.#take(2));
    else if (tag === 0xdd) count = this.#view.getUint32(this.#take(4));
    else throw unexpected("an array", tag);
    if (count > this.#source.length - this.#at) throw new MalformedError("array length is wrong");
    return count;
  }

  /** An array of exactly `count` elements. */
  tuple(count: number): void {
    if (this.array() !== count) throw new MalformedError("wrong number of fields");
  }

  /** A whole number from 0 to 2^53 - 1, however it is encoded. */
  uint(): number {
    const tag = this.#tag();
    if (tag <= 0x7f) return tag;
    switch (tag) {
      case 0xcc:
        return this.#view.getUint8(this.#take(1));
      case 0xcd:
        return this.#view.getUint16(this.#take(2));
      case 0xce:
        return this.#view.getUint32(this.#take(4));
      case 0xcf: {
        const at = this.#take(8);
        return safe(this.#view.getUint32(at) * TWO_32 + this.#view.getUint32(at + 4));
      }
      case 0xcb: {
        // How msgpackr writes what is too large for 32 bits; so nothing smaller comes this way.
        const value = this.#view.getFloat64(this.#take(8));
        if (!(value >= TWO_32)) throw new MalformedError("not a whole number");
        return safe(value);
      }
      default:
        throw unexpected("a number", tag);
    }
  }

  bool(): boolean {
    const tag = this.#tag();
    if (tag !== 0xc2 && tag !== 0xc3) throw unexpected("true or false", tag);
    return tag === 0xc3;
  }

  /** ASCII text of at most 255 bytes: names are all the text that peers exchange. */
  text(): string {
    const tag = this.#tag();
    let length: number;
    if (tag >= 0xa0 && tag <= 0xbf) length = tag - 0xa0;
    else if (tag === 0xd9) length = this.#view.getUint8(this.#take(1));
    else throw unexpected("a text", tag);
    const at = this.#take(length);
    const bytes = this.#source.subarray(at, at + length);
    if (bytes.some((byte) => byte > 0x7f)) throw new MalformedError("text is not ASCII");
    return String.fromCharCode(...bytes);
  }

  /** Bytes that share the body's memory: copy what outlives it. */
  bin(): Uint8Array {
    const tag = this.#tag();
    let length: number;
    if (tag === 0xc4) length = this.#view.getUint8(this.#take(1));
    else if (tag === 0xc5) length = this.#view.getUint16(this.#take(2));
    else if (tag === 0xc6) length = this.#view.getUint32(this.#take(4));
    else throw unexpected("bytes", tag);
    const at = this.#take(length);
    return this.#source.subarray(at, at + length);
  }

  /** Null where nil comes next, else what `read` reads. */
  nullable<T>(read: () => T): T | null {
    if (this.#source[this.#at] !== 0xc0) return read();
    this.#at += 1;
    return null;
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#at !== this.#source.length) throw new MalformedError("bytes after the end");
  }

  #tag(): number {
    return this.#view.getUint8(this.#take(1));
  }

  #take(count: number): number {
    if (count > this.#source.length - this.#at) throw new MalformedError("unexpected end");
    const at = this.#at;
    this.#at += count;
    return at;
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new MalformedError("number beyond 2^53");
  return value;
}

function unexpected(wanted: string, tag: number): MalformedError {
  return new MalformedError(`expected ${wanted}, found type 0x${tag.toString(16)}`);
}
