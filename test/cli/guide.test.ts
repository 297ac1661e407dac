/** docs/CLI.md, taken by its word: its commands run, and print what it says. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { EXIT } from "../../src/cli/exit.ts";
import { AS_TERMINAL, MAIN } from "./run.ts";
import { Site } from "./site.ts";

const run = promisify(execFile);
const guide = readFileSync(join(import.meta.dirname, "..", "..", "docs", "CLI.md"), "utf8");

/** A command behind `$`, and what it prints. */
interface Step {
  readonly command: string;
  readonly output: string;
}

function stepsIn(text: string): Step[] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```/gms)].map(([, block = ""]) => block);
  return blocks.flatMap((block) => {
    return block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = "", ...lines] = part.trim().split("\n");
        return { command, output: lines.join("\n") };
      });
  });
}

/** A program `quorate` that shows what a terminal shows where its output goes to no pipe. */
function install(folder: string): void {
  const file = join(folder, "quorate");
  const words = '"$@"';
  const node = `exec "${process.execPath}"`;
  // The end of the pipe that the test reads is the terminal.
  const isLast = '[ "$(readlink /proc/$$/fd/1)" = "$TERMINAL" ]';
  const lines = [
    "#!/bin/sh",
    `if ${isLast}; then ${node} --import "${AS_TERMINAL}" "${MAIN}" ${words}; fi`,
    `${node} "${MAIN}" ${words}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  chmodSync(file, 0o755);
}

test.skipIf(process.platform !== "linux")(
  "the guide does what it says, in its order",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "quorate-guide-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    install(folder);
    const site = await Site.start();
    onTestFinished(() => site.end());
    const path = `${folder}:${process.env["PATH"] ?? ""}`;
    const env = { ...process.env, PATH: path, QUORATE_ENDPOINTS: site.endpoints };
    const steps = stepsIn(guide);
    expect(steps.length).toBeGreaterThan(15);
    for (const { command, output } of steps) {
      const script = `export TERMINAL=$(readlink /proc/$$/fd/1)\n${command}`;
      const { stdout } = await run("bash", ["-c", script], { env, timeout: 20_000 });
      // Nobody knows the id of a lease before.
      expect(stdout.trim().replace(/^lease \d+ /gm, "lease <id> "), command).toBe(output);
    }
  },
  90_000,
);

test("the table of exit codes is complete", () => {
  const listed = [...guide.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  const own = Object.values(EXIT).filter((code) => code < 100);
  expect(listed).toEqual(own);
});

test("every command has its place in the guide", () => {
  const ofData = "get put del list increment watch txn lock lease".split(" ");
  const ofNodes = "member leader backup restore recover status".split(" ");
  const commands = [...ofData, ...ofNodes];
  for (const command of commands) expect(guide).toMatch(new RegExp(`quorate ${command}\\b`));
});
