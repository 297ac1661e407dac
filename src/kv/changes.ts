/** Changes of keys together with the leases that they hang on: the one way to write. */
import { bytesOf } from "../lib/bytes.ts";
import type { Key } from "./key.ts";
import type { Keyspace } from "./keyspace.ts";
import type { Leases } from "./leases.ts";
import type { KeyRange, LeaseChoice } from "./operation.ts";
import { type LiveVersion, toStored, type Version } from "./version.ts";

/** What is written, and in whose life. */
export interface Write {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly lease: LeaseChoice;
}

/** The state of a store, as far as keys are concerned. */
export interface Keys {
  readonly keyspace: Keyspace;
  readonly leases: Leases;
}

/** Whether a put with this choice may take place: a lease that is named must be there. */
export function mayHang({ leases }: Keys, lease: LeaseChoice): boolean {
  return lease.kind !== "lease" || leases.get(lease.id) !== null;
}

/** Writes at `revision`, the present one or the next; at `time`, of the cluster. */
export function putKey(
  keys: Keys,
  { key, value, lease }: Write,
  { revision, time }: { readonly revision: number; readonly time: number },
): Version {
  const { keyspace, leases } = keys;
  const before = keyspace.get(key)?.lease;
  const kept = lease.kind === "keep" ? before : undefined;
  if (before !== undefined && kept === undefined) leases.detach(before, key);
  const hangsOn = kept ?? newLease(leases, lease, time);
  if (hangsOn !== undefined && kept === undefined) leases.attach(hangsOn, key);
  return keyspace.put(key, toStored(value), { revision, lease: hangsOn });
}

function newLease(leases: Leases, lease: LeaseChoice, time: number): number | undefined {
  if (lease.kind === "lease") return lease.id;
  if (lease.kind !== "ttl") return undefined;
  return leases.grant({ id: 0, ttlMs: lease.ttlMs, isOwn: true }, time).id;
}

/** Deletes a key that is there; `expired`: because its lease is over. */
export function removeKey(
  { keyspace, leases }: Keys,
  live: LiveVersion,
  { revision, expired = false }: { readonly revision: number; readonly expired?: boolean },
): void {
  if (live.lease !== undefined) leases.detach(live.lease, live.key);
  keyspace.delete(live, { revision, expired });
}

/** Ends a lease, and all its keys with it, in their order. Returns how many there were. */
export function endLease(
  keys: Keys,
  id: number,
  about: { readonly revision: number; readonly expired: boolean },
): number {
  const { keyspace, leases } = keys;
  const { isOwn } = leases.of(id);
  const names = leases.keysOf(id);
  for (const key of names) {
    const live = keyspace.get(key);
    if (live !== null) removeKey(keys, live, about);
  }
  // One of a key's own has gone with it.
  if (!isOwn) leases.remove(id);
  return names.length;
}

/** The keys of a range as they are now, in order. */
export function liveIn(keyspace: Keyspace, { key, end }: KeyRange): LiveVersion[] {
  if (end === "single") {
    const live = keyspace.get(key);
    return live === null ? [] : [live];
  }
  return keyspace.liveBetween(key, end);
}

/** The value of a version. */
export function valueOf({ stored }: LiveVersion): Uint8Array {
  return typeof stored === "string" ? bytesOf(stored) : stored;
}
