/** Reads that a leader answers by its lease (§6.4.1 of the thesis; R6, R10). */
import { afterEach, expect, test, vi } from "vitest";
import { keyFor, Lab, linearizable } from "./lab.ts";

/** Shorter than the election timeout of the lab, by much more than clocks differ. */
const LEASE_MS = 200;
const asLease = { ...linearizable(), consistency: "lease" } as const;

let lab: Lab;
let sleptMs = 0;
afterEach(() => lab.close());

test("R10: a lease is not relied on after its machine may have slept", async () => {
  lab = await Lab.start(["n1", "n2", "n3"], { leaseMs: LEASE_MS, sleptMs: () => sleptMs });
  const { service } = await lab.leader();
  const read = async () => (await service.get(keyFor("k"), asLease)).consistency;
  await vi.waitFor(async () => expect(await read()).toBe("lease"), { timeout: 10_000 });
  sleptMs += 60_000;
  expect(await read()).toBe("linearizable");
  // What a quorum has confirmed since then is as good as before.
  await vi.waitFor(async () => expect(await read()).toBe("lease"), { timeout: 10_000 });
});
