/** Keys and values as the full presentation tells them: as text, or else as base64. */
import { isUtf8 } from "node:buffer";
import type { Key } from "../kv/key.ts";
import type { Item } from "../kv/range.ts";
import type { Life } from "../service/reading.ts";
import type { KeyValue, Metadata } from "../kv/version.ts";

/** A key with its value, and all that is known of it. */
export function describe(found: KeyValue) {
  return { ...describeKey(found.key), ...describeValue(found.value), ...describeMetadata(found) };
}

/** A key of a list: as `describe`, but without a value where only keys were asked for. */
export function describeItem(item: Item) {
  return {
    ...describeKey(item.key),
    ...(item.value !== null && describeValue(item.value)),
    ...describeMetadata(item),
  };
}

/** How long it lives, where that is not for ever. */
export function describeLife({ lease, ttlMs }: Life) {
  return {
    ...(lease !== null && { lease }),
    ...(ttlMs !== null && { ttl_ms: Math.ceil(ttlMs) }),
  };
}

export function describeMetadata({ version, createRevision, modRevision }: Metadata) {
  return { version, create_revision: createRevision, mod_revision: modRevision };
}

/** A key; `key_encoding` says so where it is no text, but base64. */
export function describeKey(key: Key): { key: string; key_encoding?: "base64" } {
  const bytes = Buffer.from(key, "latin1");
  if (isUtf8(bytes)) return { key: bytes.toString("utf8") };
  return { key: bytes.toString("base64"), key_encoding: "base64" };
}

/** A key that is known to be text, as all are that came by a path. */
export function textOf(key: Key): string {
  return Buffer.from(key, "latin1").toString("utf8");
}

function describeValue(bytes: Uint8Array) {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const encoding = isUtf8(value) ? "utf8" : "base64";
  return { value: value.toString(encoding), encoding };
}
