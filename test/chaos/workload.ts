/** What runs beside the load of single keys, and the clients that do it. */
import type { Change } from "../watch/validate.ts";
import { Caller, type Ground } from "./ask.ts";

/** Something that was done, and how often it must be in a minute for a run to prove anything. */
export interface Feat {
  readonly name: string;
  readonly count: number;
  readonly perMinuteMin: number;
}

/** Begins when it is made. */
export interface Workload {
  readonly name: string;
  readonly feats: readonly Feat[];
  /**
   * Ends it, while all nodes serve. Resolves when nothing is under way any more, and nothing that
   * it made will change by itself.
   */
  finish(): Promise<void>;
  /** Everything that is wrong, in words. `history`: all changes of the store, in order. */
  problems(history: readonly Change[]): readonly string[];
}

/** So many clients, each at any node. */
export function callers(ground: Ground, count: number): readonly Caller[] {
  return Array.from({ length: count }, () => new Caller(ground));
}

/** Clients that do the same step again and again. */
export class Crew {
  /** Why clients have ended that were not stopped. */
  readonly problems: string[] = [];
  readonly #running: Promise<void>[];
  #isStopping = false;

  /** Each client does `step`, with its number. One whose step rejects ends, and that is noted. */
  constructor(clients: readonly Caller[], step: (client: Caller, at: number) => Promise<void>) {
    const run = async (client: Caller, at: number): Promise<void> => {
      while (!this.#isStopping) await step(client, at);
    };
    this.#running = clients.map((client, at) =>
      run(client, at).catch((error: unknown) => {
        this.problems.push(`a client ended with ${String(error)}`);
      }),
    );
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Resolves when the last steps are done. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }
}

/** Something that a client did or saw, by one monotonic clock in milliseconds. */
export interface Interval {
  readonly call: number;
  readonly end: number;
}

/** Everything that began after something else had ended, and yet is `place`d before it. */
export function backwards<T extends Interval>(
  all: readonly T[],
  place: (each: T) => number,
): readonly (readonly [later: T, earlier: T])[] {
  const byEnd = all.toSorted((a, b) => a.end - b.end);
  const found: [T, T][] = [];
  let furthest: T | null = null;
  let ended = 0;
  for (const each of all.toSorted((a, b) => a.call - b.call)) {
    for (let next = byEnd[ended]; next !== undefined && next.end < each.call; ) {
      if (furthest === null || place(next) > place(furthest)) furthest = next;
      ended += 1;
      next = byEnd[ended];
    }
    if (furthest !== null && place(each) < place(furthest)) found.push([each, furthest]);
  }
  return found;
}
