/** Histories: what clients did, when, and what they were told. docs/HISTORY.md tells the format. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const revision = z.int().nonnegative();

const operationSchema = z.strictObject({
  client: z.string(),
  key: z.string(),
  op: z.enum(["get", "put", "delete"]),
  in: z.strictObject({ value: z.string().optional(), ifVersion: revision.optional() }),
  call: z.number(),
  return: z.number().nullable(),
  outcome: z.enum(["ok", "refused", "failed", "unknown"]),
  out: z
    .strictObject({
      version: revision,
      revision: revision.optional(),
      storeRevision: revision.optional(),
      value: z.string().nullable().optional(),
      deleted: revision.optional(),
    })
    .optional(),
});

/**
 * One operation of one client. `call` and `return` are moments of one monotonic clock, in any unit,
 * taken right before the request was sent and right after the answer came; `return` is null where
 * the outcome is unknown, as it may then take effect at any later time.
 *
 * `ok`: done, as `out` says. `refused`: a condition did not hold, so nothing was changed, and `out`
 * tells the version that the key had instead. `failed`: certainly nothing was or will be changed.
 * `unknown`: a write that may have been done, or may be done later.
 */
export interface Operation {
  readonly client: string;
  readonly key: string;
  readonly op: "get" | "put" | "delete";
  readonly in: {
    /** Of a put. */
    readonly value?: string | undefined;
    /** The write is wanted only at this version of the key; 0: the key must not exist. */
    readonly ifVersion?: number | undefined;
  };
  readonly call: number;
  readonly return: number | null;
  readonly outcome: "ok" | "refused" | "failed" | "unknown";
  readonly out?: Out | undefined;
}

/** What an answer says. Revisions may be left out; a checker can do without them. */
export interface Out {
  /** Of the key after the operation; 0: it is not there. */
  readonly version: number;
  /** Of the change that was made, or of the last change of the key that was read. */
  readonly revision?: number | undefined;
  /** Of the whole store at the moment of a read. */
  readonly storeRevision?: number | undefined;
  /** What a get has read; null: the key is not there. */
  readonly value?: string | null | undefined;
  /** How many keys a delete has removed: 0 or 1. */
  readonly deleted?: number | undefined;
}

/** A history that cannot be read: the message says where, and what is wrong. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

/** Reads a file of JSON lines. Throws HistoryError where it is not a history. */
export function readHistory(path: string): Operation[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new HistoryError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  const lines = text.split("\n");
  return lines.flatMap((line, at) => (line === "" ? [] : [parseLine(line, `${path}:${at + 1}`)]));
}

/** The line of an operation, with its end. */
export function lineOf(operation: Operation): string {
  return `${JSON.stringify(operation)}\n`;
}

function parseLine(line: string, where: string): Operation {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch (cause) {
    throw new HistoryError(`${where}: not JSON`, { cause });
  }
  const parsed = operationSchema.safeParse(fields);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HistoryError(`${where}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const problem = inconsistency(parsed.data);
  if (problem !== null) throw new HistoryError(`${where}: ${problem}`);
  return parsed.data;
}

/** What is wrong with an operation by itself, or null. */
function inconsistency({ op, in: input, call, return: end, outcome, out }: Operation) {
  if (op === "put" && input.value === undefined) return "a put without a value";
  if (op !== "put" && input.value !== undefined) return `a ${op} with a value`;
  if ((outcome === "ok" || outcome === "refused") !== (out !== undefined)) {
    return "out belongs to ok and refused, and to nothing else";
  }
  if (outcome === "refused" && input.ifVersion === undefined) return "refused without a condition";
  if (end === null && outcome !== "unknown") return "no end, but an outcome";
  if (end !== null && end < call) return "it ends before it begins";
  if (op === "get" && outcome === "ok" && out?.value === undefined) return "a get without a value";
  return null;
}
