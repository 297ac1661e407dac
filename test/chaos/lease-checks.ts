/** Whether leases ended in time: never before they may, and not much later than they should. */
import type { Change } from "../watch/validate.ts";
import type { Interval } from "./workload.ts";

/** One lease with its keys, from its grant to its end. */
export interface LeaseLife {
  readonly id: number;
  readonly ttlMs: number;
  readonly keys: readonly string[];
  /** The grant and every acknowledged renewal: from `call` on it lives for its whole time. */
  readonly renewals: readonly Interval[];
  /** Whether it was there, or its keys, which were attached before. One after another. */
  readonly sightings: readonly (Interval & { readonly isThere: boolean })[];
  /** What it was said to have left, in milliseconds, while nobody renewed it. */
  readonly left: readonly number[];
}

/**
 * How much more an answer may give a lease than an earlier one: what a leader that was deposed had
 * counted, and nobody else has heard of.
 */
export const GIVEN_BACK_MS = 3_000;
const EARLIEST = -Infinity;

/** Everything that is wrong, in words. */
export function leaseProblems(
  lives: readonly LeaseLife[],
  history: readonly Change[],
): readonly string[] {
  const changes = new Map<string, Change[]>();
  for (const change of history) {
    const known = changes.get(change.key);
    if (known === undefined) changes.set(change.key, [change]);
    else known.push(change);
  }
  return lives.flatMap((life) => [
    ...early(life),
    ...anew(life),
    ...ends(life.keys.map((key) => changes.get(key) ?? [])).map((end) => `${nameOf(life)} ${end}`),
  ]);
}

/** Gone while it had to be there, or there again after it was gone. */
function early(life: LeaseLife): string[] {
  const problems: string[] = [];
  let goneAt = Infinity;
  for (const { call, end, isThere } of life.sightings) {
    const calls = life.renewals.filter((renewal) => renewal.end <= call).map((each) => each.call);
    const safeUntil = Math.max(EARLIEST, ...calls) + life.ttlMs;
    if (!isThere && end < safeUntil) {
      problems.push(`${nameOf(life)} was gone ${Math.round(safeUntil - end)} ms too early`);
    }
    if (isThere && call > goneAt) problems.push(`${nameOf(life)} was there again`);
    if (!isThere) goneAt = Math.min(goneAt, end);
  }
  if (life.renewals.some(({ call }) => call > goneAt)) {
    problems.push(`${nameOf(life)} was renewed after it was gone`);
  }
  return problems;
}

/** Nobody renews it, so it has ever less left. */
function anew(life: LeaseLife): string[] {
  let least = Infinity;
  return life.left.flatMap((left) => {
    const more = left - least;
    least = Math.min(least, left);
    return more <= GIVEN_BACK_MS ? [] : [`${nameOf(life)} had ${more} ms more left than before`];
  });
}

/** Each key expires once, and all at the same revision. */
function ends(changes: readonly (readonly Change[])[]): string[] {
  const present = changes.filter(({ length }) => length > 0);
  const last = present.map((all) => all.at(-1));
  const wrong = last.filter((change) => change?.kind !== "expire");
  const early = present.flatMap((all) => all.slice(0, -1)).filter(({ kind }) => kind !== "put");
  const revisions = new Set(last.map((change) => change?.revision));
  return [
    ...wrong.map((change) => `left ${change?.key} with a ${change?.kind} at its end`),
    ...early.map(({ key, kind, revision }) => `had a ${kind} of ${key} at ${revision}`),
    ...(revisions.size > 1 ? [`ended at the revisions ${[...revisions].join(", ")}`] : []),
  ];
}

function nameOf({ id, ttlMs }: LeaseLife): string {
  return `lease ${id} of ${ttlMs} ms`;
}
