/**
 * Whether money was made or lost: every reading of all accounts is one state that was, transfers
 * are done as a whole or not at all, and answers said which.
 */
import type { Change } from "../watch/validate.ts";
import { backwards, type Interval } from "./workload.ts";

/** What is in the bank, always. */
export interface Bank {
  /** How the keys of accounts begin. */
  readonly prefix: string;
  readonly accounts: number;
  readonly total: number;
}

/** The value of an account: unique, as no transfer has the name of another. */
export interface Account {
  readonly balance: number;
  /** The transfer that made it so. */
  readonly by: string;
}

/** All accounts as they were told at once. */
export interface Reading extends Interval {
  readonly how: string;
  readonly revision: number;
  /** It was of a revision that was named, and so need not be new. */
  readonly isOfThePast: boolean;
  /** By key, the value as it was told. */
  readonly values: ReadonlyMap<string, string>;
}

export interface Transfer extends Interval {
  readonly name: string;
  readonly outcome: "ok" | "refused" | "failed" | "unknown";
  /** Where it was done; null: it was not, or nobody knows. */
  readonly revision: number | null;
}

/** Everything that is wrong with what was told, in words. */
export function bankProblems(
  bank: Bank,
  told: { readonly readings: readonly Reading[]; readonly transfers: readonly Transfer[] },
  history: readonly Change[],
): readonly string[] {
  const changes = history.filter(({ key }) => key.startsWith(bank.prefix));
  const { readings, transfers } = told;
  return [
    ...readings.flatMap((reading) => sumProblems(bank, reading)),
    ...staleness(readings, transfers),
    ...stateProblems(readings, changes),
    ...halves(bank, changes),
    ...lies(transfers, changes),
  ];
}

function sumProblems({ accounts, total }: Bank, { how, revision, values }: Reading): string[] {
  const balances = [...values.values()].map((value) => accountIn(value).balance);
  const sum = balances.reduce((all, balance) => all + balance, 0);
  if (sum === total && balances.length === accounts) return [];
  return [`${how} at ${revision}: ${balances.length} accounts with ${sum} together`];
}

/** A reading sees whatever was told before it began. */
function staleness(readings: readonly Reading[], transfers: readonly Transfer[]): string[] {
  const seen = readings
    .filter(({ isOfThePast }) => !isOfThePast)
    .map(({ how, revision, call, end }) => ({ name: how, revision, call, end }));
  const done = transfers.flatMap(({ name, revision, call, end }) =>
    revision === null ? [] : [{ name, revision, call, end }],
  );
  return backwards([...seen, ...done], ({ revision }) => revision).map(
    ([later, earlier]) =>
      `${later.name} at ${later.revision} began after ${earlier.name} at ${earlier.revision}`,
  );
}

/** Each reading is the state as of its revision. */
function stateProblems(readings: readonly Reading[], changes: readonly Change[]): string[] {
  const state = new Map<string, string>();
  const problems: string[] = [];
  let at = 0;
  for (const { how, revision, values } of readings.toSorted((a, b) => a.revision - b.revision)) {
    for (let next = changes[at]; next !== undefined && next.revision <= revision; ) {
      if (next.now === null) state.delete(next.key);
      else state.set(next.key, next.now.value);
      at += 1;
      next = changes[at];
    }
    const isSame =
      values.size === state.size && [...values].every(([key, value]) => state.get(key) === value);
    if (!isSame) {
      problems.push(`${how} at ${revision} told ${show(values)}, and it was ${show(state)}`);
    }
  }
  return problems;
}

/** After every revision the bank holds what it should: all of a transfer has one revision. */
function halves({ accounts, total }: Bank, changes: readonly Change[]): string[] {
  const balances = new Map<string, number>();
  const problems: string[] = [];
  for (const [at, { revision, key, now }] of changes.entries()) {
    balances.set(key, now === null ? 0 : accountIn(now.value).balance);
    if (changes[at + 1]?.revision === revision) continue;
    const sum = [...balances.values()].reduce((all, balance) => all + balance, 0);
    if (sum === total && balances.size === accounts) continue;
    problems.push(`after ${revision} there were ${balances.size} accounts with ${sum} together`);
  }
  return problems;
}

function lies(transfers: readonly Transfer[], changes: readonly Change[]): string[] {
  const places = new Map<string, Set<number>>();
  for (const { now, revision } of changes) {
    if (now === null) continue;
    const { by } = accountIn(now.value);
    places.set(by, (places.get(by) ?? new Set()).add(revision));
  }
  return transfers.flatMap(({ name, outcome, revision }) => {
    const at = [...(places.get(name) ?? [])];
    const isTrue =
      outcome === "ok"
        ? at.length === 1 && at[0] === revision
        : at.length <= (outcome === "unknown" ? 1 : 0);
    return isTrue ? [] : [`${name} was ${outcome} at ${revision}, and done at ${at.join() || "-"}`];
  });
}

function accountIn(value: string): Account {
  return JSON.parse(value) as Account;
}

function show(values: ReadonlyMap<string, string>): string {
  return [...values].map(([key, value]) => `${key} ${value}`).join(", ");
}
