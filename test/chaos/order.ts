/**
 * Strict serializability, judged by what is on the disks: the log gives the one order of all
 * changes, answers say where in it they belong, and that order must respect real time. Linear in
 * the length of the history, and over all keys at once.
 */
import type { Change, Truth } from "./audit.ts";
import type { Operation } from "../checker/history.ts";

/** An operation that was answered from a state that can be named. */
interface Placed {
  readonly operation: Operation;
  /** The revision that it made, or, between two, the one it saw plus a half. */
  readonly place: number;
  readonly end: number;
}

/** Everything in the history that contradicts the log, or real time, in words. */
export function disorder(operations: readonly Operation[], truth: Truth): readonly string[] {
  const placed = operations.flatMap(place);
  return [...placed.flatMap((each) => contradiction(each, truth)), ...backwards(placed)];
}

function place(operation: Operation): Placed[] {
  const { out, op, outcome } = operation;
  if (out === undefined || operation.return === null) return [];
  const end = operation.return;
  const isChange = outcome === "ok" && (op === "put" || out.deleted === 1);
  const seen = isChange ? out.revision : out.storeRevision;
  if (seen === undefined) throw new Error(`an answer without revision: ${show(operation)}`);
  return [{ operation, place: isChange ? seen : seen + 0.5, end }];
}

/** What it says of its key, against what the key was at that revision. */
function contradiction({ operation, place: at }: Placed, truth: Truth): string[] {
  const { key, op, in: wish, out, outcome } = operation;
  const revision = Math.floor(at);
  if (out === undefined || revision < truth.since) return [];
  const past = truth.changes.get(key) ?? [];
  const now = lastAt(past, revision);
  const problems: string[] = [];
  const version = now?.version ?? 0;
  if (out.version !== version) problems.push(`the key was at version ${version}`);
  if (op === "get" && out.value !== (now?.value ?? null)) problems.push(`it was ${now?.value}`);
  if (outcome === "ok" && op === "put" && now?.value !== wish.value) {
    problems.push(`the change there is ${now?.value}`);
  }
  if (outcome === "ok" && wish.ifVersion !== undefined) {
    const before = Number.isInteger(at) ? lastAt(past, revision - 1) : now;
    const had = before?.version ?? 0;
    const isKnown = revision > truth.since;
    if (isKnown && had !== wish.ifVersion) problems.push(`its condition met version ${had}`);
  }
  if (outcome === "refused" && wish.ifVersion === version) problems.push("its condition held");
  return problems.map((problem) => `${show(operation)}: ${problem}, says the log`);
}

/** Operations that began after another had ended, and yet came before it in the log's order. */
function backwards(placed: readonly Placed[]): string[] {
  const byCall = placed.toSorted((a, b) => a.operation.call - b.operation.call);
  const byEnd = placed.toSorted((a, b) => a.end - b.end);
  const problems: string[] = [];
  let latest: Placed | null = null;
  let ended = 0;
  for (const each of byCall) {
    for (let next = byEnd[ended]; next !== undefined && next.end < each.operation.call; ) {
      if (latest === null || next.place > latest.place) latest = next;
      ended += 1;
      next = byEnd[ended];
    }
    if (latest === null || each.place >= latest.place) continue;
    problems.push(`${show(each.operation)} began after ${show(latest.operation)} had ended`);
  }
  return problems;
}

/** The last change up to a revision, of changes in order. */
function lastAt(changes: readonly Change[], revision: number): Change | null {
  return changes.findLast((change) => change.revision <= revision) ?? null;
}

function show(operation: Operation): string {
  const { client, op, key, in: wish, outcome, out } = operation;
  const asked = `${op} ${key} ${JSON.stringify(wish)}`;
  return `client ${client}'s ${asked} (${outcome} ${JSON.stringify(out)})`;
}
