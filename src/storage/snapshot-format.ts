/**
 * A snapshot as bytes: what it stands for, the state in chunks, and an end that proves it whole.
 * The same on disk and on the way to another node. Numbers are big-endian; see
 * docs/SNAPSHOT-FORMAT.md.
 *
 * ```
 * header  magic "QSNP" (4), version (4), length of the meta (4), CRC-32C of the meta (4), meta:
 *           index (8), term (8), cluster time (8), and a configuration as an entry of the log has
 *             it, its length as varint before it
 * chunk   length, not 0 (4), CRC-32C of the bytes (4), bytes
 *         … and so on
 * end     0 (4), count of chunks (4), CRC-32C of the meta's CRC and of all chunks' CRCs (4)
 * ```
 */
import { assert } from "../lib/assert.ts";
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { decodeConfiguration, encodeConfiguration } from "../raft/membership.ts";
import { asIndex, asTerm, type ClusterTime, type SnapshotMeta } from "../raft/types.ts";

const MAGIC = 0x51534e50;
const VERSION = 1;
const PREFIX_BYTES = 16;
const CHUNK_HEAD_BYTES = 8;
const END_BYTES = 12;
/** A configuration names some dozens of nodes at most. */
const META_BYTES_MAX = 64 * 1024;
/** A chunk holds a record at least, so one may be somewhat larger than the largest value. */
export const CHUNK_BYTES_MAX = 32 * 1024 * 1024;

/** Turns chunks into the bytes of a snapshot, in the order of the calls. */
export class SnapshotEncoder {
  private readonly meta: Uint8Array;
  private count = 0;
  private checksum: number;

  constructor(meta: SnapshotMeta) {
    this.meta = encodeMeta(meta);
    this.checksum = crcOfU32(crc32c(this.meta), 0);
  }

  /** First of all. */
  header(): Uint8Array {
    const writer = new ByteWriter(PREFIX_BYTES + this.meta.length);
    writer.u32(MAGIC);
    writer.u32(VERSION);
    writer.u32(this.meta.length);
    writer.u32(crc32c(this.meta));
    writer.bytes(this.meta);
    return writer.finish();
  }

  /** What to write before the bytes of `chunk`, which is not empty. */
  chunkHead(chunk: Uint8Array): Uint8Array {
    assert(chunk.length > 0 && chunk.length <= CHUNK_BYTES_MAX, "a chunk of no usable size");
    const crc = crc32c(chunk);
    this.count++;
    this.checksum = crcOfU32(crc, this.checksum);
    const writer = new ByteWriter(CHUNK_HEAD_BYTES);
    writer.u32(chunk.length);
    writer.u32(crc);
    return writer.finish();
  }

  /** Last of all. */
  end(): Uint8Array {
    const writer = new ByteWriter(END_BYTES);
    writer.u32(0);
    writer.u32(this.count);
    writer.u32(this.checksum);
    return writer.finish();
  }
}

/** What a scanner finds. Nothing is told before its checksum was found right. */
export interface SnapshotEvents {
  readonly onMeta?: (meta: SnapshotMeta) => void;
  /** May share memory with the bytes that were pushed. */
  readonly onChunk?: (chunk: Uint8Array) => void;
}

/** Checks a snapshot that comes in pieces of any size, and takes it apart. */
export class SnapshotScanner {
  private readonly events: SnapshotEvents;
  private pieces: Uint8Array[] = [];
  private available = 0;
  private next: "prefix" | "meta" | "chunkHead" | "chunk" | "end" | "nothing" = "prefix";
  private wanted = PREFIX_BYTES;
  /** Of the meta or chunk that comes next. */
  private crc = 0;
  private count = 0;
  private checksum = 0;
  private found: SnapshotMeta | null = null;

  constructor(events: SnapshotEvents = {}) {
    this.events = events;
  }

  /** Throws MalformedError where the bytes are not those of a snapshot; push no more then. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.pieces.push(bytes);
    this.available += bytes.length;
    while (this.available >= this.wanted && this.next !== "nothing") this.step(this.take());
    if (this.next === "nothing" && this.available > 0)
      throw new MalformedError("bytes after the end");
  }

  /** What the snapshot stands for. Throws MalformedError unless all of it was pushed. */
  finish(): SnapshotMeta {
    if (this.next !== "nothing" || this.found === null) {
      throw new MalformedError("the snapshot is not complete");
    }
    return this.found;
  }

  private step(bytes: Uint8Array): void {
    switch (this.next) {
      case "prefix":
        return this.prefix(new ByteReader(bytes));
      case "meta":
        return this.meta(bytes);
      case "chunkHead":
        return this.chunkHead(new ByteReader(bytes));
      case "chunk":
        return this.chunk(bytes);
      case "end":
        return this.end(new ByteReader(bytes));
      case "nothing":
        throw new MalformedError("bytes after the end");
    }
  }

  private prefix(reader: ByteReader): void {
    if (reader.u32() !== MAGIC) throw new MalformedError("not a snapshot");
    const version = reader.u32();
    // No checksum covers it, so nobody can tell damage from a newer version.
    if (version !== VERSION) {
      const what = `version ${version} of snapshots, not ${VERSION}`;
      throw new MalformedError(`${what}: damaged, or of another version of Quorate`);
    }
    this.expect("meta", reader.u32(), META_BYTES_MAX);
    this.crc = reader.u32();
  }

  private meta(bytes: Uint8Array): void {
    if (crc32c(bytes) !== this.crc) throw new MalformedError("the meta's checksum is wrong");
    this.checksum = crcOfU32(this.crc, 0);
    this.found = decodeMeta(bytes);
    this.expect("chunkHead", CHUNK_HEAD_BYTES, CHUNK_HEAD_BYTES);
    this.events.onMeta?.(this.found);
  }

  private chunkHead(reader: ByteReader): void {
    const length = reader.u32();
    const word = reader.u32();
    if (length > 0) {
      this.crc = word;
      return this.expect("chunk", length, CHUNK_BYTES_MAX);
    }
    if (word !== this.count) throw new MalformedError("chunks are missing");
    this.expect("end", END_BYTES - CHUNK_HEAD_BYTES, END_BYTES);
  }

  private chunk(bytes: Uint8Array): void {
    if (crc32c(bytes) !== this.crc) {
      throw new MalformedError(`the checksum of chunk ${this.count + 1} is wrong`);
    }
    this.count++;
    this.checksum = crcOfU32(this.crc, this.checksum);
    this.expect("chunkHead", CHUNK_HEAD_BYTES, CHUNK_HEAD_BYTES);
    this.events.onChunk?.(bytes);
  }

  private end(reader: ByteReader): void {
    if (reader.u32() !== this.checksum)
      throw new MalformedError("the chunks are not the right ones");
    this.next = "nothing";
    this.wanted = 0;
  }

  private expect(next: typeof this.next, length: number, max: number): void {
    if (length > max) throw new MalformedError(`${length} bytes are too many`);
    this.next = next;
    this.wanted = length;
  }

  /** The next `wanted` bytes, which are available. */
  private take(): Uint8Array {
    const [first] = this.pieces;
    const count = this.wanted;
    this.available -= count;
    if (first !== undefined && first.length >= count) {
      if (first.length === count) this.pieces.shift();
      else this.pieces[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    return this.join(count);
  }

  private join(count: number): Uint8Array {
    const joined = new Uint8Array(count);
    let filled = 0;
    let used = 0;
    for (const piece of this.pieces) {
      const part = piece.subarray(0, count - filled);
      joined.set(part, filled);
      filled += part.length;
      if (part.length < piece.length) {
        this.pieces[used] = piece.subarray(part.length);
        break;
      }
      used++;
    }
    this.pieces.splice(0, used);
    return joined;
  }
}

function encodeMeta({ index, term, time, configuration }: SnapshotMeta): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(index);
  writer.u64(term);
  writer.u64(time);
  writer.sized(encodeConfiguration(configuration));
  return writer.finish();
}

function decodeMeta(bytes: Uint8Array): SnapshotMeta {
  const reader = new ByteReader(bytes);
  const index = asIndex(reader.u64());
  const term = asTerm(reader.u64());
  const time = reader.u64() as ClusterTime;
  const configuration = decodeConfiguration(reader.sized());
  reader.end();
  return { index, term, time, configuration };
}

function crcOfU32(value: number, seed: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return crc32c(bytes, seed);
}
