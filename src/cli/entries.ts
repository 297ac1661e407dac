/** Keys as commands print them. */
import { Buffer } from "node:buffer";
import type { Entry, NamedKey } from "../client/index.ts";
import type { Row } from "./output.ts";

/** In a table, longer values are cut. */
const VALUE_CHARS_MAX = 60;

/** A key for a program, with its value unless only keys were asked for. Nothing is lost. */
export function entryData(entry: Entry, { keysOnly = false } = {}) {
  return {
    ...keyData(entry),
    ...(!keysOnly && valueData(entry.bytes)),
    version: entry.version,
    revision: entry.modRevision,
    ...(entry.lease !== undefined && { lease: entry.lease }),
    ...(entry.ttlMs !== undefined && { ttl_ms: entry.ttlMs }),
  };
}

/** The name of a key; one that is no text is in base64, and says so. */
export function keyData({ key, keyEncoding }: NamedKey) {
  return { key, ...(keyEncoding === "base64" && { key_encoding: keyEncoding }) };
}

/** A value as text where it is text, and else in base64, and says so. */
export function valueData(bytes: Uint8Array): { value: string; encoding?: "base64" } {
  const text = textIn(bytes);
  if (text !== null) return { value: text };
  return { value: Buffer.from(bytes).toString("base64"), encoding: "base64" };
}

/** Null: these bytes are no UTF-8. */
export function textIn(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A key for a person. */
export function entryRow(entry: Entry, { keysOnly = false } = {}): Row {
  const { key, version, modRevision: revision } = entry;
  return keysOnly ? { key } : { key, value: cut(entry.value), version, revision };
}

/** A value that shall not fill the screen. */
export function cut(value: string): string {
  return value.length <= VALUE_CHARS_MAX ? value : `${value.slice(0, VALUE_CHARS_MAX)}…`;
}
