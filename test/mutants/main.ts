/**
 * Plants one bug after another and sees that the tests find it: `make mutants`.
 *
 * By default each bug meets the cheapest layer that is on record as finding it, and the simulator
 * where that is too: both must find it again. `--record` asks every layer that runs the code, and
 * writes down what it said. Exits with 1, and the names, if a bug is not found.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { catalogue } from "./catalogue.ts";
import { killAll } from "./command.ts";
import { filesFor, LAYERS, type Layer, runLayer, type Verdict } from "./layers.ts";
import type { Mutation } from "./mutation.ts";
import { asFinding, killersOf, type MutantRecord, readRecord, writeRecord } from "./record.ts";
import { Scratch } from "./scratch.ts";

const { values } = parseArgs({
  options: {
    /** Only bugs whose id begins so; several with commas. */
    only: { type: "string", default: "" },
    /** Only this layer. */
    layer: { type: "string" },
    record: { type: "boolean", default: false },
    jobs: { type: "string", default: "1" },
    /** How long the simulator looks for a seed. */
    seconds: { type: "string", default: "60" },
  },
});

const root = join(import.meta.dirname, "../..");
const simulatorSeconds = z.coerce.number().positive().max(3_600).parse(values.seconds);
const jobs = z.coerce.number().int().min(1).max(16).parse(values.jobs);
const layers = values.layer === undefined ? LAYERS : [z.enum(LAYERS).parse(values.layer)];
const prefixes = values.only.split(",");
const known: MutantRecord = readRecord(root);
const chosen = catalogue
  .filter(({ id }) => prefixes.some((prefix) => id.startsWith(prefix)))
  .filter((mutation) => values.layer === undefined || plan(mutation).length > 0);

/** What was found out about one bug. */
interface Result {
  readonly id: string;
  readonly verdicts: readonly { readonly layer: Layer; readonly verdict: Verdict }[];
}

interface Step {
  readonly layer: Layer;
  readonly files: readonly string[];
}

/** The layers to ask about a bug, and the files of each. */
function plan(mutation: Mutation): readonly Step[] {
  if (!values.record && values.layer === undefined) return recordedPlan(mutation);
  return layers.flatMap((layer) => {
    const files = filesFor(layer, mutation);
    return files === null ? [] : [{ layer, files }];
  });
}

function recordedPlan({ id }: Mutation): readonly Step[] {
  const killers = killersOf(id, known);
  const wanted = killers.filter((layer) => layer === killers[0] || layer === "simulator");
  return wanted.flatMap((layer) => {
    const file = known[id]?.[layer]?.file;
    return file === undefined ? [] : [{ layer, files: [file] }];
  });
}

async function examine(mutation: Mutation, cwd: string): Promise<Result> {
  const verdicts: { layer: Layer; verdict: Verdict }[] = [];
  for (const { layer, files } of plan(mutation)) {
    const verdict = await runLayer(layer, { cwd, files, simulatorSeconds });
    verdicts.push({ layer, verdict });
  }
  return { id: mutation.id, verdicts };
}

/** Without a bug everything must pass, or nothing that follows means anything. */
async function checkSound({ path: cwd }: Scratch): Promise<void> {
  for (const layer of layers) {
    const steps = chosen.flatMap((mutation) => plan(mutation).filter((s) => s.layer === layer));
    const files = [...new Set(steps.flatMap((step) => step.files))];
    if (files.length === 0) continue;
    const verdict = await runLayer(layer, { cwd, files, simulatorSeconds: 5 });
    if (verdict.kind !== "survived") {
      const why = verdict.kind === "killed" ? verdict.by : verdict.why;
      throw new Error(`the ${layer} layer fails without any bug: ${why}`);
    }
    say(`sound: ${layer}, ${verdict.seconds.toFixed(1)} s`);
  }
}

async function work(scratch: Scratch, queue: Mutation[]): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const mutation = next;
    const result = await scratch.with(mutation, () => examine(mutation, scratch.path));
    results.push(result);
    if (values.record) keep(result);
    say(`${results.length}/${chosen.length} ${line(result)}`);
  }
}

/** What failed without testing anything is not worth keeping. */
function keep({ id, verdicts }: Result): void {
  const found = { ...known[id] };
  for (const { layer, verdict } of verdicts) {
    if (verdict.kind === "broken") delete found[layer];
    else found[layer] = asFinding(verdict);
  }
  known[id] = found;
  writeRecord(root, catalogue, known);
}

/** One layer that finds it is enough to begin with; one that found it must go on finding it. */
function isFound({ verdicts }: Result): boolean {
  const isKilled = ({ verdict }: { readonly verdict: Verdict }) => verdict.kind === "killed";
  if (values.record) return verdicts.some(isKilled);
  return verdicts.length > 0 && verdicts.every(isKilled);
}

function line({ id, verdicts }: Result): string {
  if (verdicts.length === 0) return `${id}\n    not on record: --record asks every layer`;
  const texts = verdicts.map(({ layer, verdict }) => {
    const time = `${layer} ${verdict.seconds.toFixed(1)} s`;
    if (verdict.kind === "killed") return `${time}: ${verdict.by.slice(0, 90)}`;
    return verdict.kind === "survived" ? `${time}: survived` : `${time}: broken: ${verdict.why}`;
  });
  return `${id}\n    ${texts.join("\n    ")}`;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const startedAt = performance.now();
const results: Result[] = [];
const queue = [...chosen];
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    queue.length = 0;
    killAll();
  });
}
const scratches = Array.from({ length: jobs }, () => new Scratch(root));
try {
  for (const scratch of scratches.slice(0, 1)) await checkSound(scratch);
  await Promise.all(scratches.map((scratch) => work(scratch, queue)));
} finally {
  for (const scratch of scratches) scratch.remove();
}
const seconds = Math.round((performance.now() - startedAt) / 1_000);
const survivors = chosen
  .map(({ id }) => id)
  .filter((id) => !results.some((result) => result.id === id && isFound(result)));
if (!process.stdout.isTTY) {
  process.stdout.write(`${JSON.stringify({ seconds, survivors, results }, null, 2)}\n`);
}
say(`${chosen.length - survivors.length} of ${chosen.length} bugs found in ${seconds} s`);
if (survivors.length > 0) {
  say(`not found: ${survivors.join(", ")}`);
  process.exitCode = 1;
}
