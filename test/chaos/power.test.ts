/** A few power cuts of each kind, on disks of their own (A5). */
import { describe, expect, test } from "vitest";
import { PowerLedger } from "./power-ledger.ts";
import { cutPowerOften, powerMissing } from "./power-loop.ts";

const CYCLES = 20;

const missing = await powerMissing();
describe.skipIf(missing !== null)(
  missing === null ? "with real disks" : `skipped: ${missing}`,
  () => {
    test("every acknowledged write is there after each of many power cuts", async () => {
      const report = await cutPowerOften({
        cycles: CYCLES,
        seed: process.env["SEED"] ?? "a few",
        only: null,
        onCycle: () => {},
        interrupted: AbortSignal.timeout(120_000),
      });
      expect(report.problems, JSON.stringify(report)).toEqual([]);
      expect(report.cycles).toBe(CYCLES);
      expect(Object.keys(report.modes)).toEqual(["all of three", "one node", "one of three"]);
      expect(report.acknowledged).toBeGreaterThan(CYCLES);
    });
  },
);

describe("the ledger", () => {
  /** What was answered to the writes of a key: "old" at 4, "new" at 7, and two without success. */
  function ledger(): PowerLedger {
    const told = new PowerLedger();
    told.note("k", "old", answer("old", 4));
    told.note("k", "lost on the way", { outcome: "unknown", why: "ECONNRESET" });
    told.note("k", "new", answer("new", 7));
    told.note("k", "refused", { outcome: "failed", why: "503 NO_LEADER" });
    return told;
  }

  test.each([
    ["its last acknowledged write", "new", 7],
    ["a later write of unknown outcome", "lost on the way", 8],
  ])("accepts %s", (_what, value, revision) => {
    expect(ledger().contradictions("k", answer(value, revision))).toEqual([]);
  });

  test.each([
    ["an earlier write", "old", 4],
    ["an earlier write of unknown outcome", "lost on the way", 5],
    ["a write that was not applied", "refused", 8],
    ["a write of nobody", "made up", 8],
    ["another write in the place of the last", "lost on the way", 7],
    ["nothing", null, null],
  ])("notices %s", (_what, value, revision) => {
    expect(ledger().contradictions("k", answer(value, revision))).not.toEqual([]);
  });

  test("notices by another key that the store is too old", () => {
    expect(ledger().contradictions("other", { ...answer(null, null), storeRevision: 6 })).toEqual([
      "the store is at revision 6, but 7 was acknowledged",
    ]);
  });

  function answer(value: string | null, revision: number | null) {
    return { outcome: "ok", version: 1, revision, storeRevision: 9, value, deleted: 0 } as const;
  }
});
