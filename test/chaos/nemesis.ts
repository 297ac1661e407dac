/** What a fault is, and the storm that makes many of them happen at once. */
import type { Field } from "./field.ts";

/**
 * Faults of different tracks happen at the same time; of a track, as many as it has runners. No
 * node is in the hands of two faults of the track `node`.
 */
export type Track = "node" | "network" | "replay";

export interface Nemesis {
  readonly name: string;
  readonly track: Track;
  /** Null: it can happen here. Otherwise, what is missing for it. */
  readonly missing: string | null;
  /** Makes it happen, lets it last, and ends it. */
  strike(field: Field): Promise<void>;
}

/** A fault that happened, in milliseconds since the storm began. */
export interface Strike {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** One sequence of faults, with calm between them: without any, there would rarely be a quorum. */
interface Runner {
  readonly track: Track;
  readonly calmMs: readonly [number, number];
}

const RUNNERS: readonly Runner[] = [
  { track: "node", calmMs: [2_500, 5_000] },
  { track: "node", calmMs: [6_000, 12_000] },
  { track: "network", calmMs: [2_500, 5_500] },
  // A repeated heartbeat is a sign of life, if the term is still the same: without pauses that are
  // longer than an election, a dead leader would seem to live for ever.
  { track: "replay", calmMs: [2_500, 5_000] },
];

/** A storm on a slow machine may take so many times as long, until all has happened. */
const PATIENCE = 2;

/**
 * Lasts so many seconds, and until every nemesis has had its turn; it gets another one when all
 * have had theirs. Resolves when the last fault is over.
 */
export async function storm(
  field: Field,
  nemeses: readonly Nemesis[],
  seconds: number,
): Promise<readonly Strike[]> {
  const strikes: Strike[] = [];
  const startedAt = performance.now();
  const now = () => performance.now() - startedAt;
  const waiting = new Set(nemeses);
  const endIfDone = () => {
    if (now() >= seconds * 1_000 && waiting.size === 0) field.stop();
  };
  const timers = [
    setTimeout(endIfDone, seconds * 1_000),
    setTimeout(() => field.stop(), PATIENCE * seconds * 1_000),
  ];
  const draw = decksOf(field, nemeses);
  const run = async ({ track, calmMs }: Runner): Promise<void> => {
    for (;;) {
      await field.hold(...calmMs);
      const nemesis = field.isOver ? null : draw(track);
      if (nemesis === null) return;
      const fromMs = now();
      await nemesis.strike(field);
      strikes.push({ name: nemesis.name, fromMs, toMs: now() });
      waiting.delete(nemesis);
      endIfDone();
    }
  };
  const runners = await Promise.allSettled(
    RUNNERS.map((runner) =>
      run(runner).catch((error: unknown) => {
        field.stop();
        throw error;
      }),
    ),
  );
  for (const timer of timers) clearTimeout(timer);
  for (const runner of runners) if (runner.status === "rejected") throw runner.reason;
  return strikes;
}

/** Deals out the nemeses of a track in random order, all of them before any comes again. */
function decksOf(field: Field, nemeses: readonly Nemesis[]): (track: Track) => Nemesis | null {
  const decks = new Map<Track, Nemesis[]>();
  return (track) => {
    let deck = decks.get(track) ?? [];
    if (deck.length === 0) {
      deck = field.shuffled(nemeses.filter((nemesis) => nemesis.track === track));
    }
    const next = deck.pop() ?? null;
    decks.set(track, deck);
    return next;
  };
}
