/** Transactions: compares and operations, all or nothing, under one revision. */
import type { Caller, CallOptions } from "./caller.ts";
import { keyOf, textOf, wholeNumber } from "./checks.ts";
import { lifeOf, type LifeOptions } from "./single-keys.ts";
import {
  type Entry,
  entryOf,
  entryOrNull,
  type Metadata,
  metadataOf,
  type Value,
  type WireEntry,
  type WireMetadata,
  wireValue,
} from "./values.ts";

/** `=` unless it says otherwise. */
export type Relation = "=" | "!=" | "<" | ">";

/** What must hold of a key. One that is not there has version 0 and revisions 0. */
export type Compare = { readonly key: string; readonly op?: Relation } & (
  | { readonly version: number }
  | { readonly modRevision: number }
  | { readonly createRevision: number }
  | { readonly lease: number }
  | { readonly value: Value }
  | { readonly exists: boolean; readonly op?: "=" }
);

export interface PutOperation extends LifeOptions {
  readonly key: string;
  readonly value: Value;
  /** Whether to tell what the key was before. */
  readonly previous?: boolean;
}

/** One key, or those of a prefix. */
export type GetOperation = ({ readonly key: string } | { readonly prefix: string }) & {
  /** 1000 at most; 0, the default: all. */
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
};

export type Operation =
  | { readonly put: PutOperation }
  | { readonly get: GetOperation }
  | { readonly delete: { readonly key: string; readonly previous?: boolean } }
  | { readonly deletePrefix: { readonly prefix: string; readonly previous?: boolean } }
  | {
      readonly increment: {
        readonly key: string;
        readonly by?: number;
        readonly initial?: number;
      };
    };

export interface Txn {
  /** All must hold for `success` to be done, and else `failure` is. */
  readonly compare?: readonly Compare[];
  /** Both together at most 128. */
  readonly success?: readonly Operation[];
  readonly failure?: readonly Operation[];
}

/** What came of an operation; `deletePrefix` is told as `delete`. */
export type OperationResult =
  | { readonly put: Metadata & { readonly previous: Entry | null } }
  | { readonly get: { readonly items: Entry[]; readonly count: number; readonly more: boolean } }
  | { readonly delete: { readonly deleted: number; readonly previous: Entry[] } }
  | { readonly increment: Metadata & { readonly value: number } };

export interface TxnResult {
  /** Whether the compares held. */
  readonly succeeded: boolean;
  readonly revision: number;
  /** Of the operations that were done, in their order. */
  readonly results: OperationResult[];
}

type WireResult =
  | { readonly put: WireMetadata & { readonly prev?: WireEntry } }
  | {
      readonly get: {
        readonly items: readonly WireEntry[];
        readonly count: number;
        readonly more: boolean;
      };
    }
  | { readonly delete: { readonly deleted: number; readonly prev?: readonly WireEntry[] } }
  | { readonly increment: WireMetadata & { readonly value: number } };

interface WireTxnResult {
  readonly succeeded: boolean;
  readonly revision: number;
  readonly results: readonly WireResult[];
}

export async function runTxn(caller: Caller, txn: Txn, options: CallOptions): Promise<TxnResult> {
  const { compare = [], success = [], failure = [] } = txn;
  const body = JSON.stringify({
    compare: compare.map(wireCompare),
    success: success.map(wireOperation),
    failure: failure.map(wireOperation),
  });
  const headers = { "content-type": "application/json" };
  const call = { kind: "write", method: "POST", path: "/v1/txn", headers, body } as const;
  const { succeeded, revision, results } = await caller.ask<WireTxnResult>(call, options);
  return { succeeded, revision, results: results.map(resultOf) };
}

function wireCompare(compare: Compare) {
  const named = { key: keyOf("a key", compare.key), op: compare.op };
  if ("value" in compare) return { ...named, ...wireValue(compare.value) };
  if ("exists" in compare) return { ...named, exists: compare.exists };
  if ("version" in compare) return { ...named, version: wholeNumber("version", compare.version) };
  if ("lease" in compare) return { ...named, lease: wholeNumber("lease", compare.lease) };
  if ("modRevision" in compare) {
    return { ...named, mod_revision: wholeNumber("modRevision", compare.modRevision) };
  }
  return { ...named, create_revision: wholeNumber("createRevision", compare.createRevision) };
}

function wireOperation(operation: Operation) {
  if ("put" in operation) {
    const { key, value, previous: prev, ...life } = operation.put;
    return { put: { key: keyOf("a key", key), ...wireValue(value), ...lifeOf(life), prev } };
  }
  if ("get" in operation) return { get: wireGet(operation.get) };
  if ("delete" in operation) {
    const { key, previous: prev } = operation.delete;
    return { delete: { key: keyOf("a key", key), prev } };
  }
  if ("deletePrefix" in operation) {
    const { prefix, previous: prev } = operation.deletePrefix;
    return { delete_prefix: { prefix: textOf("prefix", prefix), prev } };
  }
  const { key, by, initial } = operation.increment;
  return { increment: { key: keyOf("a key", key), by, initial } };
}

function wireGet(get: GetOperation) {
  const { limit, keysOnly: keys_only, countOnly: count_only } = get;
  const how = { limit, keys_only, count_only };
  if ("key" in get) return { key: keyOf("a key", get.key), ...how };
  return { prefix: textOf("prefix", get.prefix), ...how };
}

function resultOf(result: WireResult): OperationResult {
  if ("put" in result) {
    const { prev } = result.put;
    return { put: { ...metadataOf(result.put), previous: entryOrNull(prev) } };
  }
  if ("get" in result) {
    const { items, count, more } = result.get;
    return { get: { items: items.map(entryOf), count, more } };
  }
  if ("delete" in result) {
    const { deleted, prev = [] } = result.delete;
    return { delete: { deleted, previous: prev.map(entryOf) } };
  }
  return { increment: { ...metadataOf(result.increment), value: result.increment.value } };
}
