/** Which layer killed which planted bug, as it was found out once. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { LAYERS, type Layer, type Verdict } from "./layers.ts";
import { type Mutation, rowOf } from "./mutation.ts";

const finding = z.object({
  /** The test, or the seed and what it ended in. Null: the bug survived. */
  by: z.string().nullable(),
  file: z.string(),
  seconds: z.number(),
});
const record = z.record(z.string(), z.partialRecord(z.enum(LAYERS), finding));

export type Finding = z.infer<typeof finding>;
/** By the id of the mutation, what each layer said that could see it. */
export type MutantRecord = z.infer<typeof record>;

const RECORD_FILE = "test/mutants/record.json";
export const TABLE_FILE = "docs/MUTANTS.md";

export function readRecord(root: string): MutantRecord {
  return record.parse(JSON.parse(readFileSync(join(root, RECORD_FILE), "utf8")));
}

/** Writes down what is known, and the table that shows it. */
export function writeRecord(root: string, all: readonly Mutation[], known: MutantRecord): void {
  const kept = all.flatMap(({ id }) => (known[id] === undefined ? [] : [[id, known[id]] as const]));
  writeFileSync(join(root, RECORD_FILE), `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
  writeFileSync(join(root, TABLE_FILE), mutantsTable(all, known));
}

export function asFinding(verdict: Exclude<Verdict, { kind: "broken" }>): Finding {
  const seconds = Math.round(verdict.seconds * 10) / 10;
  if (verdict.kind === "survived") return { by: null, file: "", seconds };
  return { by: verdict.by, file: verdict.file, seconds };
}

/** The layers that killed it, the cheapest first. */
export function killersOf(id: string, known: MutantRecord): readonly Layer[] {
  return LAYERS.filter((layer) => typeof known[id]?.[layer]?.by === "string");
}

const INTRODUCTION = `# Planted bugs

A test that cannot fail proves nothing. So each of these bugs is planted into a copy of the
sources, one at a time, and some layer of tests must find it: \`make mutants\`. A bug that only
keeps the program from loading is not counted as found.

- *script*: \`test/raft\`, golden scripts and unit tests of the core
- *unit*: tests of the folder that the bug is in
- *storage*: \`test/storage\`, every crash point and every damaged byte
- *simulator*: \`test/sim\`, whole clusters in trouble, from seed 1 on
- *integration*: \`test/integration\`, real processes

The columns say in how many seconds each layer found the bug; "–": it looked, and did not; empty:
it does not run that code. The bugs are in \`test/mutants/catalogue\`. This file is written by
\`make mutants RECORD=1\`.
`;

/** The text of docs/MUTANTS.md. */
export function mutantsTable(all: readonly Mutation[], known: MutantRecord): string {
  const isFound = ({ id }: Mutation) => killersOf(id, known).length > 0;
  const open = all.filter(({ id }) => known[id] === undefined);
  const survivors = all.filter((each) => !isFound(each) && !open.includes(each));
  const scripted = all.filter(({ id }) => killersOf(id, known).join() === "script");
  const past = all.filter(({ id }) => known[id]?.simulator?.by === null);
  const rows = new Set(all.map(rowOf)).size;
  const lines = [
    INTRODUCTION,
    `| bug | what it breaks | ${LAYERS.join(" | ")} | found by |`,
    `|---|---|${LAYERS.map(() => "--:|").join("")}---|`,
    ...all.map((mutation) => tableRow(mutation, known)),
    "",
    `${all.length} bugs of ${rows} kinds, ${all.filter(isFound).length} found.`,
    "",
    `Not found by the simulator, which runs their code: ${namesOf(past)}.`,
    "",
    `Found by the core's own scripts and unit tests only: ${namesOf(scripted)}.`,
    "",
    `Not found by anything: ${namesOf(survivors)}.`,
    "",
    `Not tried yet: ${namesOf(open)}.`,
    "",
  ];
  return lines.join("\n");
}

function tableRow({ id, breaks }: Mutation, known: MutantRecord): string {
  const findings = LAYERS.map((layer) => known[id]?.[layer]);
  const cells = findings.map((found) => {
    if (found === undefined) return "";
    return found.by === null ? "–" : found.seconds.toFixed(1);
  });
  const by = findings.find((found) => typeof found?.by === "string")?.by ?? "";
  const text = by.replaceAll("|", "\\|").slice(0, 100);
  return `| ${id} | ${breaks} | ${cells.join(" | ")} | ${text} |`;
}

function namesOf(mutations: readonly Mutation[]): string {
  return mutations.map(({ id }) => id).join(", ") || "none";
}
