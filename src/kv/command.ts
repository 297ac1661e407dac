/**
 * What can be asked of the store through the log, and its bytes.
 *
 * ```
 * command    = format (u8, 1), op (u8), then by op:
 *   1 put      flags (u8), [lease,] conditions, key (sized), value (sized)
 *   2 delete   flags (u8), conditions, key (sized)
 *   3 compact  revision (varint)
 *   4 txn      txn
 *   5 grant    id (varint; 0: the next free one), ttlMs (varint)
 *   6 renew    count (varint), ids (varints)
 *   7 revoke   id (varint)
 *   8 expire   count (varint), ids (varints)
 *   9 clock    nothing: cluster time goes on
 *  10 once     idempotency key (sized), then another command, its format and op included: none of
 *              renew, expire and once
 * flags      = 1: return the previous version; 2: a lease follows (put)
 * txn, lease = as operation.ts says
 * conditions = count (u8), then each: kind (u8), and a number (varint) where the kind has one
 * ```
 *
 * Commands are kept in logs and read by nodes of other versions: a change of meaning needs another
 * op or format. Whatever a node does not know it refuses, and never skips (U4).
 */
import { assert, unreachable } from "../lib/assert.ts";
import { ByteReader, ByteWriter, MalformedError, NewerError } from "../lib/bytes.ts";
import { isKeySize, type Key, VALUE_BYTES_MAX } from "./key.ts";
import {
  decodeKey,
  decodeLease,
  decodeTxn,
  decodeValue,
  encodeLease,
  encodeTxn,
  type LeaseChoice,
  NO_LEASE,
  type Txn,
} from "./operation.ts";
import { malformation } from "./txn.ts";

/**
 * What must hold when a command is applied. A missing key has version 0 and modRevision 0, so
 * version 0 means "create only".
 */
export type Condition =
  | { readonly type: "version"; readonly version: number }
  | { readonly type: "modRevision"; readonly modRevision: number }
  | { readonly type: "otherModRevision"; readonly modRevision: number }
  | { readonly type: "exists" }
  | { readonly type: "absent" };

/** A change of one key, made only if all the conditions hold. */
interface Change {
  readonly key: Key;
  /** In the order in which they are judged: the first that fails decides. */
  readonly conditions: readonly Condition[];
  /** Whether the result shall carry what the key was before. */
  readonly returnPrevious: boolean;
}

export type Put = Change & {
  readonly type: "put";
  readonly value: Uint8Array;
  /** Left out: none. */
  readonly lease?: LeaseChoice;
};
export type Delete = Change & { readonly type: "delete" };
/** Forgets what was before `revision`. */
export type Compact = { readonly type: "compact"; readonly revision: number };

/** Makes a lease. `id` 0: the next free one. */
export type Grant = { readonly type: "grant"; readonly id: number; readonly ttlMs: number };
/** `renew`: their deadlines begin anew. `expire`: those whose deadline has come are ended. */
export type OfLeases = { readonly type: "renew" | "expire"; readonly ids: readonly number[] };
/** Ends a lease, and deletes its keys. */
export type Revoke = { readonly type: "revoke"; readonly id: number };
/** Only says what time it is. */
export type Tick = { readonly type: "clock" };

/** Commands that stand for themselves. */
export type PlainCommand =
  | Put
  | Delete
  | Compact
  | (Txn & { readonly type: "txn" })
  | Grant
  | OfLeases
  | Revoke
  | Tick;
/** Carried out once, however often it comes under this key. */
export type Once = {
  readonly type: "once";
  /** 1 to IDEMPOTENCY_KEY_MAX characters of ASCII. */
  readonly key: string;
  /** Neither `renew` nor `expire`. */
  readonly command: PlainCommand;
};

export type Command = PlainCommand | Once;

/** An idempotency key is no longer than that. */
export const IDEMPOTENCY_KEY_MAX = 128;
/** Leases in one command. */
export const LEASES_MAX = 10_000;

/** More conditions than there are kinds, but few enough to judge at once. */
export const CONDITIONS_MAX = 16;

const FORMAT = 1;
const RETURN_PREVIOUS = 1;
const HAS_LEASE = 2;
const OPS = [
  "put",
  "delete",
  "compact",
  "txn",
  "grant",
  "renew",
  "revoke",
  "expire",
  "clock",
  "once",
] as const satisfies readonly Command["type"][];
const CONDITIONS = [
  "version",
  "modRevision",
  "otherModRevision",
  "exists",
  "absent",
] as const satisfies readonly Condition["type"][];

/** The bytes of a command, whose key, value and conditions must be within their limits. */
export function encodeCommand(command: Command): Uint8Array {
  const out = new ByteWriter();
  encodeInto(out, command);
  return out.finish();
}

function encodeInto(out: ByteWriter, command: Command): void {
  out.u8(FORMAT);
  out.u8(OPS.indexOf(command.type) + 1);
  switch (command.type) {
    case "put":
      encodeChange(out, command, command.lease ?? NO_LEASE);
      assert(command.value.length <= VALUE_BYTES_MAX, "the value is too large");
      return out.sized(command.value);
    case "delete":
      return encodeChange(out, command, NO_LEASE);
    case "compact":
      return out.varint(command.revision);
    case "txn":
      assert(malformation(command) === null, "a transaction that no node would read");
      return encodeTxn(out, command);
    case "grant":
      out.varint(command.id);
      return out.varint(command.ttlMs);
    case "renew":
    case "expire":
      assert(command.ids.length <= LEASES_MAX, "too many leases in one command");
      out.varint(command.ids.length);
      for (const id of command.ids) out.varint(id);
      return;
    case "revoke":
      return out.varint(command.id);
    case "clock":
      return;
    case "once":
      assert(isIdempotencyKey(command.key), "an impossible idempotency key");
      assert(mayBeOnce(command.command.type), "a command that cannot have an idempotency key");
      out.sizedString(command.key);
      return encodeInto(out, command.command);
    default:
      unreachable(command);
  }
}

function encodeChange(
  out: ByteWriter,
  { key, conditions, returnPrevious }: Change,
  lease: LeaseChoice,
): void {
  assert(isKeySize(key.length), () => `a key cannot have ${key.length} bytes`);
  assert(conditions.length <= CONDITIONS_MAX, "too many conditions");
  const hasLease = lease.kind !== "none";
  out.u8((returnPrevious ? RETURN_PREVIOUS : 0) | (hasLease ? HAS_LEASE : 0));
  if (hasLease) encodeLease(out, lease);
  out.u8(conditions.length);
  for (const condition of conditions) encodeCondition(out, condition);
  out.sizedString(key);
}

function encodeCondition(out: ByteWriter, condition: Condition): void {
  out.u8(CONDITIONS.indexOf(condition.type) + 1);
  switch (condition.type) {
    case "version":
      return out.varint(condition.version);
    case "modRevision":
    case "otherModRevision":
      return out.varint(condition.modRevision);
    case "exists":
    case "absent":
      return;
    default:
      unreachable(condition);
  }
}

/**
 * Reads a command; its values share the memory of `bytes`. Throws NewerError where anything is
 * unknown, and MalformedError where it is out of bounds, missing or too much.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const source = new ByteReader(bytes);
  const type = decodeOp(source);
  const command = type === "once" ? { type, ...decodeOnce(source) } : decodePlain(type, source);
  source.end();
  return command;
}

function decodeOp(source: ByteReader): Command["type"] {
  const format = source.u8();
  if (format > FORMAT) throw new NewerError(`a command of format ${format}`);
  if (format !== FORMAT) throw new MalformedError(`unknown command format ${format}`);
  const code = source.u8();
  const type = OPS[code - 1];
  if (code > OPS.length) throw new NewerError(`a command of op ${code}`);
  if (type === undefined) throw new MalformedError(`unknown op ${code}`);
  return type;
}

function decodePlain(type: PlainCommand["type"], source: ByteReader): PlainCommand {
  switch (type) {
    case "put":
      return { type, ...decodeChange(source, HAS_LEASE), value: decodeValue(source) };
    case "delete":
      return { type, ...decodeChange(source, 0) };
    case "compact":
      return { type, revision: source.varint() };
    case "txn":
      return { type, ...decodeWholeTxn(source) };
    case "grant":
      return { type, id: source.varint(), ttlMs: source.varint() };
    case "renew":
    case "expire":
      return { type, ids: decodeIds(source) };
    case "revoke":
      return { type, id: source.varint() };
    case "clock":
      return { type };
    default:
      return unreachable(type);
  }
}

function decodeWholeTxn(source: ByteReader): Txn {
  const txn = decodeTxn(source);
  const problem = malformation(txn);
  if (problem !== null) throw new MalformedError(problem);
  return txn;
}

function decodeIds(source: ByteReader): number[] {
  const count = source.varint();
  if (count > LEASES_MAX) throw new MalformedError(`${count} leases in one command`);
  return Array.from({ length: count }, () => source.varint());
}

function decodeOnce(source: ByteReader): Omit<Once, "type"> {
  const key = source.sizedString();
  if (!isIdempotencyKey(key)) throw new MalformedError("an impossible idempotency key");
  const type = decodeOp(source);
  // Before it is read: one in another without end would be too deep for the stack.
  if (!mayBeOnce(type)) throw new MalformedError(`once of ${type}`);
  return { key, command: decodePlain(type, source) };
}

/** What is about a list of leases has no short outcome to remember, and is no client's command. */
function mayBeOnce(type: Command["type"]): type is Exclude<Command["type"], "once"> {
  return type !== "once" && type !== "renew" && type !== "expire";
}

/** Whether it can be one: 1 to 128 visible characters of ASCII. */
export function isIdempotencyKey(text: string): boolean {
  return text.length <= IDEMPOTENCY_KEY_MAX && /^[!-~]+$/.test(text);
}

function decodeChange(source: ByteReader, more: number): Change & { lease?: LeaseChoice } {
  const flags = source.u8();
  if ((flags & ~(RETURN_PREVIOUS | more)) !== 0)
    throw new NewerError(`a command of flags ${flags}`);
  const lease = (flags & HAS_LEASE) === 0 ? {} : { lease: decodeLease(source) };
  if (lease.lease?.kind === "none") throw new MalformedError("a lease that is none");
  const count = source.u8();
  if (count > CONDITIONS_MAX) throw new MalformedError("too many conditions");
  const conditions: Condition[] = [];
  for (let i = 0; i < count; i++) conditions.push(decodeCondition(source));
  const returnPrevious = (flags & RETURN_PREVIOUS) !== 0;
  return { key: decodeKey(source), conditions, returnPrevious, ...lease };
}

function decodeCondition(source: ByteReader): Condition {
  const code = source.u8();
  const type = CONDITIONS[code - 1];
  switch (type) {
    case "version":
      return { type, version: source.varint() };
    case "modRevision":
    case "otherModRevision":
      return { type, modRevision: source.varint() };
    case "exists":
    case "absent":
      return { type };
    case undefined:
      if (code > 0) throw new NewerError(`a condition of kind ${code}`);
      throw new MalformedError("a condition of no kind");
    default:
      unreachable(type);
  }
}
