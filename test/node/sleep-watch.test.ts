/** A lease does not outlive the sleep of its machine (R10). */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { nodeRuntime } from "../../src/node/node-runtime.ts";
import { SleepWatch } from "../../src/node/sleep-watch.ts";
import type { Millis } from "../../src/raft/types.ts";

const LEASE_MS = 500;
let now = 0;
let sleptMs = 0;
let watch: SleepWatch;

beforeEach(() => {
  [now, sleptMs] = [1_000, 77_000];
  const runtime = { now: () => now as Millis, awakeAndAsleep: () => now + sleptMs };
  watch = new SleepWatch(runtime, LEASE_MS);
});

function mayHaveSlept(): boolean {
  return watch.mayHaveSlept(now as Millis);
}

test("time that goes by on both clocks is no sleep, nor what they differ by chance", () => {
  for (const more of [0, 9, -9, 0]) {
    now += 10_000;
    sleptMs += more;
    expect(mayHaveSlept()).toBe(false);
  }
});

test("after a sleep there is none until every lease that began before it is over", () => {
  sleptMs += 60_000;
  expect(mayHaveSlept()).toBe(true);
  now += LEASE_MS - 1;
  expect(mayHaveSlept()).toBe(true);
  now += 1;
  expect(mayHaveSlept()).toBe(false);
  sleptMs += 100;
  expect(mayHaveSlept()).toBe(true);
});

test("a machine that is awake all the time is not suspected of it", async () => {
  const real = new SleepWatch(nodeRuntime, LEASE_MS);
  for (let round = 0; round < 40; round++) {
    expect(real.mayHaveSlept(nodeRuntime.now())).toBe(false);
    await sleep(5);
  }
});
