/** Which fault has which node: no two faults may kill, stop or starve the same process at once. */

interface Waiting {
  readonly count: number;
  readonly choose: (free: readonly string[]) => readonly string[];
  readonly resolve: (names: readonly string[]) => void;
}

/** First come, first served: who wants all nodes waits for them, and others wait behind him. */
export class Claims {
  readonly #free: Set<string>;
  #queue: Waiting[] = [];

  constructor(names: readonly string[]) {
    this.#free = new Set(names);
  }

  /** Resolves, once at least `count` nodes are free, with those that `choose` takes of them. */
  take(
    count: number,
    choose: (free: readonly string[]) => readonly string[],
  ): Promise<readonly string[]> {
    return new Promise((resolve) => {
      this.#queue.push({ count, choose, resolve });
      this.#serve();
    });
  }

  giveBack(names: readonly string[]): void {
    for (const name of names) this.#free.add(name);
    this.#serve();
  }

  #serve(): void {
    const [first, ...rest] = this.#queue;
    if (first === undefined || first.count > this.#free.size) return;
    this.#queue = rest;
    const names = first.choose([...this.#free]);
    for (const name of names) this.#free.delete(name);
    first.resolve(names);
    this.#serve();
  }
}
