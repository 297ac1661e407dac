/** The guide is true: its blocks run, one after another, and print what they say. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clusterAndClient, urlsOf } from "./faces.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const CLIENT = pathToFileURL(join(ROOT, "src", "client", "index.ts")).href;

let site: Awaited<ReturnType<typeof clusterAndClient>>;
beforeAll(async () => {
  site = await clusterAndClient();
});
afterAll(() => site.end());

const guide = readFileSync(join(ROOT, "docs", "CLIENT.md"), "utf8");
const blocks = [...guide.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = ""]) => code);
/** What the lines that print say they print; the watch's are said below its block. */
const promised = blocks
  .flatMap((block) => block.split("\n"))
  .filter((line) => line.includes("console.log("))
  .flatMap((line) => /\/\/ (.*)$/.exec(line)?.[1] ?? ["fruit/b b", "fruit/c c", "fruit/d a"]);

test("every block of docs/CLIENT.md runs, and prints what it says", async () => {
  expect(blocks.length).toBeGreaterThan(10);
  let code = blocks.join("").replaceAll('from "quorate"', `from ${JSON.stringify(CLIENT)}`);
  for (const [at, url] of urlsOf(site.cluster).entries()) {
    code = code.replaceAll(`http://127.0.0.1:${4001 + at}`, url);
  }
  const file = join(site.cluster.folder, "guide.ts");
  writeFileSync(file, code);
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [file], { timeout: 30_000 });
  expect(stdout.trimEnd().split("\n")).toEqual(promised);
});
