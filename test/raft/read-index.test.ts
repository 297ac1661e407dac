/** Read rounds (I13; R1, R3): a round vouches only for what waited when it began, and once. */
import { expect, test } from "vitest";
import { ReadQueue } from "../../src/raft/read-index.ts";
import { asIndex, type Millis } from "../../src/raft/types.ts";

const NOW = 5 as Millis;

test("a round vouches for what waited when it began, at the index of that moment", () => {
  const queue = new ReadQueue();
  queue.add(1, false);
  queue.add(2, false);
  queue.startRound(NOW, asIndex(7));
  queue.add(3, false);
  expect([queue.hasRound, queue.hasWaiting]).toEqual([true, true]);
  expect(queue.confirm(0).reads).toEqual([]);
  expect(queue.confirm(1).reads).toEqual([
    { token: 1, index: 7, byLease: false },
    { token: 2, index: 7, byLease: false },
  ]);
  expect(queue.confirm(1).reads).toEqual([]);
  expect(queue.hasWaiting).toBe(true);
});

test("a later round confirms the earlier ones too, each at its own index", () => {
  const queue = new ReadQueue();
  queue.add(1, false);
  queue.startRound(NOW, asIndex(7));
  queue.add(2, false);
  queue.startRound(NOW, asIndex(9));
  expect(queue.confirm(2).reads).toEqual([
    { token: 1, index: 7, byLease: false },
    { token: 2, index: 9, byLease: false },
  ]);
});

test("abandoned reads are named once, and their round numbers are not used again", () => {
  const queue = new ReadQueue();
  queue.add(1, false);
  queue.startRound(NOW, asIndex(7));
  queue.add(2, false);
  expect(queue.abandon()).toEqual([1, 2]);
  expect(queue.abandon()).toEqual([]);
  expect([queue.hasRound, queue.hasWaiting]).toEqual([false, false]);
  queue.add(3, false);
  queue.startRound(NOW, asIndex(8));
  expect(queue.confirm(1).reads).toEqual([]);
  expect(queue.confirm(2).reads).toEqual([{ token: 3, index: 8, byLease: false }]);
});
