/** Ordered maps: B+ trees whose copies share what neither side has changed since. */
import * as sorted from "sorted-btree";
import type { Key } from "./key.ts";

// A CommonJS package: Node wraps what it exports once more, and test runners unwrap it.
const exported = sorted.default;

/** A tree in the order of its comparison. `clone()` takes no time. */
export const BTree =
  "default" in exported ? exported.default : (exported as typeof sorted.default.default);
export type BTree<Known, Value> = InstanceType<typeof sorted.default.default<Known, Value>>;

/** From keys to what is known of them. */
export type Tree<Known> = BTree<Key, Known>;

export function emptyTree<Known>(): Tree<Known> {
  return new BTree<Key, Known>(undefined, compareKeys);
}

/** By bytes. */
export function compareKeys(a: Key, b: Key): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
