/**
 * Loaded into a node before the program: on SIGUSR2 it changes what the memory of that node holds
 * of the keys `flipped-…`, as flipped bits or a bug would. No command has told it to.
 */
import { bytesOf } from "../../src/lib/bytes.ts";
import { keyOf } from "../../src/kv/key.ts";
import { KvStore } from "../../src/kv/store.ts";
import { patch } from "../kv/patch.ts";

/** Of the value, which nothing but a look at it can tell. */
export const VALUE = "flipped-value";
/** Of the count of versions, which the next write of the key tells. */
export const VERSION = "flipped-version";

const stores = new Set<KvStore>();
const apply = Reflect.get(KvStore.prototype, "apply") as KvStore["apply"];
KvStore.prototype.apply = function (this: KvStore, bytes, time) {
  stores.add(this);
  return apply.call(this, bytes, time);
};

process.on("SIGUSR2", () => {
  for (const store of stores) {
    const has = (name: string) => store.get(keyOf(bytesOf(name))) !== null;
    if (has(VALUE)) patch(store, VALUE, { stored: "b" });
    if (has(VERSION)) patch(store, VERSION, { version: 77 });
  }
});
