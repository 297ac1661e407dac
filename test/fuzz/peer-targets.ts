/** What peers send: sealed msgpack bodies, of messages, calls and answers, and what is in them. */
import fc from "fast-check";
import { Packr } from "msgpackr";
import { assert } from "../../src/lib/assert.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import {
  decodeEntry,
  ENTRY_HEADER_BYTES,
  type EntryKind,
  makeEntry,
} from "../../src/raft/entry.ts";
import {
  configurationOf,
  decodeConfiguration,
  encodeConfiguration,
} from "../../src/raft/membership.ts";
import type { Message } from "../../src/raft/message.ts";
import type { ClusterTime, Index, NodeId, Term } from "../../src/raft/types.ts";
import {
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
} from "../../src/transport/call-codec.ts";
import {
  decodeDigestQuestion,
  decodeDigestReply,
  encodeDigestQuestion,
  encodeDigestReply,
} from "../../src/transport/digest-codec.ts";
import { decodeMessages, encodeMessages } from "../../src/transport/codec.ts";
import {
  decodeMemberQuestion,
  decodeMemberReply,
  encodeMemberQuestion,
  encodeMemberReply,
} from "../../src/transport/member-codec.ts";
import { message, n1, n2, resealed } from "../transport/arbitrary.ts";
import { memberQuestions, memberReplies } from "../transport/member-examples.ts";
import type { Mutator } from "./mutator.ts";
import { assertSafeNumbers, assertSame, decoded, type Target } from "./target.ts";

const SEAL_BYTES = 6;
/** Of its own, and used on copies: what it is given here is not what it is made for. */
const packr = new Packr({ useRecords: false });
const CORPUS_SEED = 1;
const term = 7 as Term;

/** One kind of body: some that are valid, how it is read, and how it is written again. */
interface Kind<T> {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  readonly decode: (body: Uint8Array) => T;
  readonly encode: (value: T) => Uint8Array;
}

function target<T>({ name, corpus: shared, decode, encode }: Kind<T>): Target {
  const corpus = shared.map((body) => new Uint8Array(body));
  return {
    name,
    next(mutator) {
      const { random } = mutator;
      return damagedBody(mutator, random.pick(corpus), random.pick(corpus));
    },
    run(input) {
      const value = decoded(() => decode(input));
      if (value === null) return false;
      assertSafeNumbers(value);
      assertSame(decode(encode(value)), value, name);
      return true;
    },
  };
}

/** A body damaged on its way, or, with its seal in order, by whoever made it. */
function damagedBody(mutator: Mutator, body: Uint8Array, other: Uint8Array): Uint8Array {
  const { random } = mutator;
  const kind = random.below(10);
  if (kind === 0) return mutator.bytes(body, other);
  const payload = body.subarray(SEAL_BYTES);
  if (kind < 5) return resealed(mutator.bytes(payload, other.subarray(SEAL_BYTES)));
  const tree = mutator.tree(packr.unpack(payload.slice()), (bytes) => damagedEntry(mutator, bytes));
  return resealed(new Uint8Array(packr.pack(tree)));
}

/** An entry that is damaged, mostly with the right checksum and length after that. */
export function damagedEntry(mutator: Mutator, bytes: Uint8Array): Uint8Array {
  const { random } = mutator;
  const kept = random.chance(50) ? Math.min(ENTRY_HEADER_BYTES, bytes.length) : 0;
  const rest = mutator.bytes(bytes.subarray(kept), bytes);
  const damaged = Uint8Array.from([...bytes.subarray(0, kept), ...rest]);
  if (damaged.length < ENTRY_HEADER_BYTES || random.chance(20)) return damaged;
  const view = new DataView(damaged.buffer);
  view.setUint32(4, damaged.length - ENTRY_HEADER_BYTES);
  view.setUint32(0, crc32c(damaged.subarray(4)));
  return damaged;
}

const configuration = encodeConfiguration(configurationOf({ voters: [n1, n2], outgoing: [n1] }));
const entries = ["noop", "command", "config"].map((kind, i) =>
  makeEntry({
    index: (i + 1) as Index,
    term,
    time: (i * 1000) as ClusterTime,
    kind: kind as EntryKind,
    data: kind === "noop" ? new Uint8Array() : configuration,
  }),
);
const sample = fc.sample(fc.array(message, { minLength: 1, maxLength: 4 }), {
  seed: CORPUS_SEED,
  numRuns: 300,
});
const append: Message = {
  from: n1,
  to: n2,
  term,
  type: "append",
  prevIndex: 0 as Index,
  prevTerm: 0 as Term,
  entries,
  commit: 0 as Index,
};

const messages = target({
  name: "messages",
  corpus: [
    ...sample.map(encodeMessages),
    ...Array.from({ length: 60 }, () => encodeMessages([append])),
  ],
  decode: (body) => {
    const found = decodeMessages(body, { from: n1, to: n2 });
    for (const m of found) {
      assert(m.from === n1 && m.to === n2, "a body says who speaks");
      if (m.type !== "append") continue;
      for (const { kind, data } of m.entries) if (kind === "config") decodeConfiguration(data);
    }
    return found;
  },
  encode: encodeMessages,
});

const refused = { type: "refused", reason: "busy", leader: n2, term } as const;
const positions = [1, 2].map((index) => ({ index: index as Index, term }));
const hello = { name: n2, incarnation: "abc", clientUrl: "http://127.0.0.1:4001" };
const chunk = { term, name: "snapshot-1.snap", bytes: 900, offset: 100 };
const digests = { chain: "0123456789abcdef", page: "fedcba9876543210" };
const data = Uint8Array.from({ length: 40 }, (_, i) => i);

export const peerTargets: readonly Target[] = [
  messages,
  target({
    name: "forward",
    corpus: [encodeForward([]), encodeForward([data, new Uint8Array(300)])],
    decode: decodeForward,
    encode: encodeForward,
  }),
  target({
    name: "answer to forward",
    corpus: [
      refused,
      { ...refused, leader: null },
      { type: "taken", term, positions } as const,
    ].map(encodeForwardReply),
    decode: (body) => decodeForwardReply(body, positions.length),
    encode: encodeForwardReply,
  }),
  target({
    name: "answer to read-index",
    corpus: [refused, { type: "confirmed", term, index: 5 as Index, byLease: false } as const].map(
      encodeReadIndexReply,
    ),
    decode: decodeReadIndexReply,
    encode: encodeReadIndexReply,
  }),
  target({
    name: "question for a read index",
    corpus: [true, false].map(encodeReadIndex),
    decode: decodeReadIndex,
    encode: encodeReadIndex,
  }),
  target({
    name: "question",
    corpus: [encodeQuestion()],
    decode: (body) => {
      decodeQuestion(body);
      return [];
    },
    encode: encodeQuestion,
  }),
  target({
    name: "answer to hello",
    corpus: [
      encodeHelloReply({ ...hello, fresh: true, knownIncarnation: null, silentMs: null }),
      encodeHelloReply({ ...hello, fresh: false, knownIncarnation: "x", silentMs: 300 }),
    ],
    decode: decodeHelloReply,
    encode: encodeHelloReply,
  }),
  target({
    name: "snapshot chunk",
    corpus: [encodeSnapshotChunk({ ...chunk, data })],
    decode: decodeSnapshotChunk,
    encode: encodeSnapshotChunk,
  }),
  target({
    name: "answer to a chunk",
    corpus: [
      encodeChunkReply({ type: "want", offset: 900 }),
      encodeChunkReply({ type: "refused", reason: "not_wanted" }),
    ],
    decode: (body) => decodeChunkReply(body, 900),
    encode: encodeChunkReply,
  }),
  target({
    name: "question for digests",
    corpus: [null, { round: 4, ...digests }, { round: 4, chain: null, page: null }].map((verdict) =>
      encodeDigestQuestion({ term, round: 5, place: 700, start: data, revision: 300, verdict }),
    ),
    decode: decodeDigestQuestion,
    encode: encodeDigestQuestion,
  }),
  target({
    name: "answer with digests",
    corpus: [digests, { ...digests, page: null }, { chain: null, page: null }].map(
      encodeDigestReply,
    ),
    decode: decodeDigestReply,
    encode: encodeDigestReply,
  }),
  target({
    name: "question about members",
    corpus: memberQuestions.map(encodeMemberQuestion),
    decode: decodeMemberQuestion,
    encode: encodeMemberQuestion,
  }),
  target({
    name: "answer about members",
    corpus: memberReplies.map(encodeMemberReply),
    decode: decodeMemberReply,
    encode: encodeMemberReply,
  }),
  {
    name: "entry",
    next: (mutator) => damagedEntry(mutator, mutator.random.pick(entries).bytes),
    run(input) {
      const entry = decoded(() => decodeEntry(input));
      if (entry === null) return false;
      assertSafeNumbers(entry);
      assertSame(decodeEntry(makeEntry(entry).bytes), entry, "entry");
      return true;
    },
  },
  {
    name: "configuration",
    next: (mutator) => mutator.bytes(configuration, configuration),
    run(input) {
      const found = decoded(() => decodeConfiguration(input));
      if (found === null) return false;
      assert(found.voters.length > 0, "a configuration without voters");
      const members: readonly NodeId[] = [...found.voters, ...found.learners];
      assert(
        members.every((id) => /^[\w.-]{1,64}$/.test(id)),
        "not the name of a node",
      );
      assertSame(decodeConfiguration(encodeConfiguration(found)), found, "configuration");
      return true;
    },
  },
];
