/**
 * Transactions as `POST /v1/txn` has them, in the words of the client and back. A name that nobody
 * knows is refused: the client would leave it out, and do something else than what was meant.
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import type {
  Compare,
  Entry,
  LifeOptions,
  Metadata,
  Operation,
  OperationResult,
  Txn,
  TxnResult,
  Value,
} from "../client/index.ts";
import { namesIn, outlineOf } from "../lib/json-outline.ts";
import { keyData, valueData } from "./entries.ts";
import { TTL_MAX_MS, TTL_MIN_MS } from "./readers.ts";

const text = z.string().refine((value) => value.isWellFormed(), "half a surrogate pair");
const key = text.min(1, "a key has at least one character");
const number = z.int().nonnegative();
const encoding = z.enum(["utf8", "base64"]).optional();
const prev = z.boolean().optional();
const NO_BASE64 = { path: ["value"], error: "it is not base64" };
const TARGETS = "version, mod_revision, create_revision, lease, value and exists";

const compareSchema = z
  .strictObject({
    key,
    op: z.enum(["=", "!=", "<", ">"]).optional(),
    version: number.optional(),
    mod_revision: number.optional(),
    create_revision: number.optional(),
    lease: number.optional(),
    value: text.optional(),
    encoding,
    exists: z.boolean().optional(),
  })
  .refine(
    ({ key: _key, op: _op, encoding: _encoding, ...targets }) => Object.keys(targets).length === 1,
    `name exactly one of ${TARGETS}`,
  )
  .refine(({ exists, op = "=" }) => exists === undefined || op === "=", '"exists" takes no op')
  .refine(isValue, NO_BASE64);

const seconds = z
  .union([z.number(), z.string().regex(/^\d{1,10}(\.\d{1,9})?$/)])
  .refine(
    (ttl) => Number(ttl) * 1_000 >= TTL_MIN_MS && Number(ttl) * 1_000 <= TTL_MAX_MS,
    `use ${TTL_MIN_MS / 1_000} to ${TTL_MAX_MS / 1_000} seconds`,
  );
const putSchema = z
  .strictObject({
    key,
    value: text,
    encoding,
    ttl: z.literal("keep").or(seconds).optional(),
    lease: number.min(1).optional(),
    prev,
  })
  .refine(({ ttl, lease }) => ttl === undefined || lease === undefined, "either ttl or lease")
  .refine(isValue, NO_BASE64);

const getSchema = z
  .strictObject({
    key: key.optional(),
    prefix: text.optional(),
    limit: number.optional(),
    keys_only: z.boolean().optional(),
    count_only: z.boolean().optional(),
  })
  .refine((get) => (get.key === undefined) !== (get.prefix === undefined), "either key or prefix");

const operationSchema = z
  .strictObject({
    put: putSchema.optional(),
    get: getSchema.optional(),
    delete: z.strictObject({ key, prev }).optional(),
    delete_prefix: z.strictObject({ prefix: text.min(1), prev }).optional(),
    increment: z
      .strictObject({ key, by: z.int().optional(), initial: z.int().optional() })
      .optional(),
  })
  .refine(
    (operation) => Object.keys(operation).length === 1,
    "name exactly one of put, get, delete, delete_prefix and increment",
  );

const txnSchema = z.strictObject({
  compare: z.array(compareSchema).optional(),
  success: z.array(operationSchema).optional(),
  failure: z.array(operationSchema).optional(),
});

/** What is no base64 is refused, as by the servers: of it, what can be read would be stored. */
function isValue(given: { value?: string | undefined; encoding?: string | undefined }): boolean {
  const { value = "", encoding: of } = given;
  return of !== "base64" || Buffer.from(value, "base64").toString("base64") === value;
}

/** A transaction, or one sentence that says where it cannot be used. */
export function txnFrom(json: string): Txn | string {
  let given: unknown;
  try {
    given = JSON.parse(json);
  } catch (error) {
    return (error as Error).message;
  }
  const { success: isGood, data, error } = txnSchema.safeParse(given);
  if (!isGood) {
    const [issue] = error.issues;
    return `${issue?.path.join(".") || "it"}: ${issue?.message}`;
  }
  if (namesIn(given) !== outlineOf(json).names) return "an object names a property twice";
  const { compare = [], success = [], failure = [] } = data;
  return {
    compare: compare.map(compareFrom),
    success: success.map(operationFrom),
    failure: failure.map(operationFrom),
  };
}

/** What came of it, as the servers tell it. */
export function txnData({ succeeded, revision, results }: TxnResult) {
  return { succeeded, revision, results: results.map(resultData) };
}

function compareFrom(given: z.output<typeof compareSchema>): Compare {
  const { key: name, op = "=", value, exists, version, lease, mod_revision: modRevision } = given;
  if (exists !== undefined) return { key: name, exists };
  if (value !== undefined) return { key: name, op, value: valueFrom(value, given.encoding) };
  if (version !== undefined) return { key: name, op, version };
  if (lease !== undefined) return { key: name, op, lease };
  if (modRevision !== undefined) return { key: name, op, modRevision };
  return { key: name, op, createRevision: given.create_revision ?? 0 };
}

function operationFrom(given: z.output<typeof operationSchema>): Operation {
  if (given.put !== undefined) {
    const { value, encoding: of, ttl, lease, prev: previous = false } = given.put;
    const life = lifeFrom(ttl, lease);
    return { put: { key: given.put.key, value: valueFrom(value, of), previous, ...life } };
  }
  if (given.get !== undefined) {
    const { key: name, prefix = "", limit = 0, keys_only = false, count_only = false } = given.get;
    const how = { limit, keysOnly: keys_only, countOnly: count_only };
    return { get: name === undefined ? { prefix, ...how } : { key: name, ...how } };
  }
  if (given.delete !== undefined) {
    const { key: name, prev: previous = false } = given.delete;
    return { delete: { key: name, previous } };
  }
  if (given.delete_prefix !== undefined) {
    const { prefix, prev: previous = false } = given.delete_prefix;
    return { deletePrefix: { prefix, previous } };
  }
  const { key: name = "", by = 1, initial = 0 } = given.increment ?? {};
  return { increment: { key: name, by, initial } };
}

function lifeFrom(ttl: number | string | undefined, lease: number | undefined): LifeOptions {
  if (ttl === undefined) return { lease };
  return ttl === "keep" ? { keepTtl: true } : { ttlMs: Number(ttl) * 1_000 };
}

function valueFrom(value: string, of: "utf8" | "base64" | undefined): Value {
  return of === "base64" ? Buffer.from(value, "base64") : value;
}

function resultData(result: OperationResult) {
  if ("put" in result) {
    const { previous, ...metadata } = result.put;
    return { put: { ...metadataData(metadata), ...(previous && { prev: entryWire(previous) }) } };
  }
  if ("get" in result) {
    const { items, count, more } = result.get;
    return { get: { items: items.map(entryWire), count, more } };
  }
  if ("delete" in result) {
    const { deleted, previous } = result.delete;
    return {
      delete: { deleted, ...(previous.length > 0 && { prev: previous.map(entryWire) }) },
    };
  }
  const { value, ...metadata } = result.increment;
  return { increment: { value, ...metadataData(metadata) } };
}

function entryWire(entry: Entry) {
  return { ...keyData(entry), ...valueData(entry.bytes), ...metadataData(entry) };
}

function metadataData({ version, createRevision, modRevision }: Metadata) {
  return { version, create_revision: createRevision, mod_revision: modRevision };
}
