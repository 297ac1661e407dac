/** Messages survive the wire exactly, and nothing else gets through (D2, L18). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/lib/assert.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message } from "../../src/raft/message.ts";
import type { ClusterTime, Index, Term } from "../../src/raft/types.ts";
import { decodeMessages, encodeMessages, messageBytes } from "../../src/transport/codec.ts";
import { type Packable, seal } from "../../src/transport/msgpack.ts";
import { MESSAGES_BODY_BYTES_MAX, MESSAGES_COUNT_MAX } from "../../src/transport/protocol.ts";
import { appendOf, byType, entryAt, message, n1, n2, resealed } from "./arbitrary.ts";

const envelope = { from: n1, to: n2 };
const decode = (body: Uint8Array) => decodeMessages(body, envelope);
/** A body with one tuple, with its seal in order. */
const tuple = (...fields: readonly Packable[]) => seal([fields]);

const APPEND = 4;
const COMMIT = 9;

describe("what is encoded is decoded", () => {
  test.each(Object.entries(byType))("%s", (_type, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (m) => {
        expect(decode(encodeMessages([m]))).toStrictEqual([m]);
      }),
      { numRuns: 200 },
    );
  });

  test("many at once, in order", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        expect(decode(encodeMessages(messages))).toStrictEqual(messages);
      }),
    );
  });

  test("and never takes more than messageBytes says", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        const bound = messages.reduce((sum, m) => sum + messageBytes(m), 16);
        expect(encodeMessages(messages).length).toBeLessThanOrEqual(bound);
      }),
    );
  });

  test("without keeping the body alive", () => {
    const body = encodeMessages([appendOf(3, [new Uint8Array(5), new Uint8Array(100)])]);
    const [append] = decode(body);
    if (append?.type !== "append") throw new Error("not an append");
    for (const { bytes } of append.entries) expect(bytes.buffer.byteLength).toBe(bytes.length);
  });

  test("but a snapshot message stays at home: no peer may say that one is ready here", () => {
    const at = { index: 1 as Index, term: 1 as Term, time: 0 as ClusterTime };
    const configuration = configurationOf({ voters: [n1] });
    const meta = { ...at, configuration };
    const snapshot: Message = { ...envelope, term: 1 as Term, type: "snapshot", meta };
    expect(() => encodeMessages([snapshot])).toThrow(AssertionError);
    expect(() => decode(tuple(99, 1, 1))).toThrow("unknown message type 99");
  });
});

describe("what is not a message is refused", () => {
  const entry = entryAt(4, 7, new Uint8Array(3)).bytes;
  const damaged = entry.with(40 - 8, 9);
  const append = (prev: number, prevTerm: number, entries: Packable) =>
    tuple(APPEND, 7, prev, prevTerm, 0, entries);

  test("the samples are well formed but for what is wrong with them", () => {
    expect(decode(tuple(COMMIT, 7, 3))).toHaveLength(1);
    expect(decode(append(3, 7, [entry]))).toHaveLength(1);
  });

  test.each<[string, Uint8Array]>([
    ["an unknown type", tuple(200, 7, 3)],
    ["a type by its name", tuple("commit", 7, 3)],
    ["a missing field", tuple(COMMIT, 7)],
    ["a field too many", tuple(COMMIT, 7, 3, 3)],
    ["a number that is negative", tuple(COMMIT, 7, -1)],
    ["a number with a fraction", tuple(COMMIT, 7, 1.5)],
    ["a number beyond 2^53", tuple(COMMIT, 7, 2 ** 53)],
    ["infinity", tuple(COMMIT, 7, Number.POSITIVE_INFINITY)],
    ["not a number", tuple(COMMIT, 7, Number.NaN)],
    ["a text for a number", tuple(COMMIT, 7, "3")],
    ["nil for a number", tuple(COMMIT, 7, null)],
    ["a number for a boolean", tuple(3, 7, 1)],
    ["a text for an entry", append(3, 7, ["abc"])],
    ["an entry that is cut off", append(3, 7, [entry.subarray(0, 20)])],
    ["an entry that is damaged", append(3, 7, [damaged])],
    ["an entry from somewhere else in the log", append(2, 7, [entry])],
    ["a repeated entry", append(3, 7, [entry, entry])],
    ["an entry of an older term than the one before it", append(3, 8, [entry])],
    ["an entry of a later term than its leader", tuple(APPEND, 6, 3, 6, 0, [entry])],
    ["too many messages", seal(Array.from({ length: MESSAGES_COUNT_MAX + 1 }, () => [10, 1]))],
    ["a message that is no tuple", seal([7])],
    ["a body that is no list", seal(7)],
    ["an empty body", new Uint8Array()],
    ["a body of another format", new TextEncoder().encode('{"type":"commit"}')],
    ["a body that is too large", new Uint8Array(MESSAGES_BODY_BYTES_MAX + 1)],
  ])("%s", (_what, body) => {
    expect(() => decode(body)).toThrow(MalformedError);
  });

  test.each([
    ["bytes after the messages", [0x91, 0x93, COMMIT, 7, 3, 0xc0]],
    ["a message that reaches into the next", [0x92, 0x94, COMMIT, 7, 3, 0x93, COMMIT, 7, 3]],
    ["a message that ends before its last field", [0x92, 0x92, COMMIT, 7, 3, 0x93, COMMIT, 7, 3]],
  ])("%s, though the seal is in order", (_what, payload) => {
    expect(() => decode(resealed(Uint8Array.from(payload)))).toThrow(MalformedError);
    const sound = [0x92, 0x93, COMMIT, 7, 3, 0x93, COMMIT, 7, 3];
    expect(decode(resealed(Uint8Array.from(sound)))).toHaveLength(2);
  });

  test("one flipped bit anywhere", () => {
    const body = encodeMessages([appendOf(3, [new Uint8Array(9)])]);
    for (let bit = 0; bit < body.length * 8; bit++) {
      const flipped = body.with(bit >> 3, (body[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
      expect(() => decode(flipped)).toThrow(MalformedError);
    }
  });

  test("a body that is cut off anywhere, or goes on", () => {
    const body = encodeMessages([appendOf(3, [new Uint8Array(9)])]);
    for (let length = 0; length < body.length; length++) {
      expect(() => decode(body.subarray(0, length))).toThrow(MalformedError);
    }
    expect(() => decode(Uint8Array.of(...body, 0xc0))).toThrow(MalformedError);
  });
});
