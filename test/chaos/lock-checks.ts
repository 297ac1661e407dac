/** Whether a lock had one holder at a time, and whether only holders wrote what it guards. */
import type { Change } from "../watch/validate.ts";
import { backwards, type Interval } from "./workload.ts";

/** One request for a lock, under a name that no other has. */
export interface Attempt {
  readonly lock: string;
  /** The key that would stand for it. */
  readonly key: string;
  /** `held`: the answer was that somebody else holds it. */
  readonly outcome: "ok" | "held" | "failed" | "unknown";
}

/** A time in which a client surely held a lock: its time was not over, nor had it given it back. */
export interface Hold extends Interval {
  readonly lock: string;
  readonly token: number;
}

/** A write that names the token of its writer as a condition. */
export interface GuardedWrite {
  readonly lock: string;
  /** What is guarded. */
  readonly key: string;
  readonly token: number;
  /** Unique. */
  readonly value: string;
  readonly outcome: "ok" | "refused" | "failed" | "unknown";
  /** Where it was done; null: it was not, or nobody knows. */
  readonly revision: number | null;
}

export interface LocksTold {
  readonly attempts: readonly Attempt[];
  readonly holds: readonly Hold[];
  readonly writes: readonly GuardedWrite[];
}

/** Everything that is wrong, in words. */
export function lockProblems(
  { attempts, holds, writes }: LocksTold,
  history: readonly Change[],
): readonly string[] {
  const locks = new Set(holds.map(({ lock }) => lock));
  return [
    ...[...locks].flatMap((lock) => overlaps(holds.filter((hold) => hold.lock === lock))),
    ...leftBehind(attempts, history),
    ...lies(writes, history),
    ...regressions(writes, history),
  ];
}

/** Two holders at once, or a later one with a token that is not greater. */
function overlaps(holds: readonly Hold[]): string[] {
  const problems: string[] = [];
  let longest: Hold | null = null;
  for (const hold of holds.toSorted((a, b) => a.call - b.call)) {
    if (longest !== null && hold.call < longest.end && hold.token !== longest.token) {
      problems.push(`${hold.lock}: ${hold.token} held it while ${longest.token} did`);
    }
    if (longest === null || hold.end > longest.end) longest = hold;
  }
  for (const [later, earlier] of backwards(holds, ({ token }) => token)) {
    problems.push(`${later.lock}: the token ${later.token} came after ${earlier.token}`);
  }
  return problems;
}

/** Whoever was told that nothing was done has no place in the row, and had none. */
function leftBehind(attempts: readonly Attempt[], history: readonly Change[]): string[] {
  const entered = new Map<string, number>();
  const present = new Set<string>();
  for (const { key, now, revision } of history) {
    if (now === null) present.delete(key);
    else {
      present.add(key);
      entered.set(key, revision);
    }
  }
  return attempts.flatMap(({ lock, key, outcome }) => {
    const at = entered.get(key);
    if (outcome === "failed" && at !== undefined) {
      return [`${lock}: ${key} was put at ${at}, and the answer said that nothing was`];
    }
    if (outcome === "ok" && at === undefined) return [`${lock}: ${key} was never put`];
    return present.has(key) ? [`${lock}: ${key} was never removed`] : [];
  });
}

function lies(writes: readonly GuardedWrite[], history: readonly Change[]): string[] {
  const places = new Map<string, number[]>();
  for (const { key, now, revision } of history) {
    if (now === null) continue;
    const name = `${key} ${now.value}`;
    places.set(name, [...(places.get(name) ?? []), revision]);
  }
  return writes.flatMap(({ key, value, outcome, revision }) => {
    const at = places.get(`${key} ${value}`) ?? [];
    const isTrue =
      outcome === "ok"
        ? at.length === 1 && at[0] === revision
        : at.length <= (outcome === "unknown" ? 1 : 0);
    return isTrue
      ? []
      : [`${value} was ${outcome} at ${revision}, and done at ${at.join() || "-"}`];
  });
}

/** In the order in which they were done, the tokens of writes never go back. */
function regressions(writes: readonly GuardedWrite[], history: readonly Change[]): string[] {
  const tokens = new Map(writes.map(({ key, value, token }) => [`${key} ${value}`, token]));
  const newest = new Map<string, number>();
  return history.flatMap(({ key, now, revision }) => {
    const token = now === null ? undefined : tokens.get(`${key} ${now.value}`);
    if (token === undefined) return [];
    const before = newest.get(key) ?? 0;
    newest.set(key, Math.max(before, token));
    return token >= before
      ? []
      : [`${key}: the token ${token} wrote at ${revision}, after ${before}`];
  });
}
