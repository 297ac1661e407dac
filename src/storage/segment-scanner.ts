/** Checks a segment of the log that is read in slices: every batch must be as it was written. */
import { MalformedError } from "../lib/bytes.ts";
import { crc32c } from "../lib/crc32c.ts";
import { type BatchHead, HEAD_BYTES, readHead } from "./batch.ts";
import { SECTOR_BYTES } from "./sector.ts";

/** Where a segment stands in the log. */
interface SegmentPlace {
  readonly sequence: number;
  /** The checksum of the batch before its first one; null: not known. */
  readonly chain: number | null;
}

/**
 * Looks at the checksums only, so that nothing of the content is kept, however large a batch is:
 * what was whole when it was written makes sense as long as it is unchanged.
 */
export class SegmentScanner {
  private readonly sequence: number;
  private chain: number | null;
  /** Of the batch that comes now. */
  private offset = 0;
  private readonly sector = new Uint8Array(SECTOR_BYTES);
  private filled = 0;
  private head: BatchHead | null = null;
  private crc = 0;
  /** How much of the batch is still to come after its first sector. */
  private left = 0;

  constructor({ sequence, chain }: SegmentPlace) {
    this.sequence = sequence;
    this.chain = chain;
  }

  /** Throws MalformedError, with the place in the file, where it was changed. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const wanted = this.head === null ? SECTOR_BYTES - this.filled : this.left;
      const part = bytes.subarray(at, at + wanted);
      at += part.length;
      if (this.head === null) this.takeSector(part);
      else this.takeContent(this.head, part);
    }
  }

  /**
   * The checksum of the last batch, by which the next segment goes on. Throws MalformedError where
   * that batch was not pushed to its end, or where there was none.
   */
  finish(): number {
    if (this.head !== null || this.filled > 0 || this.chain === null || this.offset === 0) {
      throw this.damage("the file ends within a batch");
    }
    return this.chain;
  }

  private takeSector(part: Uint8Array): void {
    this.sector.set(part, this.filled);
    this.filled += part.length;
    if (this.filled < SECTOR_BYTES) return;
    const place = { segment: this.sequence, offset: this.offset, chain: this.chain };
    this.head = readHead(this.sector, place);
    if (this.head === null) throw this.damage("the batch's header is damaged");
    this.crc = crc32c(this.sector.subarray(HEAD_BYTES));
    this.left = this.head.end - this.offset - SECTOR_BYTES;
    if (this.left === 0) this.end(this.head);
  }

  private takeContent(head: BatchHead, part: Uint8Array): void {
    this.crc = crc32c(part, this.crc);
    this.left -= part.length;
    if (this.left === 0) this.end(head);
  }

  private end({ end, checksum, contentChecksum }: BatchHead): void {
    if (this.crc !== contentChecksum) throw this.damage("the batch's checksum is wrong");
    this.chain = checksum;
    this.offset = end;
    this.filled = 0;
    this.head = null;
  }

  private damage(what: string): MalformedError {
    return new MalformedError(`byte ${this.offset}: ${what}`);
  }
}
