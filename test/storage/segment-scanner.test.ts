/** Reading a segment in slices finds every change of it (W13). */
import { beforeAll, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import { segmentSequence } from "../../src/storage/segment.ts";
import { SegmentScanner } from "../../src/storage/segment-scanner.ts";
import { entries, entry, hardState, openRig, writeNow } from "./fixtures.ts";

/** The segments of a log, oldest first. */
let segments: Uint8Array[];

beforeAll(() => {
  const rig = openRig();
  writeNow(rig, { hardState: hardState(1, "n1"), entries: entries(1, 3, 1) });
  for (const index of [4, 5, 6, 7]) {
    writeNow(rig, { entries: [entry(index, 1, new Uint8Array(200 * index).fill(index))] });
  }
  writeNow(rig, { entries: [entry(8, 1, new Uint8Array(3000)), ...entries(9, 10, 1)] });
  const names = rig.disk.list().filter((name) => segmentSequence(name) !== null);
  segments = names.map((name) => rig.disk.read(name));
  expect(segments.length).toBe(3);
});

/** The checksum at the end of segment `sequence`, pushed in slices, or what is wrong. */
function scan(
  bytes: Uint8Array,
  { sequence, chain, slice }: { sequence: number; chain: number | null; slice: number },
): number | string {
  const scanner = new SegmentScanner({ sequence, chain });
  try {
    for (let at = 0; at < bytes.length; at += slice) scanner.push(bytes.subarray(at, at + slice));
    return scanner.finish();
  } catch (error) {
    if (error instanceof MalformedError) return error.message;
    throw error;
  }
}

/** The same of the last one, given what comes before it. */
function scanLast(bytes: Uint8Array): number | string {
  const chain = chainBefore(3);
  return scan(bytes, { sequence: 3, chain, slice: 4096 });
}

function chainBefore(sequence: number): number {
  let chain = 0;
  for (const [at, bytes] of segments.slice(0, sequence - 1).entries()) {
    chain = scan(bytes, { sequence: at + 1, chain, slice: 1000 }) as number;
  }
  return chain;
}

test.each([1, 7, 512, 513, 100_000])("whole segments are whole, in slices of %i bytes", (slice) => {
  let chain: number | string = 0;
  for (const [at, bytes] of segments.entries()) {
    chain = scan(bytes, { sequence: at + 1, chain: chain as number, slice });
    expect(chain).toBeTypeOf("number");
    expect(scan(bytes, { sequence: at + 1, chain: null, slice })).toBe(chain);
  }
});

test("every flipped bit is found, and the batch that it is in", () => {
  const bytes = must(segments.at(-1), "three");
  let count = 0;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const at = bit >> 3;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    const found = scanLast(bytes);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    if (typeof found === "number" || !found.startsWith("byte "))
      throw new Error(`bit ${bit} is not`);
    expect(Number(/\d+/.exec(found)?.[0])).toBeLessThanOrEqual(at);
    count++;
  }
  expect(count).toBeGreaterThan(10_000);
  expect(scanLast(bytes)).toBeTypeOf("number");
});

test("a file that ends within a batch is found", () => {
  const bytes = must(segments.at(-1), "three");
  for (let length = 0; length < bytes.length; length++) {
    const found = scanLast(bytes.subarray(0, length));
    // A cut between two batches is for the caller to see: it knows how long the file is.
    if (typeof found === "number") expect(length % 512).toBe(0);
    else expect(found).toMatch(/^byte \d+: the file ends within a batch$/);
  }
});

test("a segment in another one's place is found", () => {
  const [first, second] = segments;
  const at = { chain: 0, slice: 512 };
  expect(scan(must(first, "one"), { sequence: 1, ...at })).toBeTypeOf("number");
  expect(scan(must(second, "two"), { sequence: 1, ...at })).toBe(
    "byte 0: the batch's header is damaged",
  );
  const chain = chainBefore(2) ^ 1;
  expect(scan(must(second, "two"), { sequence: 2, chain, slice: 512 })).toBe(
    "byte 0: the batch's header is damaged",
  );
});
