/** Keys, and how large keys and values may be. */
import type { Brand } from "../lib/brand.ts";
import { byteString } from "../lib/bytes.ts";

/**
 * A byte string: one character a byte, so that `<` compares bytewise and short keys cost little
 * memory. Any key may bound a range; only those of `isKeySize` can be stored.
 */
export type Key = Brand<string, "Key">;

/** The longest key: longer ones are data, and every comparison reads them. */
export const KEY_BYTES_MAX = 4096;
/** The largest value: one is copied, hashed and sent whole. */
export const VALUE_BYTES_MAX = 1024 * 1024;

/** The first of all keys, as the start of a range. Not itself storable. */
export const FIRST_KEY = "" as Key;

export function keyOf(bytes: Uint8Array): Key {
  return byteString(bytes) as Key;
}

/** Whether a key of this many bytes can be stored. */
export function isKeySize(count: number): boolean {
  return count >= 1 && count <= KEY_BYTES_MAX;
}

/** The next possible key: where a range goes on after `key`. */
export function keyAfter(key: Key): Key {
  return `${key}\0` as Key;
}

/** The first key after all those that begin with `prefix`, or null where there is none. */
export function prefixEnd(prefix: Key): Key | null {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length--;
  if (length === 0) return null;
  const last = prefix.charCodeAt(length - 1) + 1;
  return (prefix.slice(0, length - 1) + String.fromCharCode(last)) as Key;
}
