/** Which sources a test runs: those that it imports, and those that they import. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const IMPORT = /^(?:import|export)\s(?!type\b)[^;"]*?from "(\.[^"]+)";/gms;

const reached = new Map<string, ReadonlySet<string>>();

/** Everything that the test file, or the tests in the folder, may run; paths below `root`. */
export function reachOf(root: string, test: string): ReadonlySet<string> {
  const known = reached.get(test);
  if (known !== undefined) return known;
  const found = new Set<string>();
  const waiting = [...testsIn(root, test)];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    for (const [, path] of readFileSync(join(root, file), "utf8").matchAll(IMPORT)) {
      waiting.push(join(file, "..", path ?? ""));
    }
  }
  reached.set(test, found);
  return found;
}

function testsIn(root: string, test: string): readonly string[] {
  if (statSync(join(root, test)).isFile()) return [test];
  const names = readdirSync(join(root, test), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".test.ts")).map((name) => join(test, name));
}
