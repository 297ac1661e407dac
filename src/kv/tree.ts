/** The ordered map of keys: a B+ tree whose copies share what neither side has changed since. */
import * as sorted from "sorted-btree";
import type { Key } from "./key.ts";

// A CommonJS package: Node wraps what it exports once more, and test runners unwrap it.
const exported = sorted.default;
const BTree =
  "default" in exported ? exported.default : (exported as typeof sorted.default.default);

/** From keys to what is known of them. `clone()` takes no time. */
export type Tree<Known> = InstanceType<typeof sorted.default.default<Key, Known>>;

export function emptyTree<Known>(): Tree<Known> {
  return new BTree<Key, Known>(undefined, compareKeys);
}

function compareKeys(a: Key, b: Key): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
