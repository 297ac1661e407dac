/** One request of a client to the service of a node, and what its answer says. */
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import type { PlainCommand } from "../../src/kv/command.ts";
import { keyOf, prefixEnd } from "../../src/kv/key.ts";
import { type Compare, NO_LEASE, type Operation, type Txn } from "../../src/kv/operation.ts";
import type { KvResult } from "../../src/kv/store.ts";
import { isReadOnly, type OperationResult } from "../../src/kv/txn.ts";
import type { KeyValue } from "../../src/kv/version.ts";
import { ServiceError } from "../../src/service/errors.ts";
import type { KvService } from "../../src/service/kv-service.ts";
import type { ReadOptions } from "../../src/service/reading.ts";
import type {
  AnyOperation,
  Item,
  Operation as KeyOperation,
  RangeOperation,
  StepOut,
  TxnOperation,
  TxnStep,
} from "../checker/history.ts";
import { ttlOf, type Wish } from "./wishes.ts";

/** How a request ended, as the history tells of it. */
export interface Ending {
  readonly outcome: AnyOperation["outcome"];
  readonly out?: AnyOperation["out"];
  /** Of what failed. */
  readonly code?: string;
}

interface RequestOptions {
  readonly timeoutMs: number;
  readonly idempotencyKey: string | null;
  /** Of reads. */
  readonly consistency: "linearizable" | "lease";
}

const BYTES_MAX = 1_000_000;

/** Resolves however it ends. */
export async function request(
  service: KvService,
  wish: Wish,
  options: RequestOptions,
): Promise<Ending> {
  try {
    return await ask(service, wish, options);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const outcome = error.outcome === "unknown" ? "unknown" : "failed";
    return { outcome, code: error.code };
  }
}

function ask(service: KvService, wish: Wish, options: RequestOptions): Promise<Ending> {
  const { consistency, timeoutMs } = options;
  const reading = { consistency, timeoutMs, maxStaleMs: null, minRevision: null };
  switch (wish.op) {
    case "get":
      return get(service, wish.key, reading);
    case "range":
      return range(service, wish.in, reading);
    case "txn":
      return txn(service, wish.in, options);
    case "put":
    case "delete":
    case "increment":
      return write(service, wish, options);
  }
}

async function get(service: KvService, key: string, options: ReadOptions): Promise<Ending> {
  const { found, storeRevision } = await service.get(keyNamed(key), options);
  return { outcome: "ok", out: { ...toldOf(found), storeRevision } };
}

async function range(
  service: KvService,
  { prefix, keys, limit, at }: RangeOperation["in"],
  options: ReadOptions,
): Promise<Ending> {
  const revision = at ?? null;
  if (prefix === undefined) {
    const named = (keys ?? []).map(keyNamed);
    const many = { keys: named, revision, bytesMax: BYTES_MAX };
    const { found, storeRevision } = await service.getMany(many, options);
    const items = found.flatMap((each) => (each === null ? [] : [itemOf(each)]));
    return { outcome: "ok", out: { items, storeRevision } };
  }
  const start = keyNamed(prefix);
  const span = { start, end: prefixEnd(start), isReverse: false, since: 0, grouping: null };
  if (limit === 0) {
    const { found, storeRevision } = await service.count({ range: span, revision }, options);
    return { outcome: "ok", out: { items: [], count: found, storeRevision } };
  }
  const limits = { entries: limit ?? 1_000, bytes: BYTES_MAX, isKeysOnly: false };
  const listing = await service.list({ range: span, revision, limits }, options);
  const { found, storeRevision } = listing;
  const items = found.items.map((item) => itemOf({ ...item, value: item.value ?? bytesOf("") }));
  const count = found.next === null ? { count: items.length } : {};
  return { outcome: "ok", out: { items, ...count, storeRevision } };
}

async function write(
  service: KvService,
  wish: Pick<KeyOperation, "key" | "op" | "in">,
  { timeoutMs, idempotencyKey }: RequestOptions,
): Promise<Ending> {
  const result = await service.write(commandOf(wish), timeoutMs, idempotencyKey);
  const { current, revision } = result;
  const version = current?.version ?? 0;
  if (!result.ok) {
    if (wish.in.ifVersion === undefined) return { outcome: "failed", code: result.code };
    const of = current === null ? {} : { revision: current.modRevision };
    return { outcome: "refused", out: { version, ...of, storeRevision: revision } };
  }
  const [counted] = result.txn?.results ?? [];
  if (counted?.type === "increment") {
    const value = String(counted.value);
    const told = { version: counted.current.version, revision, storeRevision: revision, value };
    return { outcome: "ok", out: told };
  }
  const deleted = wish.op === "delete" ? { deleted: result.deleted } : {};
  return { outcome: "ok", out: { version, revision, storeRevision: revision, ...deleted } };
}

function commandOf({ op, key, in: input }: Pick<KeyOperation, "key" | "op" | "in">): PlainCommand {
  const { value = "", ifVersion, lease, by = 0 } = input;
  if (op === "increment") {
    const success = [operationOf({ op, key, by })];
    return { type: "txn", compares: [], success, failure: [] };
  }
  const change = {
    key: keyNamed(key),
    conditions: ifVersion === undefined ? [] : [{ type: "version", version: ifVersion } as const],
    returnPrevious: false,
  };
  if (op !== "put") return { type: "delete", ...change };
  const life =
    lease === undefined ? {} : ({ lease: { kind: "ttl", ttlMs: ttlOf(lease) } } as const);
  return { type: "put", ...change, value: bytesOf(value), ...life };
}

async function txn(
  service: KvService,
  wanted: TxnOperation["in"],
  { timeoutMs, idempotencyKey }: RequestOptions,
): Promise<Ending> {
  const whole: Txn = {
    compares: wanted.compare.map(compareOf),
    success: wanted.success.map(operationOf),
    failure: wanted.failure.map(operationOf),
  };
  const result: KvResult = isReadOnly(whole)
    ? await service.readTxn(whole, timeoutMs)
    : await service.write({ type: "txn", ...whole }, timeoutMs, idempotencyKey);
  if (!result.ok || result.txn === undefined) {
    return { outcome: "failed", code: result.ok ? "no transaction" : result.code };
  }
  const { succeeded, results } = result.txn;
  const out = { succeeded, revision: result.revision, results: results.map(stepOut) };
  return { outcome: "ok", out };
}

function compareOf({ key, target, relation, to }: TxnOperation["in"]["compare"][number]): Compare {
  const of = { key: keyNamed(key), end: "single", relation } as const;
  if (target === "value") return { ...of, target, value: bytesOf(String(to)) };
  return { ...of, target, number: Number(to) };
}

function operationOf(step: TxnStep): Operation {
  switch (step.op) {
    case "get": {
      const all = { limit: 0, keysOnly: false, countOnly: false };
      return { type: "get", key: keyNamed(step.key), end: "single", ...all };
    }
    case "put": {
      const key = keyNamed(step.key);
      const value = bytesOf(step.value);
      return { type: "put", key, value, lease: NO_LEASE, returnPrevious: false };
    }
    case "increment":
      return { type: "increment", key: keyNamed(step.key), by: step.by, initial: 0 };
    case "delete":
      return { type: "delete", key: keyNamed(step.key), end: "single", returnPrevious: false };
    case "deletePrefix": {
      const key = keyNamed(step.prefix);
      return { type: "delete", key, end: prefixEnd(key), returnPrevious: false };
    }
  }
}

function stepOut(result: OperationResult): StepOut {
  switch (result.type) {
    case "put":
      return { version: result.current.version, revision: result.current.modRevision };
    case "increment": {
      const { version, modRevision: revision } = result.current;
      return { version, revision, value: String(result.value) };
    }
    case "delete":
      return { deleted: result.deleted };
    case "get":
      // A replay does not repeat what was read.
      return result.more ? {} : toldOf(result.items[0] ?? null);
    case "txn":
      throw new Error("no transaction was in another");
  }
}

function toldOf(found: KeyValue | null) {
  if (found === null) return { version: 0, value: null };
  const { version, modRevision: revision } = found;
  return { version, revision, value: byteString(found.value) };
}

function itemOf({ key, version, modRevision, value }: KeyValue): Item {
  return { key, version, revision: modRevision, value: byteString(value) };
}

function keyNamed(name: string) {
  return keyOf(bytesOf(name));
}
