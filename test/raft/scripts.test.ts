/**
 * The golden scripts: each pins one schedule and what must come of it. `UPDATE=1` writes what they
 * print now; read the difference, and keep it only if it is understood and wanted.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runScript } from "./script.ts";

const folder = join(import.meta.dirname, "scripts");
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("scripts", () => {
  test.each(names)("%s", (name) => {
    const path = join(folder, name);
    const expected = readFileSync(path, "utf8");
    const actual = runScript(expected);
    if (process.env["UPDATE"] === "1") writeFileSync(path, actual);
    else expect(actual).toBe(expected);
  });

  test.each(["INVARIANTS", "DIVERGENCE"])("docs/%s.md names only scripts that exist", (name) => {
    const text = readFileSync(join(import.meta.dirname, `../../docs/${name}.md`), "utf8");
    const named = [...text.matchAll(/`([a-z0-9]+(?:_[a-z0-9]+)+)`/g)].map(([, script]) => script);
    expect(named.filter((script) => !names.includes(`${script}.txt`))).toEqual([]);
    expect(named.length).toBeGreaterThan(20);
  });

  test.each(names)("%s says what it is for and which rows it pins", (name) => {
    const lines = readFileSync(join(folder, name), "utf8").split("\n");
    expect(lines[0]).toMatch(/^# \S/);
    expect(lines.some((line) => /^# Rows?: .+/.test(line))).toBe(true);
  });
});
