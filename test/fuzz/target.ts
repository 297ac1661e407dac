/** Something that takes bytes from outside, and what must hold whatever they are. */
import { isDeepStrictEqual } from "node:util";
import { assert } from "../../src/lib/assert.ts";
import { MalformedError } from "../../src/lib/bytes.ts";
import type { Mutator } from "./mutator.ts";

export interface Target {
  readonly name: string;
  /** The next input: a valid one, damaged. */
  next(mutator: Mutator): Uint8Array;
  /**
   * Takes the input. True: it was accepted, and makes sense; false: it was refused as it should
   * be. Throws where neither is so.
   */
  run(input: Uint8Array): boolean;
}

/** What `decode` makes of an input; null where it refuses it, in the one way that it may. */
export function decoded<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}

/** Every number in a decoded value must be one that can be counted with. */
export function assertSafeNumbers(value: unknown): void {
  if (typeof value === "number") {
    assert(Number.isSafeInteger(value) && value >= 0, () => `accepted the number ${value}`);
  }
  assert(typeof value !== "bigint", "accepted a big integer");
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  for (const part of Object.values(value)) assertSafeNumbers(part);
}

export function assertSame(actual: unknown, expected: unknown, what: string): void {
  assert(isDeepStrictEqual(actual, expected), () => `${what}: another meaning after a round trip`);
}
