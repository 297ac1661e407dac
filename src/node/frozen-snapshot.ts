/** The state of a node as it is at one moment, as the bytes of a snapshot, made bit by bit. */
import type { SnapshotMeta } from "../raft/types.ts";
import { SnapshotEncoder } from "../storage/snapshot-format.ts";
import type { FrozenState } from "./ports.ts";

/** What later changes of the state do not touch. */
export interface FrozenSnapshot {
  /** What it stands for. */
  readonly meta: SnapshotMeta;
  /**
   * The bytes of a snapshot file, in pieces of at most about 256 KiB, each quick to make. An empty
   * one says that there was work and nothing to write. To be called once, and before `release`.
   */
  pieces(): Iterator<Uint8Array>;
  /** Must be called once when it is no longer needed. */
  release(): void;
}

/** What `state` is as a snapshot that stands for `meta`. */
export function frozenSnapshot(meta: SnapshotMeta, state: FrozenState): FrozenSnapshot {
  return {
    meta,
    pieces: () => piecesOf(meta, state.chunks()),
    release: () => state.release(),
  };
}

function* piecesOf(meta: SnapshotMeta, chunks: Iterator<Uint8Array>): Generator<Uint8Array> {
  const encoder = new SnapshotEncoder(meta);
  yield encoder.header();
  for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
    const chunk = next.value;
    yield chunk.length === 0 ? chunk : joined(encoder.chunkHead(chunk), chunk);
  }
  yield encoder.end();
}

function joined(head: Uint8Array, chunk: Uint8Array): Uint8Array {
  const piece = new Uint8Array(head.length + chunk.length);
  piece.set(head);
  piece.set(chunk, head.length);
  return piece;
}
