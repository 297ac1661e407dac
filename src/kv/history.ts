/** Every change since the compaction revision, in order: for watches, compaction and snapshots. */
import { must } from "../lib/assert.ts";
import { isLive, sizeOf, type Version } from "./version.ts";

/** Changes per block. Blocks make growing and dropping cheap at any length. */
const BLOCK = 1024;

interface Block {
  /** Null where dropped: a block must not keep old values alive. */
  readonly versions: (Version | null)[];
  /** For each change: the bytes of history that it and all before it made. */
  readonly bytes: number[];
}

/**
 * A log of changes in revision order, one after another where they share a revision. Only its ends
 * change: `append` at the newest, `dropFirst` at the oldest.
 */
export class History {
  /** All full, except the last. */
  private readonly blocks: Block[] = [];
  /** How many changes of the first block have been dropped. */
  private dropped = 0;
  private count = 0;
  private bytes = 0;

  get length(): number {
    return this.count;
  }

  /**
   * The bytes that exist for the sake of history: what the changes so far have replaced or deleted.
   * Never decreases; see `bytesThrough`.
   */
  get bytesTotal(): number {
    return this.bytes;
  }

  append(version: Version): void {
    let block = this.blocks.at(-1);
    if (block === undefined || block.versions.length === BLOCK) {
      block = { versions: [], bytes: [] };
      this.blocks.push(block);
    }
    const { prev } = version;
    if (prev !== null && isLive(prev)) this.bytes += sizeOf(prev);
    if (!isLive(version)) this.bytes += sizeOf(version);
    block.versions.push(version);
    block.bytes.push(this.bytes);
    this.count++;
  }

  /** The oldest change. There must be one. */
  first(): Version {
    return must(this.blocks[0]?.versions[this.dropped], "the history is empty");
  }

  dropFirst(): void {
    const block = must(this.blocks[0], "the history is empty");
    block.versions[this.dropped++] = null;
    this.count--;
    if (this.dropped < BLOCK) return;
    this.blocks.shift();
    this.dropped = 0;
  }

  /** How much of `bytesTotal` a compaction at `revision` frees. */
  bytesThrough(revision: number): number {
    const position = this.search((block, at) => revisionAt(block, at) > revision);
    if (position === 0) return 0;
    const { block, at } = this.locate(position - 1);
    return must(block.bytes[at], "no change at this position");
  }

  /** The oldest revision after which no more than `bytesMax` bytes of history remain, or null. */
  revisionLeaving(bytesMax: number): number | null {
    const enough = this.bytes - bytesMax;
    const position = this.search((block, at) => (block.bytes[at] ?? 0) >= enough);
    if (position === this.count) return null;
    const { block, at } = this.locate(position);
    return revisionAt(block, at);
  }

  /**
   * The changes from `revision` on, as far as they exist now; can be read more than once. Of those
   * that are dropped while the caller reads, some may be missing.
   */
  from(revision: number): Iterable<Version> {
    const start = this.search((block, at) => revisionAt(block, at) >= revision) + this.dropped;
    const blocks = this.blocks.slice(Math.floor(start / BLOCK)).map(({ versions }) => versions);
    const count = this.count + this.dropped - start;
    return { [Symbol.iterator]: () => walk(blocks, start % BLOCK, count) };
  }

  /** The first position where `holds`, which must hold at every later one too; else `length`. */
  private search(holds: (block: Block, at: number) => boolean): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { block, at } = this.locate(middle);
      if (holds(block, at)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private locate(position: number): { block: Block; at: number } {
    const at = position + this.dropped;
    const block = must(this.blocks[Math.floor(at / BLOCK)], "no change at this position");
    return { block, at: at % BLOCK };
  }
}

function revisionAt(block: Block, at: number): number {
  return must(block.versions[at], "no change at this position").modRevision;
}

function* walk(
  blocks: readonly (readonly (Version | null)[])[],
  start: number,
  count: number,
): Generator<Version> {
  for (let at = start; at < start + count; at++) {
    const version = blocks[Math.floor(at / BLOCK)]?.[at % BLOCK];
    if (version) yield version;
  }
}
