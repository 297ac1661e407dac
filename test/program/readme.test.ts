/** The README, taken by its word: its commands run, and print what it says; its tables are true. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import about from "../../package.json" with { type: "json" };
import { settingsByFlag, variableOf } from "../../src/config.ts";
import { MakeRun, ROOT, toolMissing } from "./make-run.ts";

// Whole clusters of processes, while other tests run beside.
vi.setConfig({ testTimeout: 90_000 });

const run = promisify(execFile);
const readme = readFileSync(join(ROOT, "README.md"), "utf8");

/** A command, and what it prints. */
interface Step {
  readonly command: string;
  readonly output: string;
}

/** The blocks of a language, as texts. */
function blocks(language: string): string[] {
  const found = readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"));
  return [...found].map(([, text = ""]) => text.trim());
}

/** Of the transcripts: commands behind `$`, and under each what it prints. */
function transcript(block: string): Step[] {
  return block.split(/^\$ /m).flatMap((part) => {
    const [command = "", ...lines] = part.trim().split("\n");
    return command === "" ? [] : [{ command, output: lines.join("\n") }];
  });
}

/** Which node of the README is which of the test: the README's leader is not always the first. */
class Cast {
  readonly #running: MakeRun;
  readonly #names: readonly string[];

  /** `leader` plays n1, as that leads in the README. */
  constructor(running: MakeRun, leader: string) {
    const others = ["n1", "n2", "n3"].filter((name) => name !== leader);
    this.#running = running;
    this.#names = [leader, ...others];
  }

  /** A text of the README, for the nodes of the test. */
  play(text: string): string {
    const withPorts = text.replace(/127\.0\.0\.1:400([1-4])/g, (_, at: string) => {
      const number = Number(this.#nameOf(`n${at}`).slice(1));
      return `127.0.0.1:${this.#running.clientPort + number - 1}`;
    });
    const withNames = withPorts.replace(/\bn[1-4]\b/g, (name) => this.#nameOf(name));
    return withNames.replace(/^make /, `make --silent ${this.#running.variables.join(" ")} `);
  }

  #nameOf(name: string): string {
    return this.#names[Number(name.slice(1)) - 1] ?? name;
  }
}

describe.skipIf(toolMissing !== null)(
  toolMissing ? `${toolMissing} is missing` : "commands",
  () => {
    test("do what the README says, in its order", async () => {
      const running = await MakeRun.start();
      await running.ready();
      const [, leader = ""] = /is ready; (n\d) leads/.exec(running.output) ?? [];
      const cast = new Cast(running, leader);
      const steps = blocks("console").flatMap(transcript);
      expect(steps.length).toBeGreaterThan(8);
      for (const { command, output } of steps) {
        const { stdout } = await run("bash", ["-c", cast.play(command)], { cwd: ROOT });
        expect(stdout.trim(), command).toBe(cast.play(output));
      }
      const client = blocks("sh").find((block) => block.includes("quorate -- put"));
      const { stdout } = await run("bash", ["-ec", cast.play(client ?? "false")], { cwd: ROOT });
      const [set, found, ...nodes] = stdout.split("\n").flatMap((line) => {
        return line === "" ? [] : [JSON.parse(line) as Record<string, unknown>];
      });
      expect(found).toMatchObject({ key: "greeting", value: "hello", version: set?.["version"] });
      expect(new Set(nodes.map((node) => node["name"]))).toEqual(new Set(["n1", "n2", "n3"]));
    });
  },
);

test("every make target that is named exists", () => {
  const makefile = readFileSync(join(ROOT, "Makefile"), "utf8");
  const named = [...readme.matchAll(/(?:`|^|\$ )make ([a-z-]+)/gm)].map(
    ([, target = ""]) => target,
  );
  expect(new Set(named).size).toBeGreaterThan(5);
  for (const target of new Set(named)) expect(makefile).toMatch(new RegExp(`^${target}:`, "m"));
});

test("every package at run time has its reason in docs/DEPENDENCIES.md, and no other", () => {
  const text = readFileSync(join(ROOT, "docs", "DEPENDENCIES.md"), "utf8");
  const [, table = ""] = /## At run time(.*)## For development/s.exec(text) ?? [];
  const listed = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
  expect(new Set(listed)).toEqual(new Set(Object.keys(about.dependencies)));
});

test("the table of settings is complete, and true", () => {
  const rows = [...readme.matchAll(/^\| `--([a-z-]+)` \| `(\w+)` \| (.*) \|$/gm)];
  const listed = rows.map(([, flag, variable, byDefault = ""]) => {
    return [flag, variable, byDefault.replaceAll("`", "")];
  });
  const real = [...settingsByFlag].map(([flag, { byDefault }]) => {
    return [flag, variableOf(flag), byDefault];
  });
  expect(listed).toEqual(real);
});
