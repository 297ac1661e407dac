/** Puts in order what a damaged log file is checked by, so that only its meaning is wrong. */
import { ByteWriter } from "../../src/lib/bytes.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import { asTag, SECTOR_BYTES, SectorReader, sectorsFor } from "../../src/storage/sector.ts";

/** The segment that the inputs are. */
export const SEGMENT = 1;

const TAG_BYTES = 4;
const HEADER_BYTES = 40;
const MAGIC = 0x51574c01;

/** The same batches as far as their lengths say so, each with its tags and checksums in order. */
export function resealedBatches(file: Uint8Array): Uint8Array {
  const bytes = file.slice();
  const view = new DataView(bytes.buffer);
  let chain = 0;
  for (let offset = 0; offset + SECTOR_BYTES <= bytes.length; ) {
    const at = offset + TAG_BYTES;
    const end =
      offset + sectorsFor(HEADER_BYTES + view.getUint32(at + 28) + view.getUint32(at + 32));
    const tag = tagOf(offset, chain);
    for (let i = offset; i < Math.min(end, bytes.length); i += SECTOR_BYTES) view.setUint32(i, tag);
    if (end > bytes.length) return bytes;
    view.setUint32(at, MAGIC);
    view.setUint32(at + 8, 0);
    view.setUint32(at + 12, SEGMENT);
    view.setUint32(at + 16, 0);
    view.setUint32(at + 20, offset);
    view.setUint32(at + 24, chain);
    view.setUint32(at + 36, crc32c(bytes.subarray(at + HEADER_BYTES, end)));
    chain = crc32c(new SectorReader(bytes, offset).take(HEADER_BYTES).subarray(8));
    view.setUint32(at + 4, chain);
    offset = end;
  }
  return bytes;
}

function tagOf(offset: number, chain: number): number {
  const writer = new ByteWriter();
  writer.u64(SEGMENT);
  writer.u64(offset);
  writer.u32(chain);
  return asTag(crc32c(writer.finish()));
}
