/** Keys and values as a program has them, and as they travel. */
import { Buffer } from "node:buffer";
import { keyOf, textOf } from "./checks.ts";

/** What can be stored: text, kept as UTF-8, or bytes. At most 1 MiB. */
export type Value = string | Uint8Array;

/** What is known of a key besides its value. */
export interface Metadata {
  /** 1, 2, 3 …; it begins anew when the key is deleted. */
  readonly version: number;
  readonly createRevision: number;
  /** The revision that wrote it last. */
  readonly modRevision: number;
}

/** A key as bodies tell it. */
export interface NamedKey {
  readonly key: string;
  /** `base64`: the key is no text, and `key` is that of its bytes. Others wrote it. */
  readonly keyEncoding: "utf8" | "base64";
}

/** A key as it is, or was. */
export interface Entry extends NamedKey, Metadata {
  /** The value as text. Bytes that are no UTF-8 are replacement characters here. */
  readonly value: string;
  /** The value, exactly. Both are empty where only keys were asked for. */
  readonly bytes: Uint8Array;
  /** The lease that the key is attached to. Only `get` of a single key tells it. */
  readonly lease?: number;
  /** How much longer it lives, in milliseconds. Only `get` of a single key tells it. */
  readonly ttlMs?: number;
}

/** Metadata in a body. */
export interface WireMetadata {
  readonly version: number;
  readonly create_revision: number;
  readonly mod_revision: number;
}

/** The name of a key in a body. */
export interface WireKey {
  readonly key: string;
  readonly key_encoding?: "utf8" | "base64";
}

/** A key in a body. */
export interface WireEntry extends WireKey, WireMetadata {
  readonly value?: string;
  readonly encoding?: "utf8" | "base64";
  readonly lease?: number;
  readonly ttl_ms?: number;
}

export function entryOf(wire: WireEntry): Entry {
  const { value = "", encoding = "utf8", lease, ttl_ms } = wire;
  const bytes = Buffer.from(value, encoding);
  return {
    ...namedKeyOf(wire),
    value: encoding === "utf8" ? value : bytes.toString("utf8"),
    bytes,
    ...metadataOf(wire),
    ...(lease !== undefined && { lease }),
    ...(ttl_ms !== undefined && { ttlMs: ttl_ms }),
  };
}

/** Undefined and null: there was none. */
export function entryOrNull(wire: WireEntry | null | undefined): Entry | null {
  return wire === null || wire === undefined ? null : entryOf(wire);
}

export function namedKeyOf({ key, key_encoding: keyEncoding = "utf8" }: WireKey): NamedKey {
  return { key, keyEncoding };
}

export function metadataOf(wire: WireMetadata): Metadata {
  const { version, create_revision: createRevision, mod_revision: modRevision } = wire;
  return { version, createRevision, modRevision };
}

/** A value in a body. Throws TypeError where it cannot be stored. */
export function wireValue(value: Value): { value: string; encoding?: "base64" } {
  if (value instanceof Uint8Array) {
    const { buffer, byteOffset, length } = value;
    return {
      value: Buffer.from(buffer, byteOffset, length).toString("base64"),
      encoding: "base64",
    };
  }
  return { value: textOf("a value that is no Uint8Array", value) };
}

/** A value as a body. Throws TypeError where it cannot be stored. */
export function bytesOf(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(textOf("a value that is no Uint8Array", value), "utf8");
}

/** Nothing in a key is special, so all of it is one escaped segment. */
export function pathOf(route: "kv" | "locks", key: string): string {
  return `/v1/${route}/${encodeURIComponent(keyOf("a key", key))}`;
}

/** The parameters that are given, with the `?` before them. */
export function queryOf(
  given: Readonly<Record<string, string | number | boolean | undefined>>,
): string {
  const pairs = Object.entries(given).filter(([, value]) => value !== undefined && value !== false);
  const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return text.length === 0 ? "" : `?${text.join("&")}`;
}
