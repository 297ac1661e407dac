/**
 * What commands come to, and its bytes: kept for those who ask again, and a part of the digest.
 *
 * ```
 * result   = code (u8; 0: ok), revision (varint), current; if ok: previous, deleted (varint), more
 * current  = 0 (u8), or 1 and metadata
 * metadata = version, createRevision, modRevision, lease (0: none) (varints)
 * previous = 0 (u8), or 1 and keyValue;  keyValue = key (sized), metadata, value (sized)
 * more     = 0 (u8); 1, txn; 2, leases: count (varint), each 0 (u8), or 1 and
 *            id, ttlMs, deadline (varints), own (u8)
 * txn      = succeeded (u8), count (varint), then each by type (u8): 0 put: metadata, previous;
 *            1 delete: deleted, count (varints), keyValues; 2 get: count (varint), more (u8),
 *            count (varint), keyValues; 3 increment: negative (u8), absolute (varint), metadata;
 *            4 txn
 * ```
 */
import { unreachable } from "../lib/assert.ts";
import { type ByteReader, type ByteWriter, MalformedError } from "../lib/bytes.ts";
import { keyOf } from "./key.ts";
import type { Lease } from "./leases.ts";
import { DEPTH_MAX } from "./operation.ts";
import type { OperationResult, TxnResult } from "./txn.ts";
import type { KeyValue, Metadata } from "./version.ts";

/** The order is a part of the digest. */
export const REFUSALS = [
  "VERSION_MISMATCH",
  "KEY_NOT_FOUND",
  "PRECONDITION_FAILED",
  "REVISION_COMPACTED",
  "REVISION_IN_FUTURE",
  "LEASE_NOT_FOUND",
  "LEASE_EXISTS",
  "NOT_A_NUMBER",
  "IDEMPOTENCY_CONFLICT",
  "TXN_TOO_LARGE",
  "TOO_MANY_REPLIES",
] as const;

/** Why a command changed nothing. */
export type KvRefusal = (typeof REFUSALS)[number];

/** A command that was carried out. */
export interface Done {
  readonly ok: true;
  /** Of the store, afterwards. */
  readonly revision: number;
  /** What the key is now; null: it is not there, or the command was not about one key. */
  readonly current: Metadata | null;
  /** What the key was before, if the command asked for that and it was there. */
  readonly previous: KeyValue | null;
  /** How many keys were deleted. */
  readonly deleted: number;
  /** Of a transaction. */
  readonly txn?: TxnResult;
  /** Of commands about leases: each as it is now; null: it is not there. */
  readonly leases?: readonly (Lease | null)[];
  /** It was carried out before, under the same idempotency key, and this is what came of it. */
  readonly replayed?: true;
}

/** A command that was not. */
export interface Refused {
  readonly ok: false;
  readonly code: KvRefusal;
  readonly revision: number;
  /** What the key is, so that nobody has to ask again. */
  readonly current: Metadata | null;
  readonly replayed?: true;
}

/** What became of a command. */
export type KvResult = Done | Refused;

const TYPES = ["put", "delete", "get", "increment", "txn"] as const;

export function encodeResult(out: ByteWriter, result: KvResult): void {
  out.u8(result.ok ? 0 : REFUSALS.indexOf(result.code) + 1);
  out.varint(result.revision);
  encodeMaybe(out, result.current, encodeMetadata);
  if (!result.ok) return;
  encodeMaybe(out, result.previous, encodeKeyValue);
  out.varint(result.deleted);
  const { txn, leases } = result;
  if (txn !== undefined) {
    out.u8(1);
    encodeTxnResult(out, txn);
  } else if (leases !== undefined) {
    out.u8(2);
    encodeList(out, leases, (to, lease) => encodeMaybe(to, lease, encodeLeaseState));
  } else {
    out.u8(0);
  }
}

export function encodeLeaseState(out: ByteWriter, { id, ttlMs, deadline, isOwn }: Lease): void {
  for (const number of [id, ttlMs, deadline]) out.varint(number);
  out.u8(isOwn ? 1 : 0);
}

function encodeMetadata(out: ByteWriter, metadata: Metadata): void {
  const { version, createRevision, modRevision, lease = 0 } = metadata;
  for (const number of [version, createRevision, modRevision, lease]) out.varint(number);
}

function encodeKeyValue(out: ByteWriter, found: KeyValue): void {
  out.sizedString(found.key);
  encodeMetadata(out, found);
  out.sized(found.value);
}

function encodeTxnResult(out: ByteWriter, { succeeded, results }: TxnResult): void {
  out.u8(succeeded ? 1 : 0);
  encodeList(out, results, encodeOperationResult);
}

function encodeOperationResult(out: ByteWriter, result: OperationResult): void {
  out.u8(TYPES.indexOf(result.type));
  switch (result.type) {
    case "put":
      encodeMetadata(out, result.current);
      return encodeMaybe(out, result.previous, encodeKeyValue);
    case "delete":
      out.varint(result.deleted);
      return encodeList(out, result.previous, encodeKeyValue);
    case "get":
      out.varint(result.count);
      out.u8(result.more ? 1 : 0);
      return encodeList(out, result.items, encodeKeyValue);
    case "increment":
      out.u8(result.value < 0 ? 1 : 0);
      out.varint(Math.abs(result.value));
      return encodeMetadata(out, result.current);
    case "txn":
      return encodeTxnResult(out, result);
    default:
      unreachable(result);
  }
}

type Encode<Item> = (out: ByteWriter, item: Item) => void;

function encodeMaybe<Item>(out: ByteWriter, item: Item | null, encode: Encode<Item>): void {
  out.u8(item === null ? 0 : 1);
  if (item !== null) encode(out, item);
}

function encodeList<Item>(out: ByteWriter, items: readonly Item[], encode: Encode<Item>): void {
  out.varint(items.length);
  for (const item of items) encode(out, item);
}

/** Reads a result. Throws MalformedError where it is none. */
export function decodeResult(source: ByteReader): KvResult {
  const code = source.u8();
  const revision = source.varint();
  const current = decodeMaybe(source, decodeMetadata);
  if (code > 0) {
    const refusal = REFUSALS[code - 1];
    if (refusal === undefined) throw new MalformedError(`unknown refusal ${code}`);
    return { ok: false, code: refusal, revision, current };
  }
  const previous = decodeMaybe(source, decodeKeyValue);
  const done = { ok: true, revision, current, previous, deleted: source.varint() } as const;
  switch (source.u8()) {
    case 0:
      return done;
    case 1:
      return { ...done, txn: decodeTxnResult(source) };
    case 2:
      return { ...done, leases: decodeList(source, () => decodeMaybe(source, decodeLeaseState)) };
    default:
      throw new MalformedError("a result of an unknown kind");
  }
}

export function decodeLeaseState(source: ByteReader): Lease {
  const [id, ttlMs, deadline] = [source.varint(), source.varint(), source.varint()];
  return { id, ttlMs, deadline, isOwn: decodeFlag(source) };
}

function decodeMetadata(source: ByteReader): Metadata {
  const [version, createRevision, modRevision] = [
    source.varint(),
    source.varint(),
    source.varint(),
  ];
  const lease = source.varint();
  return { version, createRevision, modRevision, ...(lease > 0 && { lease }) };
}

/** A copy: results outlive what they were read from. */
function decodeKeyValue(source: ByteReader): KeyValue {
  const key = keyOf(source.sized());
  const metadata = decodeMetadata(source);
  return { key, value: source.sized().slice(), ...metadata };
}

function decodeTxnResult(source: ByteReader, depth = 0): TxnResult {
  if (depth > DEPTH_MAX) throw new MalformedError("too many transactions in each other");
  const succeeded = decodeFlag(source);
  return { succeeded, results: decodeList(source, () => decodeOperationResult(source, depth)) };
}

function decodeOperationResult(source: ByteReader, depth: number): OperationResult {
  const type = TYPES[source.u8()];
  switch (type) {
    case "put":
      return {
        type,
        current: decodeMetadata(source),
        previous: decodeMaybe(source, decodeKeyValue),
      };
    case "delete": {
      const deleted = source.varint();
      return { type, deleted, previous: decodeList(source, () => decodeKeyValue(source)) };
    }
    case "get": {
      const count = source.varint();
      const more = decodeFlag(source);
      return { type, count, more, items: decodeList(source, () => decodeKeyValue(source)) };
    }
    case "increment": {
      const isNegative = decodeFlag(source);
      const absolute = source.varint();
      const value = isNegative ? -absolute : absolute;
      return { type, value, current: decodeMetadata(source) };
    }
    case "txn":
      return { type, ...decodeTxnResult(source, depth + 1) };
    case undefined:
      throw new MalformedError("a result of an unknown operation");
    default:
      return unreachable(type);
  }
}

function decodeFlag(source: ByteReader): boolean {
  const flag = source.u8();
  if (flag > 1) throw new MalformedError(`neither yes nor no: ${flag}`);
  return flag === 1;
}

function decodeMaybe<Item>(source: ByteReader, decode: (source: ByteReader) => Item): Item | null {
  return decodeFlag(source) ? decode(source) : null;
}

function decodeList<Item>(source: ByteReader, decode: () => Item): Item[] {
  const count = source.varint();
  if (count > source.remaining) throw new MalformedError("a list that is longer than its bytes");
  return Array.from({ length: count }, decode);
}
