/** The leader's question for the digests of a node's state, and the answer, as bytes. */
import { MalformedError } from "../lib/bytes.ts";
import { asTerm, type Term } from "../raft/types.ts";
import { type MsgpackReader, type Packable, seal, unseal } from "./msgpack.ts";

/** Digests of a state; null: not known, or not any more. */
export interface DigestReply {
  /** Of all commands up to the place that was asked for, and of what came of them. */
  readonly chain: string | null;
  /** Of the keys that were asked for. */
  readonly page: string | null;
}

/** What a majority has answered to an earlier question. */
export interface Verdict extends DigestReply {
  readonly round: number;
}

/** Where nodes are to compare, and what came of it the last time. */
export interface DigestQuestion {
  /** The term in which the asking node leads. */
  readonly term: Term;
  /** Numbers the questions of this leader. */
  readonly round: number;
  /** After how many commands to tell the chain. */
  readonly place: number;
  /** From which key on to read, and at which revision. */
  readonly start: Uint8Array;
  readonly revision: number;
  /** Null: there was no question before. */
  readonly verdict: Verdict | null;
}

export function encodeDigestQuestion(question: DigestQuestion): Uint8Array {
  const { term, round, place, start, revision, verdict } = question;
  const told = verdict && [verdict.round, ...fieldsOf(verdict)];
  return seal([term, round, place, start, revision, told]);
}

/** A copy, which keeps nothing of the body. Throws MalformedError where anything is wrong. */
export function decodeDigestQuestion(body: Uint8Array): DigestQuestion {
  const reader = unseal(body);
  reader.tuple(6);
  const question = {
    term: asTerm(reader.uint()),
    round: reader.uint(),
    place: reader.uint(),
    start: reader.bin().slice(),
    revision: reader.uint(),
    verdict: reader.nullable(() => {
      reader.tuple(3);
      return { round: reader.uint(), ...readReply(reader) };
    }),
  };
  reader.end();
  return question;
}

export function encodeDigestReply(reply: DigestReply): Uint8Array {
  return seal(fieldsOf(reply));
}

/** Throws MalformedError where anything is wrong. */
export function decodeDigestReply(body: Uint8Array): DigestReply {
  const reader = unseal(body);
  reader.tuple(2);
  const reply = readReply(reader);
  reader.end();
  return reply;
}

function fieldsOf({ chain, page }: DigestReply): readonly Packable[] {
  return [chain, page];
}

function readReply(reader: MsgpackReader): DigestReply {
  const read = () => reader.nullable(() => readDigest(reader));
  return { chain: read(), page: read() };
}

function readDigest(reader: MsgpackReader): string {
  const text = reader.text();
  if (!/^[0-9a-f]{16}$/.test(text)) throw new MalformedError("not a digest");
  return text;
}
