/**
 * Everything that can happen to three nodes within small bounds (A3): no two leaders, no lost or
 * different entries, no broken promise (I1, I3, I4, I5, I6, I7, I8), and every planted bug found.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { type Exploration, Explorer } from "./explorer.ts";
import type { Plant } from "./node-model.ts";
import { type Scenario, scenarios } from "./scenarios.ts";

/** Several times what each takes by itself. */
const SECONDS_MAX = 100;
const root = join(import.meta.dirname, "../..");

function scenario(name: string): Scenario {
  return must(
    scenarios.find((each) => each.name === name),
    name,
  );
}

describe("within the bounds nothing goes wrong", () => {
  test.each(scenarios)(
    "$name",
    ({ name, options }) => {
      const found = new Explorer(options).run({ seconds: SECONDS_MAX });
      console.info(`${name}: ${found.states} states, ${found.steps} steps, depth ${found.depth}`);
      expect(found.violation).toBeNull();
      expect(found.complete).toBe(true);
      // Otherwise nothing much has happened in all these states.
      expect(found.leaders).toBeGreaterThanOrEqual(2);
      expect(found.committed).toBeGreaterThanOrEqual(2);
    },
    SECONDS_MAX * 1_000 + 10_000,
  );
});

describe("a bug in how messages wait for the disk is found", () => {
  const plant = (planted: Plant, promises: boolean): Exploration => {
    const { options } = scenario("two elections, a crash");
    return new Explorer({ ...options, promises, plant: planted }).run({ seconds: SECONDS_MAX });
  };

  test("a vote that leaves at once: by what it promises, and by its consequence", () => {
    expect(plant("votes at once", true).violation?.at(-1)).toMatch(/may (vote|forget)/);
    expect(plant("votes at once", false).violation?.at(-1)).toMatch(/two leaders/);
  });

  test("an acknowledgement that leaves at once", () => {
    expect(plant("acknowledges at once", true).violation?.at(-1)).toMatch(/may forget/);
    expect(plant("acknowledges at once", false).violation?.at(-1)).toMatch(/^I6: .* on \d disks/);
  });
});

describe("a bug in the core is found", () => {
  const copies: string[] = [];
  afterAll(() => {
    for (const copy of copies) rmSync(copy, { recursive: true });
  });

  /** What the model says of a copy of the sources with one line changed. */
  function explore(name: string, file: string, change: readonly [string, string]): string {
    const copy = mkdtempSync(join(tmpdir(), "quorate-model-"));
    copies.push(copy);
    for (const part of ["src", "test/model", "package.json"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    const path = join(copy, file);
    const text = readFileSync(path, "utf8");
    expect(text).toContain(change[0]);
    writeFileSync(path, text.replace(...change));
    const args = ["test/model/main.ts", "--seconds", "60", "--scenario", name];
    const { stdout, status } = spawnSync(process.execPath, args, { cwd: copy, encoding: "utf8" });
    expect(status).toBe(1);
    return stdout;
  }

  test("an older leader's entry that is committed by counting (§5.4.2)", () => {
    const change = [" && log.termAt(index) === core.term", ""] as const;
    const told = explore("figure 8", "src/raft/leader.ts", change);
    expect(told).toContain("I4: the leader of term 4 lacks committed entry 1");
  }, 70_000);

  test("a vote for the longer log, whatever its last term (§5.4.1)", () => {
    const change = [
      "if (candidate.lastTerm !== lastTerm) return candidate.lastTerm > lastTerm;",
      "if (lastTerm < 0) return false;",
    ] as const;
    const told = explore("an older log that is longer", "src/raft/follower.ts", change);
    expect(told).toContain("I4: the leader of term 4 lacks committed entry 1");
  }, 70_000);
});
