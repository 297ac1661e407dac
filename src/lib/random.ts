/** Seeded randomness: the only kind that the core and the simulator may use. */

/** A source of whole numbers. Production seeds one from the system; a simulation from its seed. */
export interface Random {
  /** A number in `[0, bound)`; `bound` is a whole number from 1 to 2^32. */
  below(bound: number): number;
}

/** sfc32: small, fast, and the same on every machine. Not for secrets. */
export class Prng implements Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** `seed` is any text; equal seeds give equal sequences. */
  constructor(seed: string) {
    this.a = hashText(seed, 0x9e3779b9);
    this.b = hashText(seed, 0x85ebca6b);
    this.c = hashText(seed, 0xc2b2ae35);
    for (let i = 0; i < 12; i++) this.next();
  }

  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.below(10_000) < percent * 100;
  }

  /** A number in `[min, max]`. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** One element of a list that is not empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  private next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + sum) | 0;
    return sum >>> 0;
  }
}

/** FNV-1a with a final mix; each salt gives an unrelated hash. */
function hashText(text: string, salt: number): number {
  let hash = salt;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash ^= hash >>> 16;
  return Math.imul(hash, 0x7feb352d) | 0;
}
