/** docs/CONFORMANCE.md names what exists, and every scenario. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const [, mit = "", etcd = "", openraft = ""] = read("docs/CONFORMANCE.md").split(/^## /m);
const CONTRACT = "test/storage/contract.test.ts";

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Whether the file has a test, or a row of one, whose name begins so. */
function hasTest(path: string, name: string): boolean {
  const text = read(path);
  return [`("${name}`, `name: "${name}`].some((start) => text.includes(start));
}

/** The first cell of each row, without the head. */
function firstCells(section: string): string[] {
  return section.split("\n").flatMap((line) => {
    const [, cell = ""] = /^\| ([^|]+) \|/.exec(line) ?? [];
    return ["", "Scenario", "etcd", "openraft"].includes(cell) || /^-+$/.test(cell) ? [] : [cell];
  });
}

/** The MIT tables by the file that their heading names. */
const tables = mit
  .split(/^### /m)
  .slice(1)
  .map((section) => ({
    path: section.slice(1, section.indexOf("`", 1)),
    names: firstCells(section),
  }));

test.each(tables)("$path has the scenarios that are named", ({ path, names }) => {
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !hasTest(path, name))).toEqual([]);
});

test("every scenario is named", () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts"));
  const scenarios = files.flatMap((file) => {
    const titles = read(`test/scenarios/${file}`).matchAll(/(?:[)t]\(|name: )"([A-Z][^"(:]*)/g);
    return [...titles].map(([, title = ""]) => title.trim());
  });
  const named = tables.flatMap(({ names }) => names);
  expect(scenarios.length).toBeGreaterThan(45);
  expect(scenarios.filter((title) => !named.includes(title))).toEqual([]);
});

test("the scripts and tests that stand for those of others exist", () => {
  const text = mit + etcd + openraft;
  const scripts = [...text.matchAll(/`([a-z]+(?:_[a-z]+)*)`/g)].map(([, name = ""]) => name);
  expect(scripts.length).toBeGreaterThan(50);
  expect(
    scripts.filter((name) => !existsSync(join(root, `test/raft/scripts/${name}.txt`))),
  ).toEqual([]);
  const tests = [...text.matchAll(/`(test\/[^`]+\.ts)`(?: "([^"]+)")?/g)];
  expect(tests.length).toBeGreaterThan(15);
  for (const [, path = "", title] of tests) {
    expect(existsSync(join(root, path)), path).toBe(true);
    if (title !== undefined) expect(hasTest(path, title), `${path}: ${title}`).toBe(true);
  }
});

test("the storage contract has the cases that are named", () => {
  const [cases = ""] = openraft.split(/^Behaviours:/m);
  const same = [...cases.matchAll(/^\| (\w+) \| the same \|/gm)].map(([, name = ""]) => name);
  const others = [...cases.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
  const names = [...same, ...others];
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !hasTest(CONTRACT, name))).toEqual([]);
});
