/**
 * The calls between nodes, and what is answered, as bytes: a sealed tuple each, with proposals and
 * chunks as opaque bytes. Every `decode…` throws MalformedError where anything at all is wrong,
 * and keeps nothing of the body but what it says it keeps.
 */
import { MalformedError } from "../lib/bytes.ts";
import type { Refusal as ProposalRefusal } from "../raft/message.ts";
import {
  asIndex,
  asTerm,
  isNodeId,
  type Index,
  type NodeId,
  type Position,
  type Term,
} from "../raft/types.ts";
import { isPeerUrl, isPlainName } from "./identity.ts";
import { type MsgpackReader, seal, unseal } from "./msgpack.ts";
import { FORWARD_COUNT_MAX, SNAPSHOT_CHUNK_BYTES_MAX } from "./protocol.ts";

/** It is certain that nothing was proposed, or that no read was confirmed. */
export interface CallRefused {
  readonly type: "refused";
  readonly reason: ProposalRefusal;
  /** Who leads instead, as far as the answering node knows. */
  readonly leader: NodeId | null;
  readonly term: Term;
}

/** `taken`: the leader of `term` put the proposals into its log at these places, in their order. */
export type ForwardReply =
  | { readonly type: "taken"; readonly term: Term; readonly positions: readonly Position[] }
  | CallRefused;

/**
 * `confirmed`: a state that has applied `index` holds all that was committed before the call.
 * `byLease`: as the leader's lease has it, which is as good as the bound on clocks.
 */
export type ReadIndexReply =
  | {
      readonly type: "confirmed";
      readonly term: Term;
      readonly index: Index;
      readonly byLease: boolean;
    }
  | CallRefused;

/** What a node says of itself and of the node that asks. */
export interface HelloReply {
  readonly name: NodeId;
  readonly incarnation: string;
  /** The answering node has never been part of a cluster: its data directory is new. */
  readonly fresh: boolean;
  /** The incarnation that the answering node knows for the one who asks; null: none yet. */
  readonly knownIncarnation: string | null;
  /** For how many milliseconds that one has not been heard; null: not since the start. */
  readonly silentMs: number | null;
  /** Where clients find the answering node: an origin. */
  readonly clientUrl: string;
}

/** A part of a snapshot file. */
export interface SnapshotChunk {
  /** The term in which the sender leads. */
  readonly term: Term;
  /** Which snapshot: 1–64 characters of `A–Z a–z 0–9 . _ -`, beginning with a letter or digit. */
  readonly name: string;
  /** The size of the whole. */
  readonly bytes: number;
  readonly offset: number;
  /** Shares the body's memory: copy what outlives the request. */
  readonly data: Uint8Array;
}

/** `want`: send on from `offset`; the size of the whole means that nothing is missing. */
export type ChunkReply =
  | { readonly type: "want"; readonly offset: number }
  | { readonly type: "refused"; readonly reason: ChunkRefusal };

/** `stale_term`: the sender leads no more. `not_wanted`: the receiver has no use for it. */
export type ChunkRefusal = (typeof CHUNK_REFUSALS)[number];

const REASONS: readonly ProposalRefusal[] = ["not_leader", "busy"];
const CHUNK_REFUSALS = ["stale_term", "not_wanted"] as const;
/** The first field of every answer. */
const YES = 0;
const NO = 1;

export function encodeForward(proposals: readonly Uint8Array[]): Uint8Array {
  return seal(proposals);
}

/** The proposals, each a copy. */
export function decodeForward(body: Uint8Array): readonly Uint8Array[] {
  const reader = unseal(body);
  const count = reader.array();
  if (count > FORWARD_COUNT_MAX) throw new MalformedError("too many proposals");
  const proposals = Array.from({ length: count }, () => reader.bin().slice());
  reader.end();
  return proposals;
}

export function encodeForwardReply(reply: ForwardReply): Uint8Array {
  if (reply.type === "refused") return encodeRefused(reply);
  return seal([YES, reply.term, reply.positions.map(({ index, term }) => [index, term])]);
}

/** An answer to a call with `count` proposals, none of which is passed over. */
export function decodeForwardReply(body: Uint8Array, count: number): ForwardReply {
  return decodeReply(body, (reader, term) => {
    reader.tuple(count);
    const positions = Array.from({ length: count }, () => readPosition(reader));
    return { type: "taken", term, positions };
  });
}

export function encodeReadIndexReply(reply: ReadIndexReply): Uint8Array {
  if (reply.type === "refused") return encodeRefused(reply);
  return seal([YES, reply.term, [reply.index, reply.byLease]]);
}

export function decodeReadIndexReply(body: Uint8Array): ReadIndexReply {
  return decodeReply(body, (reader, term) => {
    reader.tuple(2);
    return { type: "confirmed", term, index: asIndex(reader.uint()), byLease: reader.bool() };
  });
}

/** A question for a read index; `mayLease`: the leader's lease will do. */
export function encodeReadIndex(mayLease: boolean): Uint8Array {
  return seal([mayLease]);
}

export function decodeReadIndex(body: Uint8Array): boolean {
  const reader = unseal(body);
  reader.tuple(1);
  const mayLease = reader.bool();
  reader.end();
  return mayLease;
}

/** A question that carries nothing: who asks is in the headers. */
export function encodeQuestion(): Uint8Array {
  return seal([]);
}

export function decodeQuestion(body: Uint8Array): void {
  const reader = unseal(body);
  reader.tuple(0);
  reader.end();
}

export function encodeHelloReply(reply: HelloReply): Uint8Array {
  const { name, incarnation, fresh, knownIncarnation, silentMs, clientUrl } = reply;
  return seal([name, incarnation, fresh, knownIncarnation, silentMs, clientUrl]);
}

export function decodeHelloReply(body: Uint8Array): HelloReply {
  const reader = unseal(body);
  reader.tuple(6);
  const reply = {
    name: readNodeId(reader),
    incarnation: readName(reader),
    fresh: reader.bool(),
    knownIncarnation: reader.nullable(() => readName(reader)),
    silentMs: reader.nullable(() => reader.uint()),
    clientUrl: readUrl(reader),
  };
  reader.end();
  return reply;
}

/** The seal's checksum covers the data: what was damaged on the way is not taken for the file. */
export function encodeSnapshotChunk(chunk: SnapshotChunk): Uint8Array {
  return seal([chunk.term, chunk.name, chunk.bytes, chunk.offset, chunk.data]);
}

export function decodeSnapshotChunk(body: Uint8Array): SnapshotChunk {
  const reader = unseal(body);
  reader.tuple(5);
  const chunk = {
    term: asTerm(reader.uint()),
    name: readName(reader),
    bytes: reader.uint(),
    offset: reader.uint(),
    data: reader.bin(),
  };
  reader.end();
  if (!/^[A-Za-z0-9]/.test(chunk.name)) throw new MalformedError("not the name of a snapshot");
  const { bytes, offset, data } = chunk;
  if (data.length === 0 || data.length > SNAPSHOT_CHUNK_BYTES_MAX || offset + data.length > bytes) {
    throw new MalformedError("chunk is not a part of the snapshot");
  }
  return chunk;
}

export function encodeChunkReply(reply: ChunkReply): Uint8Array {
  if (reply.type === "want") return seal([YES, reply.offset]);
  return seal([NO, CHUNK_REFUSALS.indexOf(reply.reason)]);
}

/** An answer to a chunk of a snapshot of `bytes` bytes. */
export function decodeChunkReply(body: Uint8Array, bytes: number): ChunkReply {
  const reader = unseal(body);
  reader.tuple(2);
  const verdict = reader.uint();
  const value = reader.uint();
  reader.end();
  if (verdict === YES && value <= bytes) return { type: "want", offset: value };
  const reason = CHUNK_REFUSALS[value];
  if (verdict !== NO || reason === undefined) throw new MalformedError("not an answer to a chunk");
  return { type: "refused", reason };
}

function encodeRefused({ term, reason, leader }: CallRefused): Uint8Array {
  return seal([NO, term, [REASONS.indexOf(reason), leader]]);
}

function decodeReply<T>(
  body: Uint8Array,
  readYes: (reader: MsgpackReader, term: Term) => T,
): T | CallRefused {
  const reader = unseal(body);
  reader.tuple(3);
  const verdict = reader.uint();
  const term = asTerm(reader.uint());
  if (verdict !== YES && verdict !== NO) throw new MalformedError("neither yes nor no");
  const reply = verdict === YES ? readYes(reader, term) : readRefused(reader, term);
  reader.end();
  return reply;
}

function readRefused(reader: MsgpackReader, term: Term): CallRefused {
  reader.tuple(2);
  const reason = REASONS[reader.uint()];
  if (reason === undefined) throw new MalformedError("unknown reason");
  return { type: "refused", reason, leader: reader.nullable(() => readNodeId(reader)), term };
}

function readPosition(reader: MsgpackReader): Position {
  reader.tuple(2);
  return { index: asIndex(reader.uint()), term: asTerm(reader.uint()) };
}

function readNodeId(reader: MsgpackReader): NodeId {
  const text = reader.text();
  if (!isNodeId(text)) throw new MalformedError("not the name of a node");
  return text;
}

/** It will stand in headers of answers to clients. */
function readUrl(reader: MsgpackReader): string {
  const text = reader.text();
  if (!isPeerUrl(text)) throw new MalformedError("not a URL");
  return text;
}

function readName(reader: MsgpackReader): string {
  const text = reader.text();
  if (!isPlainName(text)) throw new MalformedError("not a name");
  return text;
}
