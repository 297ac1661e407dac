/** Refuses what a program must not say, by TypeError, before anything is sent. */

/** A whole number of at least `min`; undefined stays what it is. */
export function wholeNumber(name: string, value: number | undefined, min = 0): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return value;
  throw new TypeError(`${name} must be a whole number of at least ${min}, not ${value}`);
}

/** Milliseconds as the seconds that the servers speak of; undefined stays what it is. */
export function secondsOf(name: string, ms: number | undefined): number | undefined {
  if (ms === undefined || (Number.isFinite(ms) && ms >= 0))
    return ms === undefined ? ms : ms / 1_000;
  throw new TypeError(`${name} must be a number of milliseconds, not ${ms}`);
}

/** A text that UTF-8 can hold, as keys, prefixes and names must be. */
export function textOf(name: string, value: unknown): string {
  if (typeof value === "string" && value.isWellFormed()) return value;
  throw new TypeError(`${name} must be a text without half surrogate pairs`);
}

/** A key, or the name of a lock. */
export function keyOf(name: string, value: unknown): string {
  const text = textOf(name, value);
  if (text !== "") return text;
  throw new TypeError(`${name} must have at least one character`);
}
