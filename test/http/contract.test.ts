/** docs/API.md: every rule of the contract is held by tests that exist, and every route is told. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OPERATIONS } from "../../src/http/openapi/document.ts";
import { routeLine } from "./api-lines.ts";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "docs/API.md"), "utf8");

interface Row {
  readonly section: number;
  readonly rule: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

const rows: readonly Row[] = text.split("\n").flatMap((line) => {
  const [, section, rule = "", cell = ""] = /^\| (\d) \| (.+?) \| (.+) \|$/.exec(line) ?? [];
  if (section === undefined) return [];
  const tests = cell.split("<br>").map((one) => {
    const [, file = "", title = ""] = /^`([^`]+)`: `([^`]+)`$/.exec(one) ?? [];
    return { file, title };
  });
  return [{ section: Number(section), rule, tests }];
});

/** The titles of all tests and groups in a file: a text before a function, or before options. */
function titlesIn(file: string): ReadonlySet<string> {
  const source = readFileSync(join(root, file), "utf8");
  const found = source.matchAll(
    /(?:\b(?:test|describe)|\))\(\s*("(?:[^"\\\n]|\\.)*"),\s*(?:async\s*)?(?:\(|\w+ =>|\{)/g,
  );
  return new Set([...found].map(([, literal = '""']) => JSON.parse(literal) as string));
}

describe("the table of the contract", () => {
  test.each(rows)("section $section: $rule", ({ tests }) => {
    for (const { file, title } of tests) {
      expect(file).toMatch(/^test\/.+\.test\.ts$/);
      expect(existsSync(join(root, file)), file).toBe(true);
      expect([...titlesIn(file)]).toContain(title);
    }
  });

  test("has rules of every section, each once", () => {
    expect([...new Set(rows.map(({ section }) => section))]).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const rules = rows.map(({ section, rule }) => `${section} ${rule}`);
    expect(new Set(rules).size).toBe(rules.length);
    expect(rules.length).toBeGreaterThan(100);
    // No line of the table was passed over.
    expect(rows.length).toBe([...text.matchAll(/^\| \d \|/gm)].length);
  });

  test("promises nothing that is not built", () => {
    const unbuilt = /\/metrics|restore|Bearer/i;
    expect(rows.filter(({ rule }) => unbuilt.test(rule))).toEqual([]);
  });
});

describe("the tables of routes", () => {
  test.each(OPERATIONS.map((one) => ({ name: one.id, line: routeLine(one) })))(
    "$name is there, with its parameters",
    ({ line }) => {
      expect(text.split("\n")).toContain(line);
    },
  );

  test("have no other route", () => {
    const told = text.split("\n").filter((line) => /^\| `[A-Z, ]+ \//.test(line));
    expect(told.length).toBe(OPERATIONS.length);
  });
});
