/** One number for all that can be read at a revision, to compare nodes by. */
import { createHash } from "node:crypto";
import { ByteWriter } from "../lib/bytes.ts";
import type { Item, Page } from "../kv/range.ts";

/** Begins what is hashed: another way to write keys down gets another number. */
const FORMAT = 1;

/**
 * A SHA-256 over keys with all that is known of them, told in bytewise order. It does not depend on
 * pages, nor on what of the history is forgotten, nor on how long leases still live.
 *
 * ```
 * 1 (u8), then of each key: key (sized), version, create_revision, mod_revision, lease (0: none)
 * (varints), value (sized)
 * ```
 */
export class ContentHash {
  readonly #hash = createHash("sha256").update(Uint8Array.of(FORMAT));

  /** The next keys, with their values. */
  add({ items }: Page): void {
    const out = new ByteWriter(64 * 1024);
    for (const item of items) encode(out, item);
    this.#hash.update(out.finish());
  }

  /** In hexadecimal digits. Call it last, and once. */
  finish(): string {
    return this.#hash.digest("hex");
  }
}

function encode(out: ByteWriter, item: Item): void {
  out.sizedString(item.key);
  out.varint(item.version);
  out.varint(item.createRevision);
  out.varint(item.modRevision);
  out.varint(item.lease ?? 0);
  out.sized(item.value ?? new Uint8Array());
}
