/** The layers of tests, each of which may find a planted bug. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type CommandResult, run } from "./command.ts";
import { filesOf, type Mutation } from "./mutation.ts";
import { reachOf } from "./reach.ts";

/** In the order of what they cost. */
export const LAYERS = ["script", "unit", "storage", "simulator", "integration"] as const;
export type Layer = (typeof LAYERS)[number];

/** What a layer found out about a bug. */
export type Verdict =
  | {
      readonly kind: "killed";
      readonly by: string;
      readonly file: string;
      readonly seconds: number;
    }
  | { readonly kind: "survived"; readonly seconds: number }
  /** Nothing was tested: the copy does not load, a test hangs, or it fails without a test. */
  | { readonly kind: "broken"; readonly why: string; readonly seconds: number };

export interface LayerRun {
  /** The scratch copy. */
  readonly cwd: string;
  /** Test files or folders; for the simulator, nothing. */
  readonly files: readonly string[];
  /** How long the simulator looks for a seed. */
  readonly simulatorSeconds: number;
}

const ROOT = join(import.meta.dirname, "../..");
const SIMULATOR = "test/sim/main.ts";
/** No layer takes half of that when it finds nothing, but for the simulator. */
const TIMEOUT_MS = 120_000;
/** Errors of a program that makes no sense, which any test would find. */
const SENSELESS = /^(SyntaxError|ReferenceError|TypeError)\b/;

/** The test files or folders of each layer that every bug meets whose code they run. */
const EVERYWHERE: Partial<Record<Layer, string>> = {
  script: "test/raft",
  storage: "test/storage",
  simulator: SIMULATOR,
};

/** Where a layer would look for the bug; null: it does not run the code that the bug is in. */
export function filesFor(layer: Layer, mutation: Mutation): readonly string[] | null {
  const test = EVERYWHERE[layer];
  if (test !== undefined) {
    const reach = reachOf(ROOT, test);
    return filesOf(mutation).some((file) => reach.has(file)) ? [test] : null;
  }
  const isIntegration = (file: string) => file.startsWith("test/integration/");
  const named = mutation.tests ?? [];
  const files = named.filter((file) => isIntegration(file) === (layer === "integration"));
  return files.length > 0 ? files : null;
}

export function runLayer(layer: Layer, options: LayerRun): Promise<Verdict> {
  return layer === "simulator" ? runSimulator(options) : runVitest(options);
}

async function runSimulator({ cwd, simulatorSeconds }: LayerRun): Promise<Verdict> {
  const args = [SIMULATOR, "--seconds", String(simulatorSeconds)];
  const timeoutMs = simulatorSeconds * 1_000 + TIMEOUT_MS;
  const result = await run(nodeIn(cwd), args, { cwd, timeoutMs });
  const { code, output, seconds } = result;
  if (code === 0) return { kind: "survived", seconds };
  const seed = /^seed (\S+) failed/m.exec(output)?.[1];
  const error = /^(?:\[?(\w*Error)\b[^:\n]*): (.*)$/m.exec(output);
  const what = error === null ? "no error" : `${error[1]}: ${error[2]}`;
  if (code === null || seed === undefined || SENSELESS.test(what)) return broken(result, what);
  const text = error?.[2] ?? what;
  return { kind: "killed", by: `seed ${seed}: ${text}`, file: SIMULATOR, seconds };
}

/** The part of vitest's report that tells what failed. */
const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({
          status: z.string(),
          fullName: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});

async function runVitest({ cwd, files }: LayerRun): Promise<Verdict> {
  const name = "mutant-report.json";
  rmSync(join(cwd, name), { force: true });
  const vitest = join(cwd, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--bail", "1", "--reporter", "json", "--outputFile", name, ...files];
  const result = await run(nodeIn(cwd), args, { cwd, timeoutMs: TIMEOUT_MS });
  const { code, seconds } = result;
  if (code === 0) return { kind: "survived", seconds };
  if (code === null) return broken(result, "the tests hang");
  const { testResults } = report.parse(JSON.parse(readFileSync(join(cwd, name), "utf8")));
  for (const { name: file, assertionResults } of testResults) {
    for (const { status, fullName, failureMessages } of assertionResults) {
      const message = failureMessages?.[0] ?? "";
      if (status !== "failed" || SENSELESS.test(message)) continue;
      return { kind: "killed", by: fullName.trim(), file: file.slice(cwd.length + 1), seconds };
    }
  }
  const why = testResults.map(({ message }) => message).find((message) => message !== "");
  return broken(result, why ?? "no test failed");
}

function broken({ code, seconds }: CommandResult, what: string): Verdict {
  const [line] = what.split("\n");
  return { kind: "broken", why: code === null ? "it hangs" : (line ?? ""), seconds };
}

/** The pinned Node, so that the sources run as they are. */
function nodeIn(cwd: string): string {
  return join(cwd, "node_modules/.bin/node");
}
