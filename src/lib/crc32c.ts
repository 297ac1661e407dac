/** CRC-32C (Castagnoli), the checksum of every record, frame and chunk. */
import crc from "crc-32/crc32c.js";

/** The checksum of `bytes`, as an unsigned 32-bit number; `seed` continues an earlier one. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return crc.buf(bytes, seed) >>> 0;
}
