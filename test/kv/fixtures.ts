/** Commands, stores and snapshots in few words. Keys and values are byte strings here. */
import { bytesOf, byteString, MalformedError } from "../../src/lib/bytes.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import { type Command, type Condition, encodeCommand } from "../../src/kv/command.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import { type KvResult, KvStore } from "../../src/kv/store.ts";
import type { KeyValue } from "../../src/kv/version.ts";

export function key(text: string): Key {
  return keyOf(bytesOf(text));
}

export function put(name: string, value: string, ...conditions: Condition[]): Command {
  return { type: "put", key: key(name), value: bytesOf(value), conditions, returnPrevious: true };
}

export function del(name: string, ...conditions: Condition[]): Command {
  return { type: "delete", key: key(name), conditions, returnPrevious: true };
}

export function compact(revision: number): Command {
  return { type: "compact", revision };
}

/** Applies commands one after another, a millisecond apart, and returns what the last one gave. */
export function apply(store: KvStore, first: Command, ...more: readonly Command[]): KvResult {
  let result = applyOne(store, first);
  for (const command of more) result = applyOne(store, command);
  return result;
}

function applyOne(store: KvStore, command: Command): KvResult {
  return store.apply(encodeCommand(command), store.clusterTime + 1);
}

/** What is seen of a key, with its value as text. */
export function shown(found: KeyValue | null): unknown {
  return found === null ? null : { ...found, value: byteString(found.value) };
}

/** Everything that a revision holds. */
export function allAt(store: KvStore, revision: number): readonly unknown[] {
  const limit = Number.MAX_SAFE_INTEGER;
  return store.range({ start: key(""), end: null, revision, limit }).items.map(shown);
}

/** The chunks of a snapshot, as they would be stored. */
export function chunksOf(store: KvStore): Uint8Array[] {
  const frozen = store.freeze();
  const chunks = drain(frozen.chunks());
  frozen.release();
  return chunks;
}

export function drain(chunks: Iterator<Uint8Array>): Uint8Array[] {
  const drained: Uint8Array[] = [];
  for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
    if (next.value.length > 0) drained.push(next.value);
  }
  return drained;
}

/** Each chunk's kind, length and checksum: enough to compare, and to be printed. */
export function sums(chunks: readonly Uint8Array[]): string[] {
  return chunks.map((chunk) => `${chunk[0]}: ${chunk.length} bytes, ${crc32c(chunk)}`);
}

export function restore(store: KvStore, chunks: readonly Uint8Array[]): KvStore {
  const restorer = store.restorer();
  for (const chunk of chunks) restorer.feed(chunk);
  restorer.commit();
  return store;
}

export function restored(chunks: readonly Uint8Array[]): KvStore {
  return restore(new KvStore(), chunks);
}

/** Whether `run` throws a MalformedError. Nothing else may be thrown at bad bytes. */
export function isMalformed(run: () => void): boolean {
  try {
    run();
    return false;
  } catch (error) {
    if (error instanceof MalformedError) return true;
    throw error;
  }
}
