/** Whether each increment with an Idempotency-Key was counted once, however often it was sent. */
import { backwards, type Interval } from "./workload.ts";

/** One increment by one, under one Idempotency-Key, from the first request to the last answer. */
export interface Count extends Interval {
  readonly name: string;
  readonly counter: string;
  /** What the counter became; null: given up without an answer, so nobody knows. */
  readonly value: number | null;
  /** What the same request was told once more; null: it was not asked again. */
  readonly again: { readonly value: number; readonly isReplayed: boolean } | null;
}

/** Everything that is wrong, in words. `finals`: what each counter is in the end. */
export function countProblems(
  counts: readonly Count[],
  finals: ReadonlyMap<string, number>,
): readonly string[] {
  return [...finals].flatMap(([counter, final]) => {
    const own = counts.filter((count) => count.counter === counter);
    const finished = own.flatMap((count) =>
      count.value === null ? [] : [{ ...count, value: count.value }],
    );
    const problems = [...twice(finished), ...finished.flatMap(otherwise)];
    const [least, most] = [finished.length, own.length];
    if (final < least || final > most) {
      problems.push(
        `${counter} is ${final} after ${least} increments, and ${most - least} unknown`,
      );
    }
    for (const { name, value } of finished) {
      if (value < 1 || value > final) problems.push(`${name} counted ${value} of ${final}`);
    }
    for (const [later, earlier] of backwards(finished, ({ value }) => value)) {
      problems.push(
        `${later.name} counted ${later.value} after ${earlier.name} had counted ${earlier.value}`,
      );
    }
    return problems;
  });
}

function twice(finished: readonly { readonly name: string; readonly value: number }[]): string[] {
  const names = new Map<number, string>();
  return finished.flatMap(({ name, value }) => {
    const other = names.get(value);
    names.set(value, name);
    return other === undefined ? [] : [`${other} and ${name} both counted ${value}`];
  });
}

function otherwise({ name, value, again }: Count): string[] {
  if (again === null || (again.value === value && again.isReplayed)) return [];
  const how = again.isReplayed ? "replayed" : "done again";
  return [`${name} counted ${value}, and was ${how} as ${again.value}`];
}
