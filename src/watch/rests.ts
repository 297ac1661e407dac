/** Watchers that were given more than is told at once: they are told the rest part by part. */
import type { WatchLimits } from "./limits.ts";
import type { Watcher } from "./watcher.ts";

export interface RestsDeps {
  readonly limits: WatchLimits;
  now(): number;
  /** It was told all of it, and goes on from its cursor. */
  onTold(watcher: Watcher): void;
}

/** Those that take more have turns. */
export class Rests {
  readonly #deps: RestsDeps;
  readonly #ready = new Set<Watcher>();

  constructor(deps: RestsDeps) {
    this.#deps = deps;
  }

  get hasWork(): boolean {
    return this.#ready.size > 0;
  }

  /** Goes on; one that takes no more must be added again when it does. */
  add(watcher: Watcher): void {
    if (!watcher.isFull) this.#ready.add(watcher);
  }

  leave(watcher: Watcher): void {
    this.#ready.delete(watcher);
  }

  /** Tells a part to one watcher, and to those that get the very same one. */
  step(): void {
    const { limits } = this.#deps;
    const [first] = this.#ready;
    const shared = first?.rest;
    if (shared === null || shared === undefined) return;
    let count = 0;
    // Those that are added again on the way have another rest by then.
    for (const watcher of this.#ready) {
      const { rest } = watcher;
      if (rest?.batch !== shared.batch || rest.from !== shared.from) continue;
      this.#ready.delete(watcher);
      if (!watcher.takesMore()) continue;
      watcher.tellPart(rest, this.#deps.now());
      if (watcher.rest !== null) this.add(watcher);
      else if (watcher.state !== "closed") this.#deps.onTold(watcher);
      count += 1;
      if (count === limits.writesPerTurn) return;
    }
  }
}
