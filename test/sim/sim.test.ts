/** The simulator as a test: as many seeds as fit, and each of them the same every time. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { SimCluster } from "./cluster.ts";

const SECONDS = Number(process.env["SIM_SECONDS"] ?? 20);

function runSeed(seed: string): number {
  const cluster = new SimCluster(seed, { trace: false });
  try {
    return cluster.run().events;
  } catch (cause) {
    const lines = cluster.lines.join("\n");
    const options = JSON.stringify(cluster.options);
    throw new Error(`seed ${seed} fails; options ${options}\n${lines}`, { cause });
  }
}

function traceHash(seed: string): string {
  const cluster = new SimCluster(seed, { trace: true });
  const result = cluster.run();
  const hash = createHash("sha256");
  return hash.update(cluster.lines.join("\n")).update(JSON.stringify(result)).digest("hex");
}

test("one seed is one history", () => {
  for (const seed of ["1", "17", "a seed can be any text"]) {
    expect(traceHash(seed)).toBe(traceHash(seed));
  }
  expect(traceHash("1")).not.toBe(traceHash("2"));
});

// Each run is over in well under the half minute that is added.
test(
  `seeds of trouble for ${SECONDS} s: nothing acknowledged is lost, nothing old is read`,
  () => {
    const endsAt = performance.now() + SECONDS * 1_000;
    let events = 0;
    let seed = 1;
    for (; performance.now() < endsAt; seed++) events += runSeed(String(seed));
    console.info(`${seed - 1} seeds, ${events} events`);
    expect(events).toBeGreaterThan(10_000 * SECONDS);
  },
  SECONDS * 1_000 + 30_000,
);
