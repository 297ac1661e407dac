/** One snapshot that is arriving from another node, in order and in parts. */
import { MalformedError } from "../lib/bytes.ts";
import type { NodeId, SnapshotMeta, Term } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import { SnapshotScanner } from "../storage/snapshot-format.ts";
import type { Restorer } from "./ports.ts";

/** A part of a snapshot file from another node. */
export interface SnapshotChunk {
  readonly from: NodeId;
  readonly term: Term;
  /** The sender's name for the file, and the size of the whole. */
  readonly name: string;
  readonly bytes: number;
  readonly offset: number;
  /** Copied where it must outlive the call. */
  readonly data: Uint8Array;
}

interface IncomingOptions {
  readonly disk: Disk;
  /** Where it is stored; in use by nobody else. */
  readonly fileName: string;
  /** Its first chunk, which says how large it is. */
  readonly first: SnapshotChunk;
  readonly restorer: Restorer;
}

/** Checks, reads and stores what arrives; nothing of it counts before the last byte was checked. */
export class IncomingSnapshot {
  readonly fileName: string;
  readonly restorer: Restorer;
  /** How much has arrived, and so where the next part must begin. */
  received = 0;
  /** What the snapshot stands for, as soon as that much has arrived. */
  meta: SnapshotMeta | null = null;
  private readonly disk: Disk;
  private readonly first: SnapshotChunk;
  private readonly scanner: SnapshotScanner;
  private discarded = false;

  constructor({ disk, fileName, first, restorer }: IncomingOptions) {
    this.disk = disk;
    this.fileName = fileName;
    this.first = first;
    this.restorer = restorer;
    this.scanner = new SnapshotScanner({
      onMeta: (meta) => {
        this.meta = meta;
      },
      onChunk: (chunk) => restorer.feed(chunk),
    });
  }

  /** Whether the chunk is a part of this snapshot. */
  isOf({ from, name, bytes }: SnapshotChunk): boolean {
    return from === this.first.from && name === this.first.name && bytes === this.first.bytes;
  }

  get isComplete(): boolean {
    return this.received === this.first.bytes;
  }

  /**
   * Takes the next part, which must not change any more. Throws MalformedError where it cannot be
   * one; discard all then.
   */
  read(data: Uint8Array): void {
    this.received += data.length;
    if (this.received > this.first.bytes) throw new MalformedError("longer than announced");
    this.scanner.push(data);
    if (this.isComplete) this.scanner.finish();
  }

  /** Stores what was read last. `done` when it is durable, told whether it is still wanted. */
  write(data: Uint8Array, done: (wanted: boolean) => void): void {
    this.disk.append(this.fileName, [data], () => {
      if (this.discarded) this.disk.remove(this.fileName);
      done(!this.discarded);
    });
  }

  discard(): void {
    this.discarded = true;
    this.disk.remove(this.fileName);
  }
}
