/** Puts in order the checksums of a damaged snapshot, so that only its meaning is wrong. */
import { crc32c } from "../../src/lib/crc32c.ts";

const PREFIX_BYTES = 16;
const CHUNK_HEAD_BYTES = 8;

/** The same snapshot as far as its lengths say so, with every checksum in order. */
export function resealedSnapshot(file: Uint8Array): Uint8Array {
  const bytes = file.slice();
  if (bytes.length < PREFIX_BYTES) return bytes;
  const view = new DataView(bytes.buffer);
  const metaEnd = PREFIX_BYTES + view.getUint32(8);
  if (metaEnd > bytes.length) return bytes;
  view.setUint32(12, crc32c(bytes.subarray(PREFIX_BYTES, metaEnd)));
  let checksum = crc32c(bytes.subarray(12, 16));
  let count = 0;
  let at = metaEnd;
  while (at + CHUNK_HEAD_BYTES <= bytes.length) {
    const length = view.getUint32(at);
    if (length === 0) break;
    const end = at + CHUNK_HEAD_BYTES + length;
    if (end > bytes.length) return bytes;
    view.setUint32(at + 4, crc32c(bytes.subarray(at + CHUNK_HEAD_BYTES, end)));
    checksum = crc32c(bytes.subarray(at + 4, at + 8), checksum);
    count += 1;
    at = end;
  }
  if (at + CHUNK_HEAD_BYTES + 4 > bytes.length) return bytes;
  view.setUint32(at + 4, count);
  view.setUint32(at + 8, checksum);
  return bytes;
}
