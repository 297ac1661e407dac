/** Calls and their answers survive the wire exactly, and mean what the question asked for. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MalformedError } from "../../src/lib/bytes.ts";
import type { Index, Term } from "../../src/raft/types.ts";
import {
  type ChunkReply,
  decodeChunkReply,
  decodeForward,
  decodeForwardReply,
  decodeHelloReply,
  decodeQuestion,
  decodeReadIndex,
  decodeReadIndexReply,
  decodeSnapshotChunk,
  encodeChunkReply,
  encodeForward,
  encodeForwardReply,
  encodeHelloReply,
  encodeQuestion,
  encodeReadIndex,
  encodeReadIndexReply,
  encodeSnapshotChunk,
  type ForwardReply,
  type ReadIndexReply,
} from "../../src/transport/call-codec.ts";
import { type Packable, seal } from "../../src/transport/msgpack.ts";
import { FORWARD_COUNT_MAX } from "../../src/transport/protocol.ts";
import { n1, n3 } from "./arbitrary.ts";

const term = 7 as Term;
const at = (index: number) => ({ index: index as Index, term });
const refusals: readonly ForwardReply[] = [
  { type: "refused", reason: "not_leader", leader: n3, term },
  { type: "refused", reason: "not_leader", leader: null, term },
  { type: "refused", reason: "busy", leader: n1, term },
];

test("proposals, as copies that do not keep the body", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }), (proposals) => {
      const decoded = decodeForward(encodeForward(proposals));
      expect(decoded).toStrictEqual(proposals);
      for (const copy of decoded) expect(copy.buffer.byteLength).toBe(copy.length);
    }),
  );
});

test.each<ForwardReply>([
  { type: "taken", term, positions: [at(2 ** 40), at(2 ** 40 + 1)] },
  ...refusals,
])("answer to a forward: %j", (reply) => {
  expect(decodeForwardReply(encodeForwardReply(reply), 2)).toStrictEqual(reply);
});

test.each([true, false])("a question for a read index: %j", (mayLease) => {
  expect(decodeReadIndex(encodeReadIndex(mayLease))).toBe(mayLease);
});

test.each<ReadIndexReply>([
  { type: "confirmed", term, index: (2 ** 53 - 1) as Index, byLease: false },
  { type: "confirmed", term, index: 1 as Index, byLease: true },
  ...(refusals as ReadIndexReply[]),
])("answer to a read index: %j", (reply) => {
  expect(decodeReadIndexReply(encodeReadIndexReply(reply))).toStrictEqual(reply);
});

test.each(["n1-second", null])("answer to a hello: known incarnation %s", (knownIncarnation) => {
  const clientUrl = "http://127.0.0.1:4001";
  const about = { name: n1, incarnation: "n1-first", fresh: false, clientUrl };
  const silentMs = knownIncarnation === null ? null : 70_000;
  const reply = { ...about, knownIncarnation, silentMs };
  expect(decodeHelloReply(encodeHelloReply(reply))).toStrictEqual(reply);
});

test("a question", () => {
  expect(decodeQuestion(encodeQuestion())).toBeUndefined();
});

test("a chunk of a snapshot, and its answers", () => {
  const chunk = {
    term,
    name: "12-7.snap",
    bytes: 2 ** 40,
    offset: 2 ** 33,
    data: Uint8Array.of(1, 2),
  };
  expect(decodeSnapshotChunk(encodeSnapshotChunk(chunk))).toStrictEqual(chunk);
  const replies: readonly ChunkReply[] = [
    { type: "want", offset: 0 },
    { type: "want", offset: 2 ** 40 },
    { type: "refused", reason: "stale_term" },
    { type: "refused", reason: "not_wanted" },
  ];
  for (const reply of replies) {
    expect(decodeChunkReply(encodeChunkReply(reply), 2 ** 40)).toStrictEqual(reply);
  }
});

describe("what makes no sense is refused", () => {
  const two = new Uint8Array(2);
  const chunk =
    (...fields: readonly Packable[]) =>
    () =>
      decodeSnapshotChunk(seal(fields));

  test.each<[string, () => unknown]>([
    ["too few positions", () => decodeForwardReply(seal([0, 7, [[1, 7]]]), 2)],
    [
      "too many positions",
      () =>
        decodeForwardReply(
          seal([
            0,
            7,
            [
              [1, 7],
              [2, 7],
            ],
          ]),
          1,
        ),
    ],
    ["an unknown reason", () => decodeForwardReply(seal([1, 7, [2, null]]), 1)],
    ["a leader that is no node", () => decodeReadIndexReply(seal([1, 7, [0, "a b"]]))],
    ["neither yes nor no", () => decodeReadIndexReply(seal([2, 7, 12]))],
    [
      "too many proposals",
      () => decodeForward(seal(Array.from({ length: FORWARD_COUNT_MAX + 1 }, () => two))),
    ],
    ["a proposal of text", () => decodeForward(seal(["put"]))],
    ["a hello without a name", () => decodeHelloReply(seal(["", "i", true, null]))],
    ["a question that says something", () => decodeQuestion(seal([1]))],
    ["a read index without its proof", () => decodeReadIndexReply(seal([0, 7, 12]))],
    ["a question for a read index that says nothing", () => decodeReadIndex(seal([]))],
    ["a question for a read index by a number", () => decodeReadIndex(seal([1]))],
    ["a chunk beyond the end", chunk(7, "s", 10, 9, two)],
    ["a chunk of nothing", chunk(7, "s", 10, 9, new Uint8Array())],
    ["a chunk of more than may be", chunk(7, "s", 2 ** 30, 0, new Uint8Array(2 ** 20 + 1))],
    ["a chunk of a file elsewhere", chunk(7, "../s", 10, 0, two)],
    ["a chunk of a hidden file", chunk(7, "..", 10, 0, two)],
    ["a wish beyond the end", () => decodeChunkReply(seal([0, 11]), 10)],
    ["an unknown refusal", () => decodeChunkReply(seal([1, 2]), 10)],
  ])("%s", (_what, decode) => {
    expect(decode).toThrow(MalformedError);
  });

  test("though next to it all is well", () => {
    expect(chunk(7, "s", 10, 8, two)()).toMatchObject({ offset: 8 });
    expect(decodeReadIndexReply(seal([1, 7, [0, "a.b"]]))).toMatchObject({ leader: "a.b" });
    expect(decodeChunkReply(seal([0, 10]), 10)).toEqual({ type: "want", offset: 10 });
  });
});
