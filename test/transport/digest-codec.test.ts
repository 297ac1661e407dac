/** Questions for digests, and their answers, survive the wire exactly; all else is refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MalformedError } from "../../src/lib/bytes.ts";
import type { Term } from "../../src/raft/types.ts";
import {
  decodeDigestQuestion,
  decodeDigestReply,
  type DigestQuestion,
  type DigestReply,
  encodeDigestQuestion,
  encodeDigestReply,
} from "../../src/transport/digest-codec.ts";
import { type Packable, seal } from "../../src/transport/msgpack.ts";
import { DIGEST_BODY_BYTES_MAX } from "../../src/transport/protocol.ts";

const number = fc.maxSafeNat();
const digest = fc.stringMatching(/^[0-9a-f]{16}$/);
const reply: fc.Arbitrary<DigestReply> = fc.record(
  { chain: fc.option(digest), page: fc.option(digest) },
  { noNullPrototype: true },
);
const question: fc.Arbitrary<DigestQuestion> = fc.record(
  {
    term: number as fc.Arbitrary<Term>,
    round: number,
    place: number,
    start: fc.uint8Array({ maxLength: 300 }),
    revision: number,
    verdict: fc.option(fc.tuple(number, reply).map(([round, answers]) => ({ round, ...answers }))),
  },
  { noNullPrototype: true },
);

test("a question for digests, as a copy that does not keep the body", () => {
  fc.assert(
    fc.property(question, (asked) => {
      const decoded = decodeDigestQuestion(encodeDigestQuestion(asked));
      expect(decoded).toStrictEqual(asked);
      expect(decoded.start.buffer.byteLength).toBe(asked.start.length);
    }),
  );
});

test("the longest key fits into a question", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const both = { chain: "f".repeat(16), page: "f".repeat(16) };
  const body = encodeDigestQuestion({
    term: largest as Term,
    round: largest,
    place: largest,
    start: new Uint8Array(4_096 + 1),
    revision: largest,
    verdict: { round: largest, ...both },
  });
  expect(body.length).toBeLessThan(DIGEST_BODY_BYTES_MAX);
});

test("an answer with digests", () => {
  fc.assert(
    fc.property(reply, (answered) => {
      expect(decodeDigestReply(encodeDigestReply(answered))).toStrictEqual(answered);
    }),
  );
});

describe("what makes no sense is refused", () => {
  const key = new Uint8Array(1);
  const chain = "0123456789abcdef";
  const asked =
    (...fields: readonly Packable[]) =>
    () =>
      decodeDigestQuestion(seal(fields));
  const answered =
    (...fields: readonly Packable[]) =>
    () =>
      decodeDigestReply(seal(fields));

  test.each<[string, () => unknown]>([
    ["a question without a key", asked(7, 1, 2, 3, null)],
    ["a key of text", asked(7, 1, 2, "key", 3, null)],
    ["a verdict of no round", asked(7, 1, 2, key, 3, [chain, chain])],
    ["a verdict that is no digest", asked(7, 1, 2, key, 3, [0, "chain", null])],
    ["an answer with too little", answered(chain)],
    ["an answer with too much", answered(chain, chain, chain)],
    ["a digest that is too short", answered("0123456789abcde", null)],
    ["a digest with other letters", answered(null, "0123456789ABCDEF")],
  ])("%s", (_what, decode) => {
    expect(decode).toThrow(MalformedError);
  });

  test("though next to it all is well", () => {
    expect(asked(7, 1, 2, key, 3, [0, chain, null])()).toMatchObject({ place: 2, revision: 3 });
    expect(answered(null, chain)()).toEqual({ chain: null, page: chain });
  });
});
