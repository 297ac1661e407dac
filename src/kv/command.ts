/**
 * What can be asked of the store through the log, and its bytes.
 *
 * ```
 * command    = format (u8, 1), op (u8), then by op:
 *   1 put      flags (u8), conditions, key (sized), value (sized)
 *   2 delete   flags (u8), conditions, key (sized)
 *   3 compact  revision (varint)
 * flags      = 1: return the previous version
 * conditions = count (u8), then each: kind (u8), and a number (varint) where the kind has one
 * ```
 *
 * Commands are kept in logs and read by nodes of other versions: a change of meaning needs another
 * op or format. Whatever a node does not know it refuses, and never skips (U4).
 */
import { assert, unreachable } from "../lib/assert.ts";
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import { isKeySize, type Key, keyOf, VALUE_BYTES_MAX } from "./key.ts";

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

export type Put = Change & { readonly type: "put"; readonly value: Uint8Array };
export type Delete = Change & { readonly type: "delete" };
/** Forgets what was before `revision`. */
export type Compact = { readonly type: "compact"; readonly revision: number };

export type Command = Put | Delete | Compact;

/** More conditions than there are kinds, but few enough to judge at once. */
export const CONDITIONS_MAX = 16;

const FORMAT = 1;
const RETURN_PREVIOUS = 1;
const OPS = ["put", "delete", "compact"] as const satisfies readonly Command["type"][];
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
  out.u8(FORMAT);
  out.u8(OPS.indexOf(command.type) + 1);
  switch (command.type) {
    case "put":
      encodeChange(out, command);
      assert(command.value.length <= VALUE_BYTES_MAX, "the value is too large");
      out.sized(command.value);
      break;
    case "delete":
      encodeChange(out, command);
      break;
    case "compact":
      out.varint(command.revision);
      break;
    default:
      unreachable(command);
  }
  return out.finish();
}

function encodeChange(out: ByteWriter, { key, conditions, returnPrevious }: Change): void {
  assert(isKeySize(key.length), () => `a key cannot have ${key.length} bytes`);
  assert(conditions.length <= CONDITIONS_MAX, "too many conditions");
  out.u8(returnPrevious ? RETURN_PREVIOUS : 0);
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
 * Reads a command; its value shares the memory of `bytes`. Throws MalformedError where anything is
 * unknown, out of bounds, missing or too much.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const source = new ByteReader(bytes);
  const format = source.u8();
  if (format !== FORMAT) throw new MalformedError(`unknown command format ${format}`);
  const command = decodeOp(source);
  source.end();
  return command;
}

function decodeOp(source: ByteReader): Command {
  const code = source.u8();
  const type = OPS[code - 1];
  switch (type) {
    case "put":
      return { type, ...decodeChange(source), value: decodeValue(source) };
    case "delete":
      return { type, ...decodeChange(source) };
    case "compact":
      return { type, revision: source.varint() };
    case undefined:
      throw new MalformedError(`unknown op ${code}`);
    default:
      unreachable(type);
  }
}

function decodeChange(source: ByteReader): Change {
  const flags = source.u8();
  if (flags > RETURN_PREVIOUS) throw new MalformedError(`unknown flags ${flags}`);
  const count = source.u8();
  if (count > CONDITIONS_MAX) throw new MalformedError("too many conditions");
  const conditions: Condition[] = [];
  for (let i = 0; i < count; i++) conditions.push(decodeCondition(source));
  const key = source.sized();
  if (!isKeySize(key.length)) throw new MalformedError(`a key of ${key.length} bytes`);
  return { key: keyOf(key), conditions, returnPrevious: flags === RETURN_PREVIOUS };
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
      throw new MalformedError(`unknown condition ${code}`);
    default:
      unreachable(type);
  }
}

function decodeValue(source: ByteReader): Uint8Array {
  const value = source.sized();
  if (value.length > VALUE_BYTES_MAX) throw new MalformedError("the value is too large");
  return value;
}
