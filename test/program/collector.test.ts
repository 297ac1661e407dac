/** How the collector of a node is set up: with flags that its V8 has. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { collectorFlags } from "../../src/program/collector.ts";

const ACCOUNTED = "--external-memory-accounted-in-global-limit";

describe("the flags of the collector", () => {
  test("this Node knows them", () => {
    const flags = collectorFlags(process.versions.v8);
    const run = () => execFileSync(process.execPath, [...flags, "--eval", "0"], { stdio: "pipe" });
    expect(run).not.toThrow();
    expect(() => execFileSync(process.execPath, ["--no-such-flag", "--eval", "0"])).toThrow();
  });

  test("byte arrays are counted as other memory, where V8 does not do so by itself", () => {
    expect(collectorFlags("13.6.233.10-node.28")).toContain(ACCOUNTED);
    expect(collectorFlags("14.6.202.34-node.34")).toContain(ACCOUNTED);
    expect(collectorFlags("14.8.100.1-node.1")).not.toContain(ACCOUNTED);
    expect(collectorFlags("15.0.1-node.1")).not.toContain(ACCOUNTED);
  });

  test("versions that cannot do so get no flags", () => {
    expect(collectorFlags("12.4.254.21-node.33")).toEqual([]);
    expect(collectorFlags("13.5.1-node.1")).toEqual([]);
  });
});
