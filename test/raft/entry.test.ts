/** The one encoding of entries: what goes in comes out, and what is damaged does not. */
import { describe, expect, test } from "vitest";
import { bytesOf, MalformedError } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import {
  decodeEntry,
  ENTRY_HEADER_BYTES,
  type EntryFields,
  entryLength,
  makeEntry,
} from "../../src/raft/entry.ts";
import { encodeConfiguration, configurationOf } from "../../src/raft/membership.ts";
import { asIndex, asTerm, type ClusterTime, type NodeId } from "../../src/raft/types.ts";

const configuration = encodeConfiguration(configurationOf({ voters: ["n1" as NodeId] }));
const fields: EntryFields = {
  index: asIndex(7),
  term: asTerm(3),
  time: 12_345 as ClusterTime,
  kind: "command",
  data: bytesOf("put a 1"),
};

function numbers(value: number): EntryFields {
  return { ...fields, index: asIndex(value), term: asTerm(value), time: value as ClusterTime };
}

describe("an entry", () => {
  test.each([
    ["a command", fields],
    ["without data", { ...fields, kind: "noop", data: new Uint8Array(0) }],
    ["a configuration", { ...fields, kind: "config", data: configuration }],
    ["with numbers of zero", numbers(0)],
    ["with numbers beyond 2^32", numbers(2 ** 32 + 5)],
    ["with the largest numbers", numbers(Number.MAX_SAFE_INTEGER)],
    ["with a megabyte of data", { ...fields, data: new Uint8Array(1 << 20).fill(7) }],
  ] satisfies [string, EntryFields][])("%s comes back as it was", (_, wanted) => {
    const entry = makeEntry(wanted);
    expect(entry).toMatchObject(wanted);
    expect(decodeEntry(entry.bytes)).toEqual(entry);
  });

  test("has a fixed layout, the same on every machine and in every version", () => {
    const { bytes } = makeEntry({ ...fields, data: bytesOf("hi") });
    const hex = Buffer.from(bytes).toString("hex");
    expect(hex.slice(8)).toBe(
      "00000002" + "01" + "0000000000000007" + "0000000000000003" + "0000000000003039" + "6869",
    );
    expect(bytes.length).toBe(ENTRY_HEADER_BYTES + 2);
  });

  test("does not change with the caller's buffer", () => {
    const data = bytesOf("abc");
    const entry = makeEntry({ ...fields, data });
    data.fill(0);
    expect(entry.data).toEqual(bytesOf("abc"));
  });

  test("says how long it is, from its header on", () => {
    const { bytes } = makeEntry(fields);
    const padded = new Uint8Array([1, 2, 3, ...bytes, 9]);
    expect(entryLength(padded, 3)).toBe(bytes.length);
    expect(entryLength(bytes.subarray(0, ENTRY_HEADER_BYTES - 1), 0)).toBeNull();
  });
});

describe("a damaged entry", () => {
  test("is refused, whichever bit is wrong", () => {
    const { bytes } = makeEntry(fields);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeEntry(damaged), `bit ${bit}`).toThrow(MalformedError);
    }
  });

  test("is refused, however much of it is missing or too much", () => {
    const { bytes } = makeEntry(fields);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeEntry(bytes.subarray(0, length)), `${length}`).toThrow(MalformedError);
    }
    expect(() => decodeEntry(new Uint8Array([...bytes, 0]))).toThrow(MalformedError);
  });

  test("is refused where two bytes have changed places", () => {
    const { bytes } = makeEntry({ ...fields, data: bytesOf("0123456789") });
    for (let at = 0; at + 1 < bytes.length; at++) {
      const damaged = bytes.slice();
      const [a = 0, b = 0] = [damaged[at], damaged[at + 1]];
      if (a === b) continue;
      damaged.set([b, a], at);
      expect(() => decodeEntry(damaged), `${at}`).toThrow(MalformedError);
    }
  });

  test("is refused, and nothing else happens, for any bytes at all", () => {
    const random = new Prng("entry");
    for (let i = 0; i < 5_000; i++) {
      const noise = Uint8Array.from({ length: random.below(80) }, () => random.below(256));
      expect(() => decodeEntry(noise)).toThrow(MalformedError);
    }
  });
});
