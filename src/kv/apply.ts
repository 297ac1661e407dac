/** What each command does to the state. Deterministic, and complete: it never throws. */
import { unreachable } from "../lib/assert.ts";
import { crc32c } from "../lib/crc32c.ts";
import { endLease, type Keys, mayHang, putKey, removeKey } from "./changes.ts";
import {
  type Command,
  type Compact,
  type Condition,
  type Delete,
  encodeCommand,
  type Grant,
  type OfLeases,
  type Once,
  type PlainCommand,
  type Put,
  type Revoke,
} from "./command.ts";
import { NO_LEASE, type Txn } from "./operation.ts";
import type { Remembered } from "./remembered.ts";
import type { Done, KvRefusal, KvResult } from "./result.ts";
import { runTxn } from "./txn.ts";
import { keyValueOf, type LiveVersion, metadataOf } from "./version.ts";

/** All that commands change. */
export interface State extends Keys {
  readonly remembered: Remembered;
}

/** Carries the command out at this cluster time. */
export function applyCommand(state: State, command: Command, time: number): KvResult {
  return command.type === "once" ? once(state, command, time) : plain(state, command, time);
}

/**
 * What came of it the first time is what comes of it. Where there is no room to remember that, it
 * is refused, which is not remembered either: the same may be done later.
 */
function once(state: State, { key, command }: Once, time: number): KvResult {
  const fingerprint = crc32c(encodeCommand(command));
  const known = state.remembered.find(key, fingerprint, time);
  if (known === "conflict") return refusal(state, "IDEMPOTENCY_CONFLICT", null);
  if (known !== null) return known;
  if (!state.remembered.makeRoom(time)) return refusal(state, "TOO_MANY_REPLIES", null);
  const result = plain(state, command, time);
  state.remembered.add(key, { fingerprint, time }, result);
  return result;
}

function plain(state: State, command: PlainCommand, time: number): KvResult {
  switch (command.type) {
    case "put":
      return put(state, command, time);
    case "delete":
      return del(state, command);
    case "compact":
      return compact(state, command);
    case "txn":
      return txn(state, command, time);
    case "grant":
      return grant(state, command, time);
    case "renew":
      return renew(state, command, time);
    case "revoke":
      return revoke(state, command);
    case "expire":
      return expire(state, command, time);
    case "clock":
      return done(state, {});
    default:
      return unreachable(command);
  }
}

function put(state: State, command: Put, time: number): KvResult {
  const { key, value, conditions, returnPrevious, lease = NO_LEASE } = command;
  const live = state.keyspace.get(key);
  const code = failure(conditions, live);
  if (code !== null) return refusal(state, code, live);
  if (!mayHang(state, lease)) return refusal(state, "LEASE_NOT_FOUND", live);
  const previous = returnPrevious && live !== null ? keyValueOf(live) : null;
  const revision = state.keyspace.revision + 1;
  const current = metadataOf(putKey(state, { key, value, lease }, { revision, time }));
  return done(state, { current, previous });
}

function del(state: State, { key, conditions, returnPrevious }: Delete): KvResult {
  const live = state.keyspace.get(key);
  const code = failure(conditions, live);
  if (code !== null) return refusal(state, code, live);
  if (live === null) return done(state, {});
  removeKey(state, live, { revision: state.keyspace.revision + 1 });
  return done(state, { previous: returnPrevious ? keyValueOf(live) : null, deleted: 1 });
}

function compact(state: State, { revision }: Compact): KvResult {
  const { keyspace } = state;
  if (revision <= keyspace.compactRevision) return refusal(state, "REVISION_COMPACTED", null);
  if (revision > keyspace.revision) return refusal(state, "REVISION_IN_FUTURE", null);
  keyspace.compact(revision);
  return done(state, {});
}

function txn(state: State, command: Txn, time: number): KvResult {
  const result = runTxn(state, command, { revision: state.keyspace.revision + 1, time });
  if (typeof result === "string") return refusal(state, result, null);
  return done(state, { txn: result });
}

function grant(state: State, { id, ttlMs }: Grant, time: number): KvResult {
  if (state.leases.has(id)) return refusal(state, "LEASE_EXISTS", null);
  return done(state, { leases: [state.leases.grant({ id, ttlMs, isOwn: false }, time)] });
}

function renew(state: State, { ids }: OfLeases, time: number): KvResult {
  const { leases } = state;
  const renewed = ids.map((id) => {
    const lease = leases.get(id);
    return lease === null ? null : leases.renew(lease, time);
  });
  return done(state, { leases: renewed });
}

function revoke(state: State, { id }: Revoke): KvResult {
  const lease = state.leases.get(id);
  if (lease === null) return refusal(state, "LEASE_NOT_FOUND", null);
  const revision = state.keyspace.revision + 1;
  const deleted = endLease(state, id, { revision, expired: false });
  return done(state, { deleted, leases: [lease] });
}

/** One that was renewed since it was proposed to end it lives on. */
function expire(state: State, { ids }: OfLeases, time: number): KvResult {
  const { leases, keyspace } = state;
  const revision = keyspace.revision + 1;
  let deleted = 0;
  for (const id of ids) {
    if (!leases.has(id) || leases.of(id).deadline > time) continue;
    deleted += endLease(state, id, { revision, expired: true });
  }
  return done(state, { deleted });
}

function done({ keyspace }: State, more: Partial<Omit<Done, "ok" | "revision">>): KvResult {
  const { revision } = keyspace;
  return { ok: true, revision, current: null, previous: null, deleted: 0, ...more };
}

function refusal({ keyspace }: State, code: KvRefusal, live: LiveVersion | null): KvResult {
  const current = live === null ? null : metadataOf(live);
  return { ok: false, code, revision: keyspace.revision, current };
}

/** The code of the first condition that does not hold; null: all hold. */
function failure(conditions: readonly Condition[], live: LiveVersion | null): KvRefusal | null {
  for (const condition of conditions) {
    const code = check(condition, live);
    if (code !== null) return code;
  }
  return null;
}

function check(condition: Condition, live: LiveVersion | null): KvRefusal | null {
  const version = live?.version ?? 0;
  const modRevision = live?.modRevision ?? 0;
  switch (condition.type) {
    case "version":
      if (version === condition.version) return null;
      return live === null ? "KEY_NOT_FOUND" : "VERSION_MISMATCH";
    case "modRevision":
      return modRevision === condition.modRevision ? null : "PRECONDITION_FAILED";
    case "otherModRevision":
      return modRevision !== condition.modRevision ? null : "PRECONDITION_FAILED";
    case "exists":
      return live !== null ? null : "PRECONDITION_FAILED";
    case "absent":
      return live === null ? null : "PRECONDITION_FAILED";
    default:
      return unreachable(condition);
  }
}
