/**
 * Damage of every kind that networks, disks and hostile peers do to bytes, from a seed: one seed
 * is one sequence of inputs.
 */
import type { Prng } from "../../src/lib/random.ts";

/** What lengths, counts and numbers are replaced by, as 32 bits. */
const WORDS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000];
const LARGEST_WORDS = [0xffff_ffff, 0xffff_fffe, 0x0020_0000, 0x001f_ffff, 0x4000_0000];
const BYTES = [0, 1, 0x7f, 0x80, 0x81, 0x90, 0x91, 0xa1, 0xc0, 0xc1, 0xc4, 0xca, 0xcb, 0xcf, 0xff];

/** Numbers at which something changes: lengths of encodings, what is exact, what is a number. */
export const NUMBERS: readonly (number | bigint)[] = [
  [0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32],
  [2 ** 53 - 2, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e300, -1, -2, -(2 ** 31), -(2 ** 53), 0.5, -0],
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE],
  [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n), 5n],
].flat();

/** Pieces of msgpack that no node ever sends. */
const HOSTILE: readonly Uint8Array[] = [
  [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1], // A record definition of msgpackr.
  [0xd6, 0x62, 0, 0, 0, 1, 0xa0, 0xa0], // Bundled strings.
  [0xd6, 0x70, 0, 0, 0, 1], // A reference to itself.
  [0xd6, 0xff, 0, 0, 0, 0], // A time.
  [0xc7, 0xff, 0x01, 1], // Extensions of every length.
  [0xc8, 0xff, 0xff, 0x01, 1],
  [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01, 1],
  [0xd8, 0x74, ...Array.from({ length: 16 }, () => 1)],
  [0xdd, 0xff, 0xff, 0xff, 0xff], // Arrays, maps, bytes and texts of four thousand million.
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0xff, 0xff, 0xff, 0xff],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // Whole numbers beyond all bounds.
  [0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0],
  [0xcf, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], // Not a number, infinity, less than one.
  [0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
  [0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0],
  [0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 0x81, 0xa1, 0x78, 1],
  [0x81, 0xab, ...new TextEncoder().encode("constructor"), 0xc0],
].map((bytes) => Uint8Array.from(bytes));

const CHANGES_MAX = 4;
const INSERT_MAX = 24;
const DEPTH_MAX = 400;

export class Mutator {
  readonly random: Prng;

  constructor(random: Prng) {
    this.random = random;
  }

  /** `input` with one to four changes; parts of `other`, a valid input too, may get into it. */
  bytes(input: Uint8Array, other: Uint8Array): Uint8Array {
    let bytes = input;
    for (let left = this.random.between(1, CHANGES_MAX); left > 0; left--) {
      bytes = this.change(bytes, other);
    }
    return bytes;
  }

  private change(input: Uint8Array, other: Uint8Array): Uint8Array {
    const { random } = this;
    const at = random.below(input.length + 1);
    const length = 1 + random.below(Math.max(1, input.length - at));
    switch (random.below(12)) {
      case 0:
      case 1:
        return this.overwritten(input, at, (bytes, i) => {
          bytes[i] = (bytes[i] ?? 0) ^ (1 << random.below(8));
        });
      case 2:
        return this.overwritten(input, at, (bytes, i) => {
          bytes[i] = random.chance(50) ? random.pick(BYTES) : random.below(256);
        });
      case 3:
      case 4:
        return this.overwritten(input, at, (bytes, i) => setWord(bytes, i, this.word()));
      case 5:
        return input.slice(0, at);
      case 6:
        return joined(input.subarray(0, at), input.subarray(at + length));
      case 7:
        return this.inserted(input, at, this.noise());
      case 8:
        return this.inserted(input, at, input.subarray(at, at + length));
      case 9:
        return this.inserted(input, at, random.pick(HOSTILE));
      case 10:
        return this.inserted(input, at, this.nesting());
      default:
        return joined(input.subarray(0, at), other.subarray(random.below(other.length + 1)));
    }
  }

  /** A word that a length, a count or half a number may be replaced by. */
  word(): number {
    return this.random.chance(70)
      ? this.random.pick([...WORDS, ...LARGEST_WORDS])
      : this.random.below(2 ** 32);
  }

  noise(): Uint8Array {
    const bytes = new Uint8Array(this.random.between(1, INSERT_MAX));
    return bytes.map(() => this.random.below(256));
  }

  private nesting(): Uint8Array {
    const depth = this.random.between(1, DEPTH_MAX);
    return new Uint8Array(depth).fill(this.random.pick([0x91, 0x92, 0x81, 0x5b, 0xdc]));
  }

  private overwritten(
    input: Uint8Array,
    at: number,
    change: (bytes: Uint8Array, at: number) => void,
  ): Uint8Array {
    if (input.length === 0) return this.noise();
    const bytes = input.slice();
    change(bytes, Math.min(at, bytes.length - 1));
    return bytes;
  }

  private inserted(input: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
    return joined(input.subarray(0, at), piece, input.subarray(at));
  }

  /**
   * A tree of arrays, numbers, bytes and texts with a few of its parts changed: as a peer with a
   * bug, or with bad intent, would build it, every encoding in order.
   */
  tree(value: unknown, changed: (bytes: Uint8Array) => Uint8Array): unknown {
    const { random } = this;
    if (random.chance(8)) return this.leaf();
    if (Array.isArray(value)) {
      const items = value.map((item: unknown) => this.tree(item, changed));
      if (items.length > 0 && random.chance(6)) items.splice(random.below(items.length), 1);
      if (items.length > 0 && random.chance(6)) items.push(random.pick(items));
      if (random.chance(2)) items.reverse();
      return items;
    }
    if (value instanceof Uint8Array) return random.chance(40) ? changed(value) : value;
    if (typeof value === "number" && random.chance(20)) return value + random.pick([-2, -1, 1, 2]);
    return value;
  }

  /** Something that hardly ever belongs where it is put. */
  private leaf(): unknown {
    const { random } = this;
    switch (random.below(8)) {
      case 0:
        return random.pick([null, true, false, undefined]);
      case 1:
        return random.pick(["", "n1", "__proto__", "x".repeat(300), "ü", "a\r\nb: c", "\0"]);
      case 2:
        return this.noise();
      case 3:
        return random.pick([[], [[]], {}, { a: 1 }, new Map([["a", 1]]), new Date(0), /a+/]);
      default:
        return random.pick(NUMBERS);
    }
  }
}

function setWord(bytes: Uint8Array, at: number, word: number): void {
  for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = word >>> (24 - 8 * i);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
