/**
 * Raft messages as bytes, many to a body.
 *
 * A body is sealed msgpack: an array of tuples `[type, term, …fields]`. Who speaks to whom is not
 * in it: that is in the request's headers, where it was checked. Entries travel as their own
 * encoded bytes, so a follower writes to its disk what the leader made, checksum and all.
 */
import { assert } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import { decodeEntry, type Entry } from "../raft/entry.ts";
import type { Body, Message } from "../raft/message.ts";
import { asIndex, asTerm, type Index, type NodeId, type Term } from "../raft/types.ts";
import { type MsgpackReader, type Packable, seal, unseal } from "./msgpack.ts";
import { MESSAGES_BODY_BYTES_MAX, MESSAGES_COUNT_MAX } from "./protocol.ts";

/** Who speaks, and to whom, of every message in a body. */
export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
}

/**
 * What may cross the wire. A `snapshot` may not: it says that the receiver's own driver has the
 * snapshot ready, which no peer can know. Snapshots travel as chunks.
 */
type WireBody = Exclude<Body, { readonly type: "snapshot" }>;
type WireType = WireBody["type"];
type Of<T extends WireType> = Extract<WireBody, { readonly type: T }>;

/** The numbers of the types. Nodes of other versions know them: never use one again. */
const CODES = {
  prevote: 0,
  prevoted: 1,
  vote: 2,
  voted: 3,
  append: 4,
  appended: 5,
  refused: 6,
  heartbeat: 7,
  heard: 8,
  commit: 9,
  stale: 10,
  copied: 11,
  rejoin: 12,
  timeoutNow: 13,
} as const satisfies Record<WireType, number>;

/** How the fields of each type are read; `count` is their number. The order is the wire's. */
const FIELDS: { readonly [T in WireType]: { count: number; read: FieldReader<T> } } = {
  prevote: {
    count: 3,
    read: (r) => ({
      type: "prevote",
      round: r.uint(),
      lastIndex: index(r),
      lastTerm: term(r),
    }),
  },
  prevoted: {
    count: 2,
    read: (r) => ({ type: "prevoted", round: r.uint(), granted: r.bool() }),
  },
  vote: {
    count: 3,
    read: (r) => ({
      type: "vote",
      lastIndex: index(r),
      lastTerm: term(r),
      isTransfer: r.bool(),
    }),
  },
  voted: { count: 1, read: (r) => ({ type: "voted", granted: r.bool() }) },
  append: { count: 4, read: readAppend },
  appended: { count: 1, read: (r) => ({ type: "appended", matched: index(r) }) },
  refused: {
    count: 3,
    read: (r) => ({ type: "refused", prevIndex: index(r), hint: index(r), hintTerm: term(r) }),
  },
  heartbeat: {
    count: 2,
    read: (r) => ({ type: "heartbeat", commit: index(r), readSeq: r.uint() }),
  },
  heard: { count: 1, read: (r) => ({ type: "heard", readSeq: r.uint() }) },
  commit: { count: 1, read: (r) => ({ type: "commit", commit: index(r) }) },
  stale: { count: 0, read: () => ({ type: "stale" }) },
  timeoutNow: { count: 0, read: () => ({ type: "timeoutNow" }) },
  copied: { count: 1, read: (r) => ({ type: "copied", matched: index(r) }) },
  rejoin: { count: 1, read: (r) => ({ type: "rejoin", incarnation: r.text() }) },
};

type FieldReader<T extends WireType> = (reader: MsgpackReader, term: Term) => Of<T>;

const TYPES: ReadonlyMap<number, WireType> = new Map(
  Object.entries(CODES).map(([type, code]) => [code, type as WireType]),
);

/** Roughly how much of a body the message takes; never less than it does. */
export function messageBytes(message: Message): number {
  const fixed = 64;
  if (message.type !== "append") return fixed;
  return message.entries.reduce((sum, entry) => sum + entry.bytes.length + 5, fixed);
}

/** The body that carries the messages, in order. All of them go from one node to one other. */
export function encodeMessages(messages: readonly Message[]): Uint8Array {
  return seal(messages.map(toTuple));
}

function toTuple(m: Message): Packable {
  assert(m.type !== "snapshot", "a snapshot message does not cross the wire");
  return [CODES[m.type], m.term, ...toFields(m)];
}

function toFields(m: WireBody): readonly Packable[] {
  switch (m.type) {
    case "prevote":
      return [m.round, m.lastIndex, m.lastTerm];
    case "prevoted":
      return [m.round, m.granted];
    case "vote":
      return [m.lastIndex, m.lastTerm, m.isTransfer];
    case "voted":
      return [m.granted];
    case "append":
      return [m.prevIndex, m.prevTerm, m.commit, m.entries.map((entry) => entry.bytes)];
    case "appended":
    case "copied":
      return [m.matched];
    case "refused":
      return [m.prevIndex, m.hint, m.hintTerm];
    case "heartbeat":
      return [m.commit, m.readSeq];
    case "heard":
      return [m.readSeq];
    case "commit":
      return [m.commit];
    case "rejoin":
      return [m.incarnation];
    case "stale":
    case "timeoutNow":
      return [];
  }
}

/**
 * The messages of a body. Nothing of the body is kept: every entry is a copy, so that one small
 * value does not hold megabytes. Throws MalformedError where anything at all is wrong.
 */
export function decodeMessages(body: Uint8Array, envelope: Envelope): readonly Message[] {
  if (body.length > MESSAGES_BODY_BYTES_MAX) throw new MalformedError("body is too large");
  const reader = unseal(body);
  const count = reader.array();
  if (count > MESSAGES_COUNT_MAX) throw new MalformedError("too many messages");
  const messages: Message[] = [];
  for (let i = 0; i < count; i++) messages.push(readMessage(reader, envelope));
  reader.end();
  return messages;
}

function readMessage(reader: MsgpackReader, { from, to }: Envelope): Message {
  const elements = reader.array();
  const code = reader.uint();
  const type = TYPES.get(code);
  if (type === undefined) throw new MalformedError(`unknown message type ${code}`);
  const { count, read } = FIELDS[type];
  if (elements !== count + 2) throw new MalformedError("wrong number of fields");
  const spokenIn = term(reader);
  return { from, to, term: spokenIn, ...read(reader, spokenIn) };
}

function readAppend(reader: MsgpackReader, spokenIn: Term): Of<"append"> {
  const prevIndex = index(reader);
  const prevTerm = term(reader);
  const commit = index(reader);
  const entries: Entry[] = [];
  let before: { index: number; term: number } = { index: prevIndex, term: prevTerm };
  for (let left = reader.array(); left > 0; left--) {
    const entry = decodeEntry(reader.bin().slice());
    // A log has no gaps, and its terms never decrease nor run ahead of its leader's.
    const follows = entry.index === before.index + 1 && entry.term >= before.term;
    if (!follows || entry.term > spokenIn) throw new MalformedError("entries are not a log");
    entries.push(entry);
    before = entry;
  }
  return { type: "append", prevIndex, prevTerm, commit, entries };
}

function index(reader: MsgpackReader): Index {
  return asIndex(reader.uint());
}

function term(reader: MsgpackReader): Term {
  return asTerm(reader.uint());
}
