/** What recovery refuses although every checksum is right: only a bug can have written it. */
import { expect, test } from "vitest";
import { type Batch, encodeBatch } from "../../src/storage/batch.ts";
import { recoverLog } from "../../src/storage/recovery.ts";
import { entries, hardState, places, position } from "./fixtures.ts";

const NOTHING: Batch = { hardState: null, position: null, reset: null, entries: [] };
const FIRST: Batch = { ...NOTHING, hardState: hardState(3, "n1"), position: position(0, 0) };

/** Reads a log of these segments, each a list of batches; `first` is the first one's number. */
function recover(segments: readonly (readonly Partial<Batch>[])[], first = 1) {
  let chain = 0;
  const files = segments.map((batches, at) => {
    const sequence = first + at;
    let bytes = new Uint8Array();
    for (const batch of batches) {
      const place = { segment: sequence, offset: bytes.length, chain };
      const encoded = encodeBatch({ ...NOTHING, ...batch }, place);
      chain = encoded.checksum;
      bytes = new Uint8Array([...bytes, ...encoded.bytes]);
    }
    return { sequence, read: () => bytes };
  });
  const log = recoverLog(files);
  return log.kind === "problem" ? log.line : log;
}

test("a good log is read", () => {
  const log = recover([
    [FIRST, { entries: entries(1, 3, 2) }],
    [{ ...FIRST, position: position(3, 2) }],
  ]);
  expect(log).toMatchObject({ base: position(0, 0), hardState: hardState(3, "n1"), tear: null });
});

test("a vote given in a term may be the first in it, or of a newer term", () => {
  const votes = [hardState(4), hardState(4, "n2"), hardState(5, "n3")];
  const log = recover([[FIRST, ...votes.map((vote) => ({ hardState: vote }))]]);
  expect(log).toMatchObject({ hardState: hardState(5, "n3") });
});

test.each<[string, readonly (readonly Partial<Batch>[])[], string]>([
  ["the term goes back", [[FIRST, { hardState: hardState(2) }]], "byte 512: the term goes back"],
  [
    "a vote changes",
    [[FIRST, { hardState: hardState(3, "n2") }]],
    "byte 512: a second vote in one term",
  ],
  [
    "a vote is taken back",
    [[FIRST, { hardState: hardState(3) }]],
    "byte 512: a second vote in one term",
  ],
  [
    "entries are missing",
    [[FIRST, { entries: entries(1, 2, 1) }, { entries: entries(4, 4, 1) }]],
    "byte 1024: entry 4 of term 1 does not follow entry 2 of term 1",
  ],
  [
    "entries of an older term follow",
    [[FIRST, { entries: entries(1, 2, 2) }, { entries: entries(3, 3, 1) }]],
    "byte 1024: entry 3 of term 1 has an older term than entry 2 of term 2",
  ],
  [
    "an entry is from before a snapshot",
    [[FIRST, { reset: position(9, 2) }, { entries: entries(9, 9, 3) }]],
    "byte 1024: entry 9 of term 3 is in a snapshot already",
  ],
  [
    "a segment has no position",
    [[{ hardState: hardState(1) }]],
    "byte 0: a segment must begin with its position, and nothing else may",
  ],
  [
    "a position is in the midst of a segment",
    [[FIRST, { position: position(0, 0) }]],
    "byte 512: a segment must begin with its position, and nothing else may",
  ],
  [
    "a segment has no hard state",
    [[{ position: position(0, 0) }]],
    "byte 0: the segment does not begin with a hard state",
  ],
  [
    "a segment begins elsewhere than the one before ends",
    [[FIRST, { entries: entries(1, 2, 1) }], [{ ...FIRST, position: position(3, 1) }]],
    "byte 0: the segment goes on from entry 3 of term 1, not from entry 2 of term 1",
  ],
])("refused: %s", (_name, segments, line) => {
  expect(recover(segments)).toContain(line);
});

test("the oldest segment kept may have any number, and begin anywhere", () => {
  const segment = [{ ...FIRST, position: position(40, 2) }, { entries: entries(41, 42, 2) }];
  const log = recover([segment], 17);
  if (typeof log === "string") expect.fail(log);
  expect(log.base).toEqual(position(40, 2));
  expect(places(log.entries)).toBe("41@2 42@2");
  expect(log.next.sequence).toBe(18);
});
