/** Random messages of every type that crosses the wire, with numbers up to the very largest. */
import fc from "fast-check";
import { crc32c } from "../../src/lib/crc32c.ts";
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import type { Message } from "../../src/raft/message.ts";
import type { ClusterTime, Index, NodeId, Term } from "../../src/raft/types.ts";

export const n1 = "n1" as NodeId;
export const n2 = "n2" as NodeId;
export const n3 = "n3" as NodeId;

export function entryAt(index: number, term: number, data: Uint8Array): Entry {
  const time = (index * 1000) as ClusterTime;
  return makeEntry({ index: index as Index, term: term as Term, time, kind: "command", data });
}

/** `payload`, with a seal that is in order: only the decoder stands between it and the node. */
export function resealed(payload: Uint8Array): Uint8Array {
  const body = new Uint8Array(6 + payload.length);
  body.set([0x92, 0xce]);
  new DataView(body.buffer).setUint32(2, crc32c(payload));
  body.set(payload, 6);
  return body;
}

/** An append of entries with these data, after `prev`, all of the message's term. */
export function appendOf(prev: number, data: readonly Uint8Array[], term = 7): Message {
  return {
    from: n1,
    to: n2,
    term: term as Term,
    type: "append",
    prevIndex: prev as Index,
    prevTerm: (prev === 0 ? 0 : term) as Term,
    entries: data.map((bytes, i) => entryAt(prev + 1 + i, term, bytes)),
    commit: prev as Index,
  };
}

export function heartbeatOf(commit: number, readSeq: number, term = 7): Message {
  return {
    from: n1,
    to: n2,
    term: term as Term,
    type: "heartbeat",
    commit: commit as Index,
    readSeq,
  };
}

const edges = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 2 ** 32 - 1, 2 ** 32];
const number = fc.oneof(
  fc.constantFrom(...edges, Number.MAX_SAFE_INTEGER),
  fc.nat(),
  fc.maxSafeNat(),
);
const index = number as fc.Arbitrary<Index>;
const term = number as fc.Arbitrary<Term>;
const who = { from: fc.constant(n1), to: fc.constant(n2), term };
const data = fc.uint8Array({ maxLength: 300 });

const append = fc
  .record({
    prevIndex: fc.oneof(fc.constant(0), fc.nat()),
    steps: fc.array(fc.record({ data, later: fc.nat(3) }), { maxLength: 6 }),
    prevTerm: fc.nat(1_000_000),
    ahead: fc.nat(3),
    commit: index,
  })
  .map(({ prevIndex, steps, prevTerm, ahead, commit }): Message => {
    let last = prevTerm;
    const entries = steps.map((step, i) => {
      last += step.later;
      return entryAt(prevIndex + 1 + i, last, step.data);
    });
    const from = { from: n1, to: n2, term: (last + ahead) as Term };
    const prev = { prevIndex: prevIndex as Index, prevTerm: prevTerm as Term };
    return { ...from, type: "append", ...prev, entries, commit };
  });

function of<T extends string, F>(type: T, fields: { [K in keyof F]: fc.Arbitrary<F[K]> }) {
  const whole = { ...who, type: fc.constant(type), ...fields };
  return fc.record(whole, { noNullPrototype: true });
}

/** One arbitrary for each type, by name. */
export const byType: Record<Exclude<Message["type"], "snapshot">, fc.Arbitrary<Message>> = {
  prevote: of("prevote", { round: number, lastIndex: index, lastTerm: term }),
  prevoted: of("prevoted", { round: number, granted: fc.boolean() }),
  vote: of("vote", { lastIndex: index, lastTerm: term, isTransfer: fc.boolean() }),
  voted: of("voted", { granted: fc.boolean() }),
  append,
  appended: of("appended", { matched: index }),
  refused: of("refused", { prevIndex: index, hint: index, hintTerm: term }),
  heartbeat: of("heartbeat", { commit: index, readSeq: number }),
  heard: of("heard", { readSeq: number }),
  commit: of("commit", { commit: index }),
  stale: of("stale", {}),
  timeoutNow: of("timeoutNow", {}),
  copied: of("copied", { matched: index }),
  rejoin: of("rejoin", { incarnation: fc.stringMatching(/^[0-9a-f]{0,40}$/) }),
} as Record<string, fc.Arbitrary<Message>> as never;

export const message: fc.Arbitrary<Message> = fc.oneof(...Object.values(byType));
