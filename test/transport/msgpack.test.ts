/** The strict reader against msgpackr's own writer, and against what is made to do harm (D2). */
import { pack, Packr, unpack } from "msgpackr";
import { describe, expect, test } from "vitest";
import { MalformedError } from "../../src/lib/bytes.ts";
import { decodeMessages, encodeMessages } from "../../src/transport/codec.ts";
import { MsgpackReader, seal, unseal } from "../../src/transport/msgpack.ts";
import {
  decodeForward,
  decodeForwardReply,
  decodeHelloReply,
  decodeQuestion,
  decodeReadIndexReply,
  decodeSnapshotChunk,
  encodeForward,
  encodeHelloReply,
  encodeSnapshotChunk,
} from "../../src/transport/call-codec.ts";
import type { Term } from "../../src/raft/types.ts";
import { Prng } from "../../src/lib/random.ts";
import { appendOf, heartbeatOf, n1, n2, resealed } from "./arbitrary.ts";

const reader = (...bytes: readonly number[]) => new MsgpackReader(Uint8Array.from(bytes));

const decoders: Record<string, (body: Uint8Array) => unknown> = {
  messages: (body) => decodeMessages(body, { from: n1, to: n2 }),
  forward: decodeForward,
  forwardReply: (body) => decodeForwardReply(body, 2),
  readIndexReply: decodeReadIndexReply,
  question: decodeQuestion,
  helloReply: decodeHelloReply,
  snapshotChunk: decodeSnapshotChunk,
};

describe("reader", () => {
  test("reads what msgpackr writes", () => {
    const numbers = [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
    const texts = ["", "n1", "x".repeat(31), "x".repeat(32), "x".repeat(255)];
    const blobs = [0, 1, 255, 256, 65_535, 65_536].map((length) => new Uint8Array(length));
    const read = unseal(seal([numbers, texts, blobs, true, false, null]));
    read.tuple(6);
    read.tuple(numbers.length);
    expect(numbers.map(() => read.uint())).toEqual(numbers);
    read.tuple(texts.length);
    expect(texts.map(() => read.text())).toEqual(texts);
    read.tuple(blobs.length);
    expect(blobs.map(() => read.bin().length)).toEqual(blobs.map(({ length }) => length));
    expect([read.bool(), read.bool(), read.nullable(() => read.uint())]).toEqual([
      true,
      false,
      null,
    ]);
    read.end();
  });

  test("takes a uint64 for a number up to 2^53, and refuses it beyond: no BigInt", () => {
    expect(reader(0xcf, 0, 0, 0, 0, 0, 0, 0, 5).uint()).toBe(5);
    expect(reader(0xcf, 0, 0x1f, 255, 255, 255, 255, 255, 255).uint()).toBe(2 ** 53 - 1);
    expect(() => reader(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0).uint()).toThrow("beyond 2^53");
    expect(typeof unpack(Uint8Array.of(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0))).toBe("bigint");
  });

  test("refuses text that is not ASCII", () => {
    expect(() => new MsgpackReader(pack("naïve")).text()).toThrow(MalformedError);
  });

  test.each([
    ["array 32", [0xdd, 0xff, 0xff, 0xff, 0xff], (r: MsgpackReader) => r.array()],
    ["array 16", [0xdc, 0xff, 0xff], (r: MsgpackReader) => r.array()],
    ["bin 32", [0xc6, 0xff, 0xff, 0xff, 0xff, 1], (r: MsgpackReader) => r.bin()],
    ["str 8", [0xd9, 0xff, 0x41], (r: MsgpackReader) => r.text()],
  ])("refuses a declared length beyond the body: %s", (_what, bytes, read) => {
    expect(() => read(reader(...bytes))).toThrow(MalformedError);
  });
});

describe("hostile bodies", () => {
  const records = new Packr({ useRecords: true, moreTypes: true });
  const deep = new Uint8Array(1_000_000).fill(0x91);
  const hostile: readonly [string, Uint8Array][] = [
    ["a record extension (0x72)", Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1)],
    ["records as msgpackr writes them", records.pack([{ a: 1 }, { a: 2 }])],
    ["a map", pack({ type: "commit" })],
    [
      "a map with __proto__",
      Uint8Array.of(0x81, 0xa9, ...Buffer.from("__proto__"), 0x81, 0xa1, 0x78, 1),
    ],
    ["a date", pack(new Date(0))],
    ["a set", records.pack(new Set([1]))],
    ["a regular expression", records.pack(/(a+)+$/)],
    ["an error", records.pack(new Error("x"))],
    ["a typed array", records.pack(new Float64Array(2))],
    ["a big integer", pack(2n ** 63n)],
    ["bundled strings (0x62)", Uint8Array.of(0xd6, 0x62, 0, 0, 0, 1, 0xa0, 0xa0)],
    ["a reference to itself (0x70)", Uint8Array.of(0xd6, 0x70, 0, 0, 0, 1)],
    ["the unused type 0xc1", Uint8Array.of(0xc1)],
    ["a million arrays in each other", deep],
    ["an array of four thousand million", Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ["a map of four thousand million", Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ["four thousand million bytes", Uint8Array.of(0x91, 0xc6, 0xff, 0xff, 0xff, 0xff)],
  ];

  test.each(hostile)("%s", (_what, payload) => {
    const listed = Buffer.concat([Uint8Array.of(0x91), payload]);
    for (const decode of Object.values(decoders)) {
      expect(() => decode(resealed(payload))).toThrow(MalformedError);
      expect(() => decode(resealed(listed))).toThrow(MalformedError);
      expect(() => decode(payload)).toThrow(MalformedError);
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});

describe("damage", () => {
  const chunk = { name: "s-1-2", bytes: 900, offset: 300, data: new Uint8Array(64).fill(7) };
  const samples = [
    encodeMessages([appendOf(2, [new Uint8Array(20), new Uint8Array(5)]), heartbeatOf(2, 9)]),
    encodeMessages([{ from: n1, to: n2, term: (2 ** 40) as Term, type: "voted", granted: true }]),
    encodeForward([new Uint8Array(10), new Uint8Array(3)]),
    encodeHelloReply({
      name: n1,
      incarnation: "i1",
      fresh: true,
      knownIncarnation: null,
      silentMs: 5,
      clientUrl: "http://127.0.0.1:4001",
    }),
    encodeSnapshotChunk({ ...chunk, term: 3 as Term }),
    seal([
      0,
      7,
      [
        [1, 7],
        [2, 7],
      ],
    ]),
    seal([1, 7, [0, "n2"]]),
    seal([0, 7, 12]),
  ];
  const random = new Prng("damage");

  /** Some bytes changed, cut out, repeated or put in. */
  function mutate(bytes: Uint8Array): Uint8Array {
    const list = [...bytes];
    for (let n = random.between(1, 4); n > 0; n--) {
      const at = random.below(list.length + 1);
      const change = random.below(5);
      if (change === 0) list[at] = random.below(256);
      else if (change === 1) list.splice(at, random.between(1, 8));
      else if (change === 2) list.splice(at, 0, random.below(256));
      else if (change === 3) list.splice(at, 0, ...list.slice(at, at + 8));
      else list[at] = random.pick([0xc1, 0xcf, 0xd4, 0xdd, 0xdf, 0xc6, 0xff, 0x72]);
    }
    return Uint8Array.from(list);
  }

  function randomBody(): Uint8Array {
    return Uint8Array.from({ length: random.below(60) }, () => random.below(256));
  }

  function containsBigInt(value: unknown): boolean {
    if (typeof value === "bigint") return true;
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
    return Object.values(value).some(containsBigInt);
  }

  /** Whether it was taken for a good body. Anything but a MalformedError is thrown on. */
  function accepted(decode: (body: Uint8Array) => unknown, body: Uint8Array): boolean {
    try {
      expect(containsBigInt(decode(body))).toBe(false);
      return true;
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      return false;
    }
  }

  test("a hundred thousand damaged and random bodies: refused, or harmless", () => {
    let taken = 0;
    let refused = 0;
    const list = Object.values(decoders);
    for (let i = 0; i < 100_000; i++) {
      const decode = random.pick(list);
      const payload = random.chance(20) ? randomBody() : mutate(random.pick(samples).subarray(6));
      // Mostly with a seal in order, as the seal alone would stop nearly all of them.
      const body = random.chance(90) ? resealed(payload) : payload;
      if (accepted(decode, body)) taken += 1;
      else refused += 1;
    }
    expect(taken).toBeGreaterThan(100); // Else the damage would be too coarse to prove anything.
    expect(refused).toBeGreaterThan(50_000);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(Object.keys(Array.prototype)).toEqual([]);
  });
});
