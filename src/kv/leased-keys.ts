/** Which keys hang on which lease, in the order of keys. */
import { FIRST_KEY, type Key } from "./key.ts";
import { BTree, compareKeys } from "./tree.ts";

interface LeasedKey {
  readonly lease: number;
  readonly key: Key;
}

/** Which of the keys of a lease. */
export interface KeyPageLimits {
  /** Only those behind this one; null: from the first on. */
  readonly after: Key | null;
  readonly entries: number;
  /** Of the keys themselves; one is told whatever its size. */
  readonly bytes: number;
}

/** Some keys of a lease, in order. */
export interface KeyPage {
  readonly keys: readonly Key[];
  /** There are others behind them. */
  readonly more: boolean;
}

/** The keys of all leases in one tree, so that a part of them is found at once, and in order. */
export class LeasedKeys {
  private readonly tree = new BTree<LeasedKey, true>(undefined, compare);
  private readonly counts = new Map<number, number>();

  /** How many keys hang on the lease. */
  count(lease: number): number {
    return this.counts.get(lease) ?? 0;
  }

  add(lease: number, key: Key): void {
    if (this.tree.set({ lease, key }, true)) this.counts.set(lease, this.count(lease) + 1);
  }

  /** Nothing happens where the key does not hang on the lease. */
  delete(lease: number, key: Key): void {
    if (!this.tree.delete({ lease, key })) return;
    const count = this.count(lease) - 1;
    if (count > 0) this.counts.set(lease, count);
    else this.counts.delete(lease);
  }

  /** The keys of a lease from `start` on, in order; valid until the next change. */
  *from(lease: number, start: Key): Generator<Key> {
    for (const each of this.tree.keys({ lease, key: start })) {
      if (each.lease !== lease) return;
      yield each.key;
    }
  }

  /** A part of the keys of a lease. */
  page(lease: number, { after, entries, bytes }: KeyPageLimits): KeyPage {
    const keys: Key[] = [];
    let size = 0;
    for (const key of this.from(lease, after ?? FIRST_KEY)) {
      if (key === after) continue;
      size += key.length;
      if (keys.length === entries || (keys.length > 0 && size > bytes)) return { keys, more: true };
      keys.push(key);
    }
    return { keys, more: false };
  }
}

function compare(a: LeasedKey, b: LeasedKey): number {
  return a.lease === b.lease ? compareKeys(a.key, b.key) : a.lease - b.lease;
}
