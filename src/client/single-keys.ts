/** What can be done with one key. */
import { secondsOf, textOf, wholeNumber } from "./checks.ts";
import type { Caller, CallOptions } from "./caller.ts";
import { QuorateError } from "./error.ts";
import {
  bytesOf,
  type Entry,
  entryOf,
  entryOrNull,
  type Metadata,
  metadataOf,
  pathOf,
  queryOf,
  type Value,
  type WireEntry,
  type WireMetadata,
} from "./values.ts";

/** How a read is answered. */
export interface ReadOptions extends CallOptions {
  /**
   * `linearizable`, the default: sees all that was acknowledged before. `lease`: the same, as far
   * as clocks keep to the bound that the leader was given (`--lease-drift`), and without asking a
   * majority. `stale`: what the node knows, without asking others, even where no majority is left.
   */
  readonly consistency?: "linearizable" | "lease" | "stale" | undefined;
  /** With `stale`: refused (TOO_STALE) where the node has not heard of a leader for longer. */
  readonly maxStaleMs?: number | undefined;
  /** Waits until the node has reached this revision. */
  readonly minRevision?: number | undefined;
  /** As it was at this revision. Rejects with REVISION_COMPACTED when that is forgotten. */
  readonly revision?: number | undefined;
}

/** Under which conditions a write is applied; all must hold. */
export interface WriteConditions {
  /** The key must be at this version; 0: it must not be there. Else VERSION_MISMATCH. */
  readonly ifVersion?: number | undefined;
  /** The key must have this mod revision. Else PRECONDITION_FAILED. */
  readonly ifRevision?: number | undefined;
}

/** How long a key lives: for ever, unless one of these is given. */
export interface LifeOptions {
  /** So long, in milliseconds, from 100. */
  readonly ttlMs?: number | undefined;
  /** As long as it would have without this write. */
  readonly keepTtl?: boolean | undefined;
  /** As long as this lease. */
  readonly lease?: number | undefined;
}

export interface PutOptions extends CallOptions, WriteConditions, LifeOptions {
  /** Whether to tell what the key was before. */
  readonly previous?: boolean | undefined;
}

export interface PutResult extends Metadata {
  /** False: it was there before. */
  readonly created: boolean;
  /** Of this write. */
  readonly revision: number;
  /** Where it was asked for; null: the key was not there. */
  readonly previous?: Entry | null;
}

export interface DeleteOptions extends CallOptions, WriteConditions {}

export interface DeleteResult {
  /** How many keys there were. */
  readonly deleted: number;
  /** Of this write or, where nothing was deleted, of the store. */
  readonly revision: number;
}

export interface IncrementOptions extends CallOptions {
  /** What a key that is not there counts from; 0 by default. */
  readonly initial?: number | undefined;
}

export interface IncrementResult {
  readonly value: number;
  readonly version: number;
  readonly revision: number;
}

/** What all reads have in common, as parameters. */
export function readQuery(options: ReadOptions) {
  const { consistency, maxStaleMs } = options;
  secondsOf("maxStaleMs", maxStaleMs);
  return {
    consistency,
    max_stale: maxStaleMs === undefined ? undefined : `${Math.ceil(maxStaleMs)}ms`,
    min_revision: wholeNumber("minRevision", options.minRevision),
    revision: wholeNumber("revision", options.revision),
  };
}

export async function getKey(
  caller: Caller,
  key: string,
  options: ReadOptions,
): Promise<Entry | null> {
  const path = `${pathOf("kv", key)}${queryOf(readQuery(options))}`;
  try {
    return entryOf(await caller.ask<WireEntry>({ kind: "read", method: "GET", path }, options));
  } catch (error) {
    if (error instanceof QuorateError && error.code === "KEY_NOT_FOUND") return null;
    throw error;
  }
}

export async function putKey(
  caller: Caller,
  { key, value }: { readonly key: string; readonly value: Value },
  options: PutOptions,
): Promise<PutResult> {
  const { version, headers } = conditionsOf(options);
  const query = queryOf({ version, ...lifeOf(options), prev: options.previous });
  const call = {
    kind: "write",
    method: "PUT",
    path: `${pathOf("kv", key)}${query}`,
    headers: { ...headers, "content-type": "application/octet-stream" },
    body: bytesOf(value),
  } as const;
  const body = await caller.ask<WireMetadata & { readonly prev?: WireEntry | null }>(call, options);
  const metadata = metadataOf(body);
  return {
    // Whatever is deleted begins anew.
    created: metadata.version === 1,
    ...metadata,
    revision: metadata.modRevision,
    ...(options.previous === true &&
      body.prev !== undefined && { previous: entryOrNull(body.prev) }),
  };
}

export async function deleteKey(
  caller: Caller,
  key: string,
  options: DeleteOptions,
): Promise<DeleteResult> {
  const { version, headers } = conditionsOf(options);
  const path = `${pathOf("kv", key)}${queryOf({ version })}`;
  const call = { kind: "write", method: "DELETE", path, headers } as const;
  const { deleted, revision } = await caller.ask<DeleteResult>(call, options);
  return { deleted, revision };
}

/** Deletes all keys that begin with `prefix`; null: all there are. */
export async function deleteMany(
  caller: Caller,
  prefix: string | null,
  options: CallOptions,
): Promise<DeleteResult> {
  if (prefix === "") throw new TypeError("an empty prefix is that of all keys: use deleteAll");
  const range = prefix === null ? { all: true } : { prefix: textOf("prefix", prefix) };
  const path = `/v1/kv${queryOf(range)}`;
  const call = { kind: "write", method: "DELETE", path } as const;
  const { deleted, revision } = await caller.ask<DeleteResult>(call, options);
  return { deleted, revision };
}

export async function incrementKey(
  caller: Caller,
  key: string,
  { by, initial, ...options }: IncrementOptions & { readonly by: number },
): Promise<IncrementResult> {
  const least = Number.MIN_SAFE_INTEGER;
  wholeNumber("by", by, least);
  wholeNumber("initial", initial, least);
  const path = `${pathOf("kv", key)}/increment`;
  const body = JSON.stringify({ by, initial });
  const headers = { "content-type": "application/json" };
  const call = { kind: "write", method: "POST", path, headers, body } as const;
  const answer = await caller.ask<WireMetadata & { readonly value: number }>(call, options);
  const { value, version, mod_revision: revision } = answer;
  return { value, version, revision };
}

/** How long a key lives, as the servers say it. Throws TypeError where that is said twice. */
export function lifeOf({ ttlMs, keepTtl, lease }: LifeOptions) {
  const given = [ttlMs !== undefined, keepTtl === true, lease !== undefined].filter(Boolean);
  if (given.length > 1) throw new TypeError("give one of ttlMs, keepTtl and lease");
  const ttl = keepTtl === true ? "keep" : secondsOf("ttlMs", ttlMs);
  return { ttl, lease: wholeNumber("lease", lease, 1) };
}

function conditionsOf({ ifVersion, ifRevision }: WriteConditions) {
  const version = wholeNumber("ifVersion", ifVersion);
  const revision = wholeNumber("ifRevision", ifRevision, 1);
  const headers: Record<string, string> = {};
  if (revision !== undefined) headers["if-match"] = `"${revision}"`;
  return { version, headers };
}
