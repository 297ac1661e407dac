/** Watchers on everything that all workloads do, and on the parts of it. */
import type { Change } from "../watch/validate.ts";
import type { Ground } from "./ask.ts";
import { connectionProblems, historyOf } from "./watch-checks.ts";
import { type Interest, WatchClient } from "./watching.ts";
import type { Feat } from "./workload.ts";

/** Of all keys. The first one tells the history that all others are held against. */
const EVERYTHING: readonly Interest[] = [
  { prefix: "", withPrevious: false, isForgetful: false },
  { prefix: "", withPrevious: true, isForgetful: false },
];
/** Of the parts, as many watchers of each as there are nodes. */
const PARTS: readonly Interest[] = [
  { prefix: "work/", withPrevious: true, isForgetful: false },
  { prefix: "locks/", withPrevious: false, isForgetful: true },
];
const SINGLE: readonly Interest[] = [
  { prefix: "chaos/", withPrevious: false, isForgetful: false },
  { prefix: "work/bank/", withPrevious: false, isForgetful: true },
];
/** Before the first change of an empty store. */
const BEGINNING = 1;

export class WatchWork {
  readonly #clients: readonly WatchClient[];
  #history: readonly Change[] = [];

  constructor(ground: Ground) {
    const parts = ground.urls.flatMap(() => PARTS);
    const interests = [...EVERYTHING, ...SINGLE, ...parts];
    this.#clients = interests.map((interest) => new WatchClient(ground, interest, BEGINNING));
  }

  get feats(): readonly Feat[] {
    const sum = (count: (client: WatchClient) => number) =>
      this.#clients.reduce((all, client) => all + count(client), 0);
    return [
      { name: "events validated", count: sum(({ events }) => events), perMinuteMin: 2_000 },
      { name: "watches resumed", count: sum(({ resumes }) => resumes), perMinuteMin: 15 },
      {
        name: "watches begun with a listing",
        count: sum(({ listings }) => listings),
        perMinuteMin: 2,
      },
      // History is kept for minutes: only long runs can be too late.
      { name: "watches too late to resume", count: sum(({ tooLate }) => tooLate), perMinuteMin: 0 },
    ];
  }

  /** All changes of the store, as one watcher was told them. Call it after `finish`. */
  get history(): readonly Change[] {
    return this.#history;
  }

  /** Resolves when all watchers were told of everything up to `revision`, the last change. */
  async finish(revision: number): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.finish(revision)));
    this.#history = historyOf(this.#clients[0]?.connections ?? []);
  }

  /** Everything that is wrong, in words. `compacted`: up to here the past was forgotten. */
  problems(compacted: number): readonly string[] {
    const [first] = this.#clients;
    const lost = first !== undefined && first.tooLate > 0 ? ["the first watcher was too late"] : [];
    return [
      ...lost,
      ...this.#clients.flatMap(({ problems, connections }) => [
        ...problems,
        ...connections.flatMap((each) => connectionProblems(each, this.#history, compacted)),
      ]),
    ];
  }
}
