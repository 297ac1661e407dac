/** Server-Sent Events: what a watch tells, as text. */
import { isUtf8 } from "node:buffer";
import type { Key } from "../kv/key.ts";
import { type KeyValue, keyValueOf, type Stored } from "../kv/version.ts";
import type { Encoder } from "../watch/batch.ts";
import type { WatchEvent } from "../watch/selection.ts";
import type { WatchFailure } from "../watch/watcher.ts";

/** How a stream begins. A client that loses it comes back after a second. */
export const STREAM_START = Buffer.from("retry: 1000\n\n");
/** Nothing, for proxies that close silent connections. */
export const COMMENT = Buffer.from(":\n\n");

/** Text of ASCII that is no control character, which is what most keys and values are. */
const PLAIN = /^[ -~]*$/;

/**
 * Only the last event of a revision has an id, so that none is cut. Takes up to 25 ms for each MiB
 * of values of control characters, the worst there is, and the largest event has two.
 */
export const encodeEvents: Encoder = ({ events, isWhole }) => {
  let text = "";
  for (const [at, event] of events.entries()) {
    const { modRevision } = event.version;
    const next = events[at + 1];
    const isLast = next === undefined ? isWhole : next.version.modRevision !== modRevision;
    if (isLast) text += `id: ${modRevision}\n`;
    text += `event: ${event.kind}\ndata: ${JSON.stringify(describe(event))}\n\n`;
  }
  return Buffer.from(text);
};

/** Keys that were there before the watch began. They have no id: there is nothing to resume yet. */
export function encodeKeys(found: readonly KeyValue[]): Uint8Array {
  let text = "";
  for (const known of found) {
    text += `event: put\ndata: ${JSON.stringify(describeState(known, known.value))}\n\n`;
  }
  return Buffer.from(text);
}

/** That everything up to `revision` was told. */
export function encodeBookmark(kind: "synced" | "progress", revision: number): Uint8Array {
  return Buffer.from(`id: ${revision}\nevent: ${kind}\ndata: {"revision":${revision}}\n\n`);
}

/** The last event. */
export function encodeFailure(failure: WatchFailure): Uint8Array {
  return Buffer.from(`event: error\ndata: ${JSON.stringify(failure)}\n\n`);
}

function describe({ version, previous }: WatchEvent) {
  const { key, stored, modRevision } = version;
  const now =
    stored === null
      ? { ...describeKey(key), mod_revision: modRevision }
      : describeState(version, stored);
  if (previous === null) return now;
  const before = keyValueOf(previous);
  return { ...now, prev: describeState(before, before.value) };
}

function describeState(known: Omit<KeyValue, "value">, value: Stored) {
  return {
    ...describeKey(known.key),
    ...describeValue(value),
    version: known.version,
    mod_revision: known.modRevision,
    create_revision: known.createRevision,
  };
}

/** Keys that came by a path are text; others need not be. */
function describeKey(key: Key) {
  const { text, isText } = readable(key);
  return isText ? { key: text } : { key: text, key_encoding: "base64" };
}

function describeValue(value: Stored) {
  const { text, isText } = readable(value);
  return isText ? { value: text } : { value: text, encoding: "base64" };
}

/** Bytes as the text that they are, or in base64. */
function readable(stored: Stored): { text: string; isText: boolean } {
  if (typeof stored === "string" && PLAIN.test(stored)) return { text: stored, isText: true };
  const bytes =
    typeof stored === "string"
      ? Buffer.from(stored, "latin1")
      : Buffer.from(stored.buffer, stored.byteOffset, stored.length);
  const isText = isUtf8(bytes);
  return { text: bytes.toString(isText ? "utf8" : "base64"), isText };
}
