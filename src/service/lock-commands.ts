/** The commands that locks are made of. */
import { must } from "../lib/assert.ts";
import type { PlainCommand } from "../kv/command.ts";
import { type Key, prefixEnd } from "../kv/key.ts";
import type { Compare, LeaseChoice, Operation } from "../kv/operation.ts";
import type { Done } from "../kv/result.ts";
import type { KeyValue } from "../kv/version.ts";
import { prefixOf } from "./lock-rows.ts";
import type { LockWish } from "./lock-wishes.ts";

/**
 * Puts the key. While it waits it lives as long as the wait, and longer. If it is there already, it
 * keeps its place and its time, and only shows that somebody has come by it.
 */
export function entering(key: Key, { owner, ttlMs, waitMs }: LockWish): PlainCommand {
  const success = [putOf(key, owner, { kind: "ttl", ttlMs: ttlMs + waitMs })];
  const failure = [putOf(key, owner, { kind: "keep" })];
  return { type: "txn", compares: [absent(key)], success, failure };
}

/**
 * Asks whether the lock is held under this token, and changes nothing. It names no owner, so that
 * who asks again when the holder is gone asks the same.
 */
export function questionWhetherHeld(name: string, token: number): PlainCommand {
  const row = prefixOf(name);
  const end = must(prefixEnd(row), "text never ends so");
  const compare = (relation: "!=" | ">", number: number): Compare => {
    return { key: row, end, target: "createRevision", relation, number };
  };
  const isFirst = { compares: [compare(">", token - 1)], success: [], failure: [] };
  const failure = [{ type: "txn", ...isFirst } as const];
  return { type: "txn", compares: [compare("!=", token)], success: [], failure };
}

/** What the question came to: one has the token, and none in the row is older. */
export function saysHeld({ txn }: Done): boolean {
  const [isFirst] = txn?.results ?? [];
  return isFirst?.type === "txn" && isFirst.succeeded;
}

export function putOf(key: Key, owner: string, lease: LeaseChoice): Operation {
  return { type: "put", key, value: Buffer.from(owner, "utf8"), lease, returnPrevious: false };
}

export function removalOf(key: Key): Operation {
  return { type: "delete", key, end: "single", returnPrevious: false };
}

/** The key is the one that was found. */
export function sameEntry({ key, createRevision }: KeyValue): Compare {
  return compareOf(key, "createRevision", createRevision);
}

export function compareOf(
  key: Key,
  target: "createRevision" | "modRevision",
  number: number,
): Compare {
  return { key, end: "single", target, relation: "=", number };
}

function absent(key: Key): Compare {
  return compareOf(key, "createRevision", 0);
}
