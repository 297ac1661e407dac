/**
 * What a transaction may read. It is done in one go on every node, and nothing else happens there
 * meanwhile, so one that would read more is refused before anything is written. That is a part of
 * what commands mean. Only keys that are there count, and only those are looked at: so every node
 * counts alike, and works alike, whatever was deleted and whatever it has purged.
 *
 * Range deletes without `returnPrevious` are not bounded: who deletes by prefix cannot do it in
 * parts. A key is deleted once, so they cost no more than the keys that there are.
 */
import type { Keyspace } from "./keyspace.ts";
import { type Compare, isIn, type KeyRange, type Operation } from "./operation.ts";
import type { LiveVersion } from "./version.ts";

/** Keys in all that is read, counted and compared: to answer them takes about 5 ms. */
export const TXN_KEYS_MAX = 20_000;
/** Bytes of what is answered, and of values that are compared: at worst about 40 ms. */
export const TXN_READ_BYTES_MAX = 8 * 1024 * 1024;
/** What a key that is answered counts beside itself and its value. */
export const READ_KEY_BYTES = 128;

/** The largest counter, with its sign. */
const COUNTER_BYTES = 17;

/** An operation that has no others in it. */
export type Leaf = Exclude<Operation, { readonly type: "txn" }>;

/** Of one transaction. Once it is spent, it finds nothing more. */
export class ReadBudget {
  private readonly keyspace: Keyspace;
  private keys = TXN_KEYS_MAX;
  private bytes = TXN_READ_BYTES_MAX;

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace;
  }

  /** The transaction is too large. */
  get isSpent(): boolean {
    return this.keys < 0 || this.bytes < 0;
  }

  /** The keys that are compared, as they are. */
  compared(compare: Compare): readonly LiveVersion[] {
    const found = this.find(compare);
    if (compare.target !== "value") return found;
    // A comparison looks at no more than the shorter one.
    const sizeMax = compare.value.length;
    for (const { stored } of found) this.bytes -= Math.min(stored.length, sizeMax);
    return found;
  }

  /**
   * Takes what these will read, which are to be done in this order. What they write counts as if it
   * were there beside what is, so that it may be taken twice, and never too little.
   */
  take(leaves: readonly Leaf[]): void {
    const deletes: KeyRange[] = [];
    const hasDeletes = leaves.some(({ type }) => type === "delete");
    for (const leaf of leaves) {
      if (this.isSpent) return;
      if (leaf.type === "get") {
        this.takeGet(leaf, { hasDeletes });
        this.takeWritten(leaf, leaves);
      } else if (leaf.type === "put" && leaf.returnPrevious) {
        this.takeAll(this.find({ key: leaf.key, end: "single" }));
      } else if (leaf.type === "delete") {
        if (leaf.returnPrevious) this.takeAll(this.find(leaf));
        // It looks at what another has deleted before it: at one range all of them could.
        else if (deletes.some((before) => overlap(before, leaf))) this.find(leaf);
        deletes.push(leaf);
      }
    }
  }

  private takeGet(get: Get, { hasDeletes }: { readonly hasDeletes: boolean }): void {
    const found = this.find(get);
    if (get.countOnly) return;
    // Where keys go before it reads, others come into its page.
    const isWhole = get.limit === 0 || hasDeletes;
    const page = isWhole ? found : found.slice(0, get.limit);
    if (get.keysOnly) for (const { key } of page) this.bytes -= READ_KEY_BYTES + key.length;
    else this.takeAll(page);
  }

  private takeWritten(get: Get, leaves: readonly Leaf[]): void {
    for (const leaf of leaves) {
      if ((leaf.type !== "put" && leaf.type !== "increment") || !isIn(leaf.key, get)) continue;
      this.keys--;
      const size = leaf.type === "put" ? leaf.value.length : COUNTER_BYTES;
      if (!get.countOnly) this.bytes -= READ_KEY_BYTES + leaf.key.length + size;
    }
  }

  private takeAll(found: readonly LiveVersion[]): void {
    for (const { key, stored } of found) this.bytes -= READ_KEY_BYTES + key.length + stored.length;
  }

  /** The keys of a range as they are now; none where there are more than may be looked at. */
  private find({ key, end }: KeyRange): readonly LiveVersion[] {
    if (this.isSpent) return [];
    if (end === "single") {
      this.keys--;
      const live = this.keyspace.get(key);
      return live === null ? [] : [live];
    }
    const found: LiveVersion[] = [];
    for (const live of this.keyspace.liveFrom(key)) {
      if (end !== null && live.key >= end) break;
      this.keys--;
      if (this.isSpent) return [];
      found.push(live);
    }
    return found;
  }
}

type Get = Extract<Leaf, { readonly type: "get" }>;

function overlap(a: KeyRange, b: KeyRange): boolean {
  return isIn(a.key, b) || isIn(b.key, a);
}
