/** Transactions as JSON: read, or refused with one clear sentence. */
import { z } from "zod";
import { type Key, prefixEnd } from "../kv/key.ts";
import type { Compare, KeyRange, LeaseChoice, Operation, Txn } from "../kv/operation.ts";
import { NO_LEASE, TXN_LENGTH_MAX } from "../kv/operation.ts";
import { malformation } from "../kv/txn.ts";
import { bodyKey, bodyPrefix } from "./body-key.ts";
import { base64Value, type Fields, textValue } from "./body.ts";
import { leaseId, ttlMs } from "./lease-choice.ts";
import { invalid } from "./query.ts";

const number = z.int().nonnegative();
const encoding = z.enum(["utf8", "base64"]).optional();
/** `key_encoding`: of the key; `encoding`: of the value. */
const named = { key: z.string(), key_encoding: encoding };

const compareSchema = z.strictObject({
  ...named,
  op: z.enum(["=", "!=", "<", ">"]).default("="),
  version: number.optional(),
  mod_revision: number.optional(),
  create_revision: number.optional(),
  lease: number.optional(),
  value: z.string().optional(),
  encoding,
  exists: z.boolean().optional(),
});

const putSchema = z.strictObject({
  ...named,
  value: z.string(),
  encoding,
  ttl: z.union([z.number(), z.string()]).optional(),
  lease: number.optional(),
  prev: z.boolean().default(false),
});

const getSchema = z.strictObject({
  key: z.string().optional(),
  key_encoding: encoding,
  prefix: z.string().optional(),
  limit: number.max(1_000).default(0),
  keys_only: z.boolean().default(false),
  count_only: z.boolean().default(false),
});

const deleteSchema = z.strictObject({ ...named, prev: z.boolean().default(false) });
const deletePrefixSchema = z.strictObject({
  prefix: z.string().min(1),
  prev: z.boolean().default(false),
});
const incrementSchema = z.strictObject({
  ...named,
  by: z.int().default(1),
  initial: z.int().default(0),
});

const operationSchema = z.union([
  z.strictObject({ put: putSchema }),
  z.strictObject({ get: getSchema }),
  z.strictObject({ delete: deleteSchema }),
  z.strictObject({ delete_prefix: deletePrefixSchema }),
  z.strictObject({ increment: incrementSchema }),
]);

/** The body of `POST /v1/txn`. */
export const txnSchema = z.strictObject({
  compare: z.array(compareSchema).default([]),
  success: z.array(operationSchema).default([]),
  failure: z.array(operationSchema).default([]),
});

/** The body of `POST /v1/kv/<key>/increment`. */
export const incrementBodySchema = incrementSchema.omit({ key: true, key_encoding: true });

/** Reads a transaction. Throws ServiceError. */
export function txnFrom(fields: Fields): Txn {
  checkLengths(fields);
  const body = parse(txnSchema, fields);
  const txn = {
    compares: body.compare.map(compareFrom),
    success: body.success.map(operationFrom),
    failure: body.failure.map(operationFrom),
  };
  const problem = malformation(txn);
  if (problem !== null) throw invalid(problem);
  return txn;
}

/** Before each part of a list is looked at, which may take long if there are very many. */
function checkLengths(fields: Fields): void {
  for (const name of ["compare", "success", "failure"]) {
    const list = fields[name];
    if (!Array.isArray(list) || list.length <= TXN_LENGTH_MAX) continue;
    throw invalid(`"${name}" has ${list.length} parts, and ${TXN_LENGTH_MAX} at most can be`);
  }
}

/** Throws ServiceError INVALID_PARAM that names the place and what is wrong there. */
export function parse<Schema extends z.ZodType>(schema: Schema, fields: unknown): z.output<Schema> {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(`the body cannot be used: ${issue?.path.join(".") || "it"}: ${issue?.message}`);
}

function compareFrom(given: z.output<typeof compareSchema>): Compare {
  const range = single(given);
  const relation = given.op;
  const { version, mod_revision, create_revision, lease, value, exists } = given;
  const targets = [version, mod_revision, create_revision, lease, value, exists];
  if (targets.filter((target) => target !== undefined).length !== 1) {
    throw invalid(
      "a compare names exactly one of version, mod_revision, create_revision, lease, value, exists",
    );
  }
  if (exists !== undefined) {
    if (relation !== "=") throw invalid('"exists" is compared with "=" only');
    return { ...range, target: "createRevision", relation: exists ? ">" : "=", number: 0 };
  }
  if (value !== undefined) {
    return { ...range, target: "value", relation, value: valueFrom(value, given.encoding) };
  }
  if (version !== undefined) return { ...range, target: "version", relation, number: version };
  if (lease !== undefined) return { ...range, target: "lease", relation, number: lease };
  if (mod_revision !== undefined) {
    return { ...range, target: "modRevision", relation, number: mod_revision };
  }
  return { ...range, target: "createRevision", relation, number: create_revision ?? 0 };
}

function operationFrom(given: z.output<typeof operationSchema>): Operation {
  if ("put" in given) {
    const { value, encoding: of, prev, ttl, lease } = given.put;
    const { key } = single(given.put);
    const written = { key, value: valueFrom(value, of), lease: leaseFrom(ttl, lease) };
    return { type: "put", ...written, returnPrevious: prev };
  }
  if ("get" in given) {
    const { limit, keys_only: keysOnly, count_only: countOnly } = given.get;
    return { type: "get", ...rangeFrom(given.get), limit, keysOnly, countOnly };
  }
  if ("delete" in given) {
    return { type: "delete", ...single(given.delete), returnPrevious: given.delete.prev };
  }
  if ("delete_prefix" in given) {
    const { prefix, prev } = given.delete_prefix;
    return { type: "delete", ...prefixed(prefix), returnPrevious: prev };
  }
  const { by, initial } = given.increment;
  return { type: "increment", key: single(given.increment).key, by, initial };
}

function rangeFrom({ key, key_encoding, prefix }: z.output<typeof getSchema>): KeyRange {
  if (key !== undefined && prefix === undefined) return single({ key, key_encoding });
  if (prefix !== undefined && key === undefined) return prefixed(prefix);
  throw invalid('a get names either a "key" or a "prefix"');
}

/** All keys that begin so. */
export function prefixed(prefix: string): KeyRange {
  const key = bodyPrefix(prefix, "utf8");
  return { key, end: prefixEnd(key) };
}

interface Named {
  readonly key: string;
  readonly key_encoding?: "utf8" | "base64" | undefined;
}

function single({ key, key_encoding = "utf8" }: Named): { key: Key; end: "single" } {
  return { key: bodyKey(key, key_encoding), end: "single" };
}

function valueFrom(value: string, of: "utf8" | "base64" | undefined): Uint8Array {
  return of === "base64" ? base64Value(value) : textValue(value);
}

function leaseFrom(ttl: number | string | undefined, lease: number | undefined): LeaseChoice {
  if (ttl !== undefined && lease !== undefined) {
    throw invalid("a key has either a ttl or a lease, not both");
  }
  if (lease !== undefined) return { kind: "lease", id: leaseId(lease) };
  if (ttl === undefined) return NO_LEASE;
  return ttl === "keep" ? { kind: "keep" } : { kind: "ttl", ttlMs: ttlMs(ttl) };
}
