/** Reads histories from files, and refuses what is none. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { AnyOperation } from "./history.ts";

const count = z.int().nonnegative();
const revision = count.optional();
const value = z.string().nullable().optional();
const lease = z.string().optional();
const key = z.string();

const asked = {
  client: z.string(),
  call: z.number(),
  return: z.number().nullable(),
  outcome: z.enum(["ok", "refused", "failed", "unknown"]),
};

const keySchema = z.strictObject({
  ...asked,
  key,
  op: z.enum(["get", "put", "delete", "increment"]),
  in: z.strictObject({
    value: z.string().optional(),
    ifVersion: count.optional(),
    lease,
    by: z.int().optional(),
  }),
  out: z
    .strictObject({ version: count, revision, storeRevision: revision, value, deleted: revision })
    .optional(),
});

const stepsSchema = z.array(
  z.discriminatedUnion("op", [
    z.strictObject({ op: z.enum(["get", "delete"]), key }),
    z.strictObject({ op: z.literal("put"), key, value: z.string(), lease }),
    z.strictObject({ op: z.literal("increment"), key, by: z.int() }),
    z.strictObject({ op: z.literal("deletePrefix"), prefix: z.string() }),
  ]),
);

const compareSchema = z.strictObject({
  key,
  target: z.enum(["version", "createRevision", "modRevision", "value"]),
  relation: z.enum(["=", "!=", "<", ">"]),
  to: z.union([count, z.string()]),
});

const stepOut = z.strictObject({ version: revision, revision, value, deleted: revision });

const txnSchema = z.strictObject({
  ...asked,
  op: z.literal("txn"),
  in: z.strictObject({
    compare: z.array(compareSchema),
    success: stepsSchema,
    failure: stepsSchema,
  }),
  out: z.strictObject({ succeeded: z.boolean(), revision, results: z.array(stepOut) }).optional(),
});

const itemSchema = z.strictObject({
  key,
  version: z.int().positive(),
  revision,
  value: z.string(),
});

const rangeSchema = z.strictObject({
  ...asked,
  op: z.literal("range"),
  in: z.strictObject({
    prefix: z.string().optional(),
    keys: z.array(key).optional(),
    limit: count.optional(),
    at: revision,
  }),
  out: z
    .strictObject({ items: z.array(itemSchema), count: revision, storeRevision: revision })
    .optional(),
});

const expireSchema = z.strictObject({
  ...asked,
  op: z.literal("expire"),
  in: z.strictObject({ lease: z.string() }),
  out: z.undefined().optional(),
});

const operationSchema = z.discriminatedUnion("op", [
  keySchema,
  txnSchema,
  rangeSchema,
  expireSchema,
]);

/** A history that cannot be read: the message says where, and what is wrong. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

/** Reads a file of JSON lines. Throws HistoryError where it is not a history. */
export function readHistory(path: string): AnyOperation[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new HistoryError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  const lines = text.split("\n");
  return lines.flatMap((line, at) => (line === "" ? [] : [parseLine(line, `${path}:${at + 1}`)]));
}

/** One line. Throws HistoryError that begins with `where`. */
export function parseLine(line: string, where: string): AnyOperation {
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
  const problem = inconsistency(parsed.data) ?? inconsistencyOf(parsed.data);
  if (problem !== null) throw new HistoryError(`${where}: ${problem}`);
  return parsed.data;
}

/** What is wrong with any operation by itself, or null. */
function inconsistency({ op, call, return: end, outcome, out }: AnyOperation): string | null {
  if ((outcome === "ok" || outcome === "refused") !== (out !== undefined)) {
    return "out belongs to ok and refused, and to nothing else";
  }
  if (op === "expire" && outcome !== "unknown") return "an expire whose outcome is known";
  if (end === null && outcome !== "unknown") return "no end, but an outcome";
  return end !== null && end < call ? "it ends before it begins" : null;
}

/** What is wrong with one of its kind, or null. */
function inconsistencyOf(operation: AnyOperation): string | null {
  const { op, outcome } = operation;
  if (op === "expire") return null;
  if (op === "range") {
    const { prefix, keys } = operation.in;
    return (prefix === undefined) === (keys === undefined) ? "either a prefix or keys" : null;
  }
  if (op === "txn") {
    const { in: input, out } = operation;
    if (outcome === "refused") return "a transaction is not refused: its compares do not hold";
    const done = out?.succeeded === true ? input.success : input.failure;
    if (out !== undefined && out.results.length !== done.length) return "a result for each step";
    const isOdd = input.compare.some((each) => {
      return (each.target === "value") !== (typeof each.to === "string");
    });
    return isOdd ? "a value is compared with a text, and the rest with a number" : null;
  }
  const { in: input, out } = operation;
  if (op === "put" && input.value === undefined) return "a put without a value";
  if (op !== "put" && input.value !== undefined) return `a ${op} with a value`;
  if (op === "increment" && input.by === undefined) return "an increment by nothing";
  if (outcome === "refused" && input.ifVersion === undefined) return "refused without a condition";
  if (op === "get" && outcome === "ok" && out?.value === undefined) return "a get without a value";
  return null;
}
