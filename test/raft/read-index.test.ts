/** Read rounds (I13; R1, R3): a round vouches only for what waited when it began, and once. */
import { expect, test } from "vitest";
import { ReadQueue } from "../../src/raft/read-index.ts";
import { asIndex } from "../../src/raft/types.ts";

test("a round vouches for what waited when it began, at the index of that moment", () => {
  const queue = new ReadQueue();
  queue.add(1);
  queue.add(2);
  queue.startRound(asIndex(7));
  queue.add(3);
  expect([queue.hasRound, queue.hasWaiting]).toEqual([true, true]);
  expect(queue.confirm(0)).toEqual([]);
  expect(queue.confirm(1)).toEqual([
    { token: 1, index: 7 },
    { token: 2, index: 7 },
  ]);
  expect(queue.confirm(1)).toEqual([]);
  expect(queue.hasWaiting).toBe(true);
});

test("a later round confirms the earlier ones too, each at its own index", () => {
  const queue = new ReadQueue();
  queue.add(1);
  queue.startRound(asIndex(7));
  queue.add(2);
  queue.startRound(asIndex(9));
  expect(queue.confirm(2)).toEqual([
    { token: 1, index: 7 },
    { token: 2, index: 9 },
  ]);
});

test("abandoned reads are named once, and their round numbers are not used again", () => {
  const queue = new ReadQueue();
  queue.add(1);
  queue.startRound(asIndex(7));
  queue.add(2);
  expect(queue.abandon()).toEqual([1, 2]);
  expect(queue.abandon()).toEqual([]);
  expect([queue.hasRound, queue.hasWaiting]).toEqual([false, false]);
  queue.add(3);
  queue.startRound(asIndex(8));
  expect(queue.confirm(1)).toEqual([]);
  expect(queue.confirm(2)).toEqual([{ token: 3, index: 8 }]);
});
