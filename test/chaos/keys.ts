/** Keys of limited lifetime: the cost of checking grows with the history of a single key. */
import type { Prng } from "../../src/lib/random.ts";

/** After so many operations a key is left alone, … */
const OPERATIONS_MAX = 200;
/** … or after so many of unknown outcome, each of which may double the work of a checker. */
const UNKNOWN_MAX = 5;

/** What clients believe of a key. */
export interface LoadedKey {
  readonly name: string;
  /** The last version that anybody heard of: a guess, for preconditions. */
  version: number;
  operations: number;
  unknown: number;
}

export class Keys {
  /** All keys that were ever in use. */
  readonly names: string[] = [];
  readonly #random: Prng;
  readonly #present: LoadedKey[];

  /** `count` keys are in use at any time. */
  constructor(count: number, random: Prng) {
    this.#random = random;
    this.#present = Array.from({ length: count }, () => this.#make());
  }

  /** One of the present keys, for one more operation. */
  next(): LoadedKey {
    const at = this.#random.below(this.#present.length);
    let key = this.#present[at];
    if (key === undefined || key.operations >= OPERATIONS_MAX || key.unknown >= UNKNOWN_MAX) {
      key = this.#make();
      this.#present[at] = key;
    }
    key.operations += 1;
    return key;
  }

  #make(): LoadedKey {
    const name = `chaos/${this.names.length}`;
    this.names.push(name);
    return { name, version: 0, operations: 0, unknown: 0 };
  }
}
