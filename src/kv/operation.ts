/**
 * What a transaction is made of, and its bytes.
 *
 * ```
 * txn       = three lists, each a count (varint) and then: compares, success and failure operations
 * compare   = target (u8), relation (u8), key (sized), end, and what it is compared with: a number
 *             (varint), or for `value` bytes (sized)
 * operation = op (u8), then by op:
 *   1 put        flags (u8), lease, key (sized), value (sized)
 *   2 delete     flags (u8), key (sized), end
 *   3 get        flags (u8), key (sized), end, limit (varint)
 *   4 increment  key (sized), by, initial (each: negative (u8), absolute (varint))
 *   5 txn        txn
 * end       = 0 (u8): the key alone; 1: all from the key on; 2, end (sized): up to there
 * lease     = 0 (u8): none; 1: as before; 2, id (varint); 3, ttlMs (varint): one of its own
 * flags     = 1: return what was before (put, delete); 2: keys only; 4: count only (get)
 * ```
 */
import { assert, unreachable } from "../lib/assert.ts";
import { type ByteReader, type ByteWriter, MalformedError, NewerError } from "../lib/bytes.ts";
import { isKeySize, type Key, keyOf, VALUE_BYTES_MAX } from "./key.ts";

/** One key, or all from `key` on and before `end`; `end` null: all that follow. */
export interface KeyRange {
  readonly key: Key;
  /** `single`: only the key itself. */
  readonly end: Key | null | "single";
}

/** Whether the range has room for this key. */
export function isIn(name: Key, { key, end }: KeyRange): boolean {
  if (end === "single") return name === key;
  return name >= key && (end === null || name < end);
}

/**
 * What a put does about the key's lease. `keep`: as it was before. `ttl`: a lease of its own, which
 * goes with the value.
 */
export type LeaseChoice =
  | { readonly kind: "none" | "keep" }
  | { readonly kind: "lease"; readonly id: number }
  | { readonly kind: "ttl"; readonly ttlMs: number };

export const NO_LEASE: LeaseChoice = { kind: "none" };

/** Order is their number. A missing key has zeros, and no value: that holds in no relation. */
const TARGETS = ["version", "createRevision", "modRevision", "lease", "value"] as const;
const RELATIONS = ["=", "!=", "<", ">"] as const;

export type CompareTarget = (typeof TARGETS)[number];
export type Relation = (typeof RELATIONS)[number];

/** Must hold for every key in the range; a range without keys is as a missing key. */
export type Compare = KeyRange & { readonly relation: Relation } & (
    | { readonly target: Exclude<CompareTarget, "value">; readonly number: number }
    | { readonly target: "value"; readonly value: Uint8Array }
  );

export type Operation =
  | {
      readonly type: "put";
      readonly key: Key;
      readonly value: Uint8Array;
      readonly lease: LeaseChoice;
      readonly returnPrevious: boolean;
    }
  | (KeyRange & { readonly type: "delete"; readonly returnPrevious: boolean })
  | (KeyRange & {
      readonly type: "get";
      /** 0: no limit of its own. */
      readonly limit: number;
      readonly keysOnly: boolean;
      readonly countOnly: boolean;
    })
  | {
      readonly type: "increment";
      readonly key: Key;
      readonly by: number;
      /** Where there is no key yet, before it is added to. */
      readonly initial: number;
    }
  | (Txn & { readonly type: "txn" });

/** If all compares hold, the one list is carried out, else the other: all of it or nothing. */
export interface Txn {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

/** In each list of a transaction, with those of the transactions in it. */
export const TXN_LENGTH_MAX = 128;
/** Transactions in transactions. */
export const DEPTH_MAX = 8;

const OPS = ["put", "delete", "get", "increment", "txn"] as const;
const RETURN_PREVIOUS = 1;
const KEYS_ONLY = 2;
const COUNT_ONLY = 4;
const LEASES = ["none", "keep", "lease", "ttl"] as const;
const SINGLE = 0;
const FROM = 1;
const UP_TO = 2;

export function encodeTxn(out: ByteWriter, { compares, success, failure }: Txn): void {
  out.varint(compares.length);
  for (const compare of compares) encodeCompare(out, compare);
  for (const list of [success, failure]) {
    out.varint(list.length);
    for (const operation of list) encodeOperation(out, operation);
  }
}

function encodeCompare(out: ByteWriter, compare: Compare): void {
  out.u8(TARGETS.indexOf(compare.target));
  out.u8(RELATIONS.indexOf(compare.relation));
  encodeRange(out, compare);
  if (compare.target === "value") out.sized(compare.value);
  else out.varint(compare.number);
}

function encodeOperation(out: ByteWriter, operation: Operation): void {
  out.u8(OPS.indexOf(operation.type) + 1);
  switch (operation.type) {
    case "put":
      assert(isKeySize(operation.key.length), "a key of an impossible size");
      assert(operation.value.length <= VALUE_BYTES_MAX, "the value is too large");
      out.u8(operation.returnPrevious ? RETURN_PREVIOUS : 0);
      encodeLease(out, operation.lease);
      out.sizedString(operation.key);
      return out.sized(operation.value);
    case "delete":
      out.u8(operation.returnPrevious ? RETURN_PREVIOUS : 0);
      return encodeRange(out, operation);
    case "get":
      out.u8((operation.keysOnly ? KEYS_ONLY : 0) | (operation.countOnly ? COUNT_ONLY : 0));
      encodeRange(out, operation);
      return out.varint(operation.limit);
    case "increment":
      assert(isKeySize(operation.key.length), "a key of an impossible size");
      out.sizedString(operation.key);
      encodeSigned(out, operation.by);
      return encodeSigned(out, operation.initial);
    case "txn":
      return encodeTxn(out, operation);
    default:
      unreachable(operation);
  }
}

export function encodeLease(out: ByteWriter, lease: LeaseChoice): void {
  out.u8(LEASES.indexOf(lease.kind));
  if (lease.kind === "lease") out.varint(lease.id);
  if (lease.kind === "ttl") out.varint(lease.ttlMs);
}

function encodeRange(out: ByteWriter, { key, end }: KeyRange): void {
  assert(end !== "single" || isKeySize(key.length), "a key of an impossible size");
  out.sizedString(key);
  if (end === "single") return out.u8(SINGLE);
  if (end === null) return out.u8(FROM);
  out.u8(UP_TO);
  out.sizedString(end);
}

function encodeSigned(out: ByteWriter, value: number): void {
  assert(Number.isSafeInteger(value), () => `not a whole number: ${value}`);
  out.u8(value < 0 ? 1 : 0);
  out.varint(Math.abs(value));
}

/** Reads a transaction. Throws MalformedError where anything is unknown or out of bounds. */
export function decodeTxn(source: ByteReader, depth = 0): Txn {
  if (depth > DEPTH_MAX) throw new MalformedError("too many transactions in each other");
  const compares = decodeList(source, () => decodeCompare(source));
  const success = decodeList(source, () => decodeOperation(source, depth));
  const failure = decodeList(source, () => decodeOperation(source, depth));
  return { compares, success, failure };
}

function decodeList<Item>(source: ByteReader, decode: () => Item): Item[] {
  const count = source.varint();
  if (count > TXN_LENGTH_MAX) throw new MalformedError(`a transaction of ${count} parts`);
  return Array.from({ length: count }, decode);
}

function decodeCompare(source: ByteReader): Compare {
  const target = oneOf(TARGETS, source.u8());
  const relation = oneOf(RELATIONS, source.u8());
  const range = decodeRange(source);
  if (target !== "value") return { ...range, relation, target, number: source.varint() };
  return { ...range, relation, target, value: source.sized() };
}

function decodeOperation(source: ByteReader, depth: number): Operation {
  const type = oneOf(OPS, source.u8() - 1);
  switch (type) {
    case "put": {
      const returnPrevious = decodeFlags(source, RETURN_PREVIOUS) !== 0;
      const lease = decodeLease(source);
      const key = decodeKey(source);
      return { type, key, value: decodeValue(source), lease, returnPrevious };
    }
    case "delete": {
      const returnPrevious = decodeFlags(source, RETURN_PREVIOUS) !== 0;
      return { type, ...decodeRange(source), returnPrevious };
    }
    case "get": {
      const flags = decodeFlags(source, KEYS_ONLY | COUNT_ONLY);
      const [keysOnly, countOnly] = [(flags & KEYS_ONLY) !== 0, (flags & COUNT_ONLY) !== 0];
      return { type, ...decodeRange(source), limit: source.varint(), keysOnly, countOnly };
    }
    case "increment": {
      const key = decodeKey(source);
      return { type, key, by: decodeSigned(source), initial: decodeSigned(source) };
    }
    case "txn":
      return { type, ...decodeTxn(source, depth + 1) };
    default:
      return unreachable(type);
  }
}

function decodeFlags(source: ByteReader, known: number): number {
  const flags = source.u8();
  if ((flags & ~known) !== 0) throw new NewerError(`an operation with flags ${flags}`);
  return flags;
}

export function decodeLease(source: ByteReader): LeaseChoice {
  const kind = oneOf(LEASES, source.u8());
  switch (kind) {
    case "lease":
      return { kind, id: source.varint() };
    case "ttl":
      return { kind, ttlMs: source.varint() };
    case "none":
    case "keep":
      return { kind };
    default:
      return unreachable(kind);
  }
}

function decodeRange(source: ByteReader): KeyRange {
  const key = keyOf(source.sized());
  const kind = source.u8();
  if (kind === SINGLE) {
    if (!isKeySize(key.length)) throw new MalformedError(`a key of ${key.length} bytes`);
    return { key, end: "single" };
  }
  if (kind === FROM) return { key, end: null };
  if (kind !== UP_TO) throw new NewerError(`a range of kind ${kind}`);
  return { key, end: keyOf(source.sized()) };
}

function decodeSigned(source: ByteReader): number {
  const isNegative = source.u8();
  if (isNegative > 1) throw new MalformedError("a number with a strange sign");
  const absolute = source.varint();
  if (isNegative === 1 && absolute === 0) throw new MalformedError("a zero with a sign");
  return isNegative === 1 ? -absolute : absolute;
}

export function decodeKey(source: ByteReader): Key {
  const key = source.sized();
  if (!isKeySize(key.length)) throw new MalformedError(`a key of ${key.length} bytes`);
  return keyOf(key);
}

export function decodeValue(source: ByteReader): Uint8Array {
  const value = source.sized();
  if (value.length > VALUE_BYTES_MAX) throw new MalformedError("the value is too large");
  return value;
}

function oneOf<Name extends string>(names: readonly Name[], at: number): Name {
  const name = names[at];
  if (name === undefined) throw new NewerError(`a part of a command of kind ${at}`);
  return name;
}
