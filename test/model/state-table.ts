/** Millions of small tuples of numbers, each kept once, in the order in which they were found. */

/** A hash table of tuples; grows as it needs. */
export class StateTable {
  private readonly width: number;
  private rows: Int32Array;
  private slots = new Int32Array(1 << 16);
  private count = 0;

  constructor(width: number) {
    this.width = width;
    this.rows = new Int32Array(width << 14);
  }

  get size(): number {
    return this.count;
  }

  /** Adds a tuple. Returns its number, or -1 where it is known already. */
  add(row: readonly number[]): number {
    if (this.count * 2 > this.slots.length) this.rehash();
    const slot = this.slotOf(row);
    if (this.slots[slot] !== 0) return -1;
    if ((this.count + 1) * this.width > this.rows.length) {
      const grown = new Int32Array(this.rows.length * 2);
      grown.set(this.rows);
      this.rows = grown;
    }
    this.rows.set(row, this.count * this.width);
    this.count += 1;
    this.slots[slot] = this.count;
    return this.count - 1;
  }

  at(index: number, field: number): number {
    return this.rows[index * this.width + field] as number;
  }

  /** Where the tuple is, or where it would be. */
  private slotOf(row: ArrayLike<number>): number {
    const mask = this.slots.length - 1;
    let slot = hashOf(row) & mask;
    for (;;) {
      const found = this.slots[slot] as number;
      if (found === 0 || this.isEqual(found - 1, row)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private isEqual(index: number, row: ArrayLike<number>): boolean {
    const from = index * this.width;
    for (let i = 0; i < this.width; i++) if (this.rows[from + i] !== row[i]) return false;
    return true;
  }

  private rehash(): void {
    this.slots = new Int32Array(this.slots.length * 4);
    for (let index = 0; index < this.count; index++) {
      const from = index * this.width;
      this.slots[this.slotOf(this.rows.subarray(from, from + this.width))] = index + 1;
    }
  }
}

function hashOf(row: ArrayLike<number>): number {
  let hash = 0;
  for (let i = 0; i < row.length; i++) {
    hash = Math.imul(hash ^ (row[i] as number), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return Math.imul(hash, 0x85ebca6b) >>> 1;
}

/** Gives each text a number, and each number its value. */
export class Interner<T> {
  readonly values: T[] = [];
  private readonly ids = new Map<string, number>();

  intern(key: string, value: T): number {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    this.ids.set(key, this.values.length);
    this.values.push(value);
    return this.values.length - 1;
  }
}
