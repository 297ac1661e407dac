/** What waits for a peer is bounded, and what gives way is what can best be spared. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import type { Message } from "../../src/raft/message.ts";
import type { Index, Term } from "../../src/raft/types.ts";
import { Backoff } from "../../src/transport/backoff.ts";
import { messageBytes } from "../../src/transport/codec.ts";
import { Outbox } from "../../src/transport/outbox.ts";
import { MESSAGES_COUNT_MAX } from "../../src/transport/protocol.ts";
import { appendOf, heartbeatOf, n1, n2 } from "./arbitrary.ts";

const roomy = { messages: 1000, bytes: 1_000_000 };
const append = (prev: number, bytes = 10) => appendOf(prev, [new Uint8Array(bytes)]);
const commit = (index: number, term = 7): Message => {
  return { from: n1, to: n2, term: term as Term, type: "commit", commit: index as Index };
};
const vote = (granted: boolean): Message => {
  return { from: n1, to: n2, term: 7 as Term, type: "voted", granted };
};

function filled(limits: typeof roomy, messages: readonly Message[]): Outbox {
  const outbox = new Outbox(limits);
  for (const message of messages) outbox.push(message);
  return outbox;
}

describe("outbox", () => {
  test("keeps the order", () => {
    const messages = [append(1), vote(true), append(2), heartbeatOf(1, 1)];
    expect(filled(roomy, messages).take(1_000_000)).toEqual(messages);
  });

  test("ends a batch before it gets too large, but never holds back a large message", () => {
    const size = messageBytes(append(1));
    const outbox = filled(roomy, [append(1), append(2), append(3), append(4, 5000), append(5)]);
    expect(outbox.take(2 * size)).toEqual([append(1), append(2)]);
    expect(outbox.take(2 * size)).toEqual([append(3)]);
    expect(outbox.take(2 * size)).toEqual([append(4, 5000)]);
    expect(outbox.take(2 * size)).toEqual([append(5)]);
    expect(outbox.take(2 * size)).toEqual([]);
  });

  test("ends a batch at the number of messages that a peer decodes at once", () => {
    const limits = { messages: 10_000, bytes: 10_000_000 };
    const votes = Array.from({ length: MESSAGES_COUNT_MAX + 1 }, () => vote(false));
    expect(filled(limits, votes).take(10_000_000)).toHaveLength(MESSAGES_COUNT_MAX);
  });

  test("drops the oldest append where there are too many messages", () => {
    const outbox = filled({ ...roomy, messages: 3 }, [vote(true), append(1), append(2), append(3)]);
    expect(outbox.dropped).toBe(1);
    expect(outbox.take(1_000_000)).toEqual([vote(true), append(2), append(3)]);
  });

  test("drops as many as it takes where there are too many bytes", () => {
    const bytes = messageBytes(append(1, 900)) + messageBytes(vote(true));
    const messages = [append(1, 400), append(2, 400), vote(true), append(3, 900)];
    const outbox = filled({ ...roomy, bytes }, messages);
    expect(outbox.dropped).toBe(2);
    expect(outbox.take(1_000_000)).toEqual([vote(true), append(3, 900)]);
  });

  test("drops the oldest of all where there is no append", () => {
    const outbox = filled({ ...roomy, messages: 2 }, [vote(true), heartbeatOf(1, 1), vote(false)]);
    expect(outbox.take(1_000_000)).toEqual([heartbeatOf(1, 1), vote(false)]);
  });

  test("keeps a single message that is larger than everything", () => {
    expect(filled({ ...roomy, bytes: 10 }, [append(1)]).take(1)).toEqual([append(1)]);
  });

  test("has room again for what was taken", () => {
    const outbox = filled({ messages: 2, bytes: 300 }, [append(1), append(2)]);
    outbox.take(1_000_000);
    outbox.push(append(3));
    outbox.push(append(4));
    expect(outbox.dropped).toBe(0);
    expect(outbox.length).toBe(2);
  });

  test("puts a newer heartbeat in the place of an older one of its term", () => {
    const messages = [heartbeatOf(1, 1), append(1), heartbeatOf(2, 2), heartbeatOf(3, 3)];
    expect(filled(roomy, messages).take(1_000_000)).toEqual([heartbeatOf(3, 3), append(1)]);
  });

  test("puts a newer commit behind the appends it is about, in place of an older one", () => {
    const messages = [commit(1), append(1), commit(2), commit(3)];
    expect(filled(roomy, messages).take(1_000_000)).toEqual([append(1), commit(3)]);
  });

  test("replaces nothing of another term", () => {
    const messages = [heartbeatOf(1, 1, 6), commit(1, 6), heartbeatOf(2, 2, 7), commit(2, 7)];
    const outbox = filled(roomy, messages);
    expect(outbox.take(1_000_000)).toEqual(messages);
    expect(outbox.dropped).toBe(0);
  });
});

test("a backoff grows to its limit, with chance in it, and starts over", async () => {
  // With a signal that has fired nothing is waited for, so `below` tells what would have been.
  const bounds: number[] = [];
  const random = {
    below: (bound: number) => {
      bounds.push(bound);
      return new Prng("x").below(bound);
    },
  };
  const backoff = new Backoff({ minMs: 10, maxMs: 100, random });
  const fired = AbortSignal.abort();
  for (let i = 0; i < 6; i++) await backoff.wait(fired);
  expect(bounds).toEqual([6, 11, 21, 41, 51, 51]);
  backoff.reset();
  await backoff.wait(fired);
  expect(bounds.at(-1)).toBe(6);
});

test("a backoff waits, unless it is told to stop", async () => {
  const backoff = new Backoff({ minMs: 40, maxMs: 40, random: new Prng("x") });
  const start = performance.now();
  await backoff.wait(new AbortController().signal);
  expect(performance.now() - start).toBeGreaterThan(19);

  const endless = new Backoff({ minMs: 1e9, maxMs: 1e9, random: new Prng("x") });
  const stop = new AbortController();
  const waited = endless.wait(stop.signal);
  stop.abort();
  await expect(waited).resolves.toBeUndefined();
});
