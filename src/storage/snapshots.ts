/** Making snapshots durable, and keeping the two newest. */
import { asIndex, type Index, type SnapshotMeta } from "../raft/types.ts";
import type { Disk } from "./disk.ts";
import {
  SLICE_BYTES,
  snapshotName,
  snapshotPosition,
  type SnapshotFile,
} from "./snapshot-files.ts";
import { SnapshotEncoder } from "./snapshot-format.ts";

/** A state to be written: what it stands for, and its encoding; an empty piece is only a pause. */
export interface SnapshotSource {
  readonly meta: SnapshotMeta;
  readonly chunks: Iterator<Uint8Array>;
}

/** Should the newest ever prove damaged, the log reaches back to the one before it. */
const KEPT = 2;
/** Each chunk takes work to encode, so that many end a slice however small they are. */
const SLICE_CHUNKS_MAX = 8;

/**
 * Writes one snapshot into a file, slice by slice: the next slice is encoded when the one before is
 * on disk, so the event loop is never held for long and memory stays small.
 */
export class SnapshotWriter {
  private readonly disk: Disk;
  private readonly name: string;
  private readonly chunks: Iterator<Uint8Array>;
  private readonly encoder: SnapshotEncoder;
  private bytes = 0;
  private aborted = false;

  /** Writes to the file `name`, which must not be there. */
  constructor(disk: Disk, name: string, { meta, chunks }: SnapshotSource) {
    this.disk = disk;
    this.name = name;
    this.chunks = chunks;
    this.encoder = new SnapshotEncoder(meta);
  }

  /** Begins. `done` is told how long the file is once it is durable. */
  start(done: (bytes: number) => void): void {
    this.writeSlice([this.encoder.header()], done);
  }

  /** Gives up and removes the file. `done` will not be called. Too late once it was. */
  abort(): void {
    this.aborted = true;
  }

  private writeSlice(parts: Uint8Array[], done: (bytes: number) => void): void {
    const isLast = this.fill(parts);
    for (const part of parts) this.bytes += part.length;
    this.disk.append(this.name, parts, () => {
      if (this.aborted) this.disk.remove(this.name);
      else if (isLast) done(this.bytes);
      else this.writeSlice([], done);
    });
  }

  /** Adds chunks until the slice is large enough. True: the end was added. */
  private fill(parts: Uint8Array[]): boolean {
    let bytes = 0;
    for (let count = 0; count < SLICE_CHUNKS_MAX && bytes < SLICE_BYTES; count++) {
      const chunk = this.chunks.next();
      if (chunk.done === true) {
        parts.push(this.encoder.end());
        return true;
      }
      if (chunk.value.length === 0) continue;
      parts.push(this.encoder.chunkHead(chunk.value), chunk.value);
      bytes += chunk.value.length;
    }
    return false;
  }
}

/** The snapshots on disk while the node runs: the two newest, and those being sent. */
export class SnapshotStore {
  private readonly disk: Disk;
  /** Newest first. */
  private kept: { readonly name: string; readonly index: Index }[] = [];
  private readonly pins = new Map<string, number>();
  /** Of no use any more, but pinned. */
  private readonly leaving = new Set<string>();
  private newestFile: SnapshotFile | null;
  private attempts = 0;

  /** `older` are names, newest first. Of all, the two newest are kept. */
  constructor(disk: Disk, newest: SnapshotFile | null, older: readonly string[]) {
    this.disk = disk;
    this.newestFile = newest;
    for (const name of [...(newest === null ? [] : [newest.name]), ...older]) {
      const position = snapshotPosition(name);
      if (position !== null) this.kept.push({ name, index: position.index });
    }
  }

  /** The newest snapshot, or null before the first. */
  get newest(): SnapshotFile | null {
    return this.newestFile;
  }

  /**
   * Entries up to here need not be in the log: the older of the two snapshots kept covers them, so
   * the log can complete either. 0 with fewer than two.
   */
  get releasable(): Index {
    return this.kept[KEPT - 1]?.index ?? asIndex(0);
  }

  /** The files of the snapshots that count, newest first. */
  get names(): readonly string[] {
    return this.kept.map(({ name }) => name);
  }

  /** The file is damaged, and a newer one is there: it does not count any more. */
  discard(name: string): void {
    this.kept = this.kept.filter((other) => other.name !== name);
    this.leaving.add(name);
    this.prune();
  }

  /** Writes a snapshot; `done` when it is durable under its name. */
  save(source: SnapshotSource, done: (file: SnapshotFile) => void): SnapshotWriter {
    const { meta } = source;
    // Of its own: an attempt that was given up may still be removing what it wrote.
    const temporary = `${snapshotName(meta)}.${++this.attempts}.tmp`;
    const writer = new SnapshotWriter(this.disk, temporary, source);
    writer.start((bytes) => this.adopt(temporary, { meta, bytes }, done));
    return writer;
  }

  /**
   * Makes the file `from` a snapshot that counts; `done` when that is durable. The file must have
   * been written with `Disk.append` and found whole by a SnapshotScanner. Only after this may a
   * write say that the log is replaced by it.
   */
  adopt(
    from: string,
    { meta, bytes }: Omit<SnapshotFile, "name">,
    done: (file: SnapshotFile) => void,
  ): void {
    const name = snapshotName(meta);
    this.disk.rename(from, name, () => {
      const file = { name, meta, bytes };
      if (this.newestFile === null || meta.index >= this.newestFile.meta.index) {
        this.newestFile = file;
      }
      this.kept = this.kept.filter((other) => other.name !== name);
      this.leaving.delete(name);
      this.kept.push({ name, index: meta.index });
      this.kept.sort((a, b) => b.index - a.index);
      this.prune();
      done(file);
    });
  }

  /** Keeps the file `name` readable until the returned function is called. */
  pin(name: string): () => void {
    this.pins.set(name, (this.pins.get(name) ?? 0) + 1);
    let isPinned = true;
    return () => {
      if (!isPinned) return;
      isPinned = false;
      const left = (this.pins.get(name) ?? 0) - 1;
      if (left > 0) this.pins.set(name, left);
      else this.pins.delete(name);
      this.prune();
    };
  }

  /** Removes all but the two newest and those that are pinned. */
  prune(): void {
    for (const { name } of this.kept.splice(KEPT)) this.leaving.add(name);
    for (const name of this.leaving) {
      if (this.pins.has(name)) continue;
      this.disk.remove(name);
      this.leaving.delete(name);
    }
  }
}
