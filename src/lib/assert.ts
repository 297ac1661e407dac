/** Assertions that stay on in production: a broken invariant stops the process, never the data. */

/** A bug in this program. Nothing catches it: the process must end. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Throws an AssertionError unless `condition` holds. Pass a closure where the message needs
 * building: an eager template costs thirty times as much as the check itself.
 */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new AssertionError(typeof message === "string" ? message : message());
}

/** Marks the impossible branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** `value`, which cannot be null or undefined unless there is a bug. */
export function must<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionError(message);
  return value;
}
