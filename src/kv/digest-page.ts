/** The digest of a part of the keys, as they were at one revision: equal on every node. */
import { bytesOf } from "../lib/bytes.ts";
import { Digest } from "./digest.ts";
import type { Page } from "./range.ts";

/**
 * Of a page that was read with its values. Covers all that is known of each key, and whether it was
 * the last page; not where the next one begins, which depends on what a node has purged.
 */
export function digestOfPage({ items, next }: Page): string {
  const digest = new Digest();
  for (const { key, value, version, createRevision, modRevision, lease } of items) {
    digest.bytes(bytesOf(key));
    for (const number of [version, createRevision, modRevision, lease ?? 0]) digest.number(number);
    if (value !== null) digest.bytes(value);
  }
  digest.u32(items.length);
  digest.u32(next === null ? 0 : 1);
  return digest.text;
}
