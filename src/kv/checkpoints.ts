/** What the chain of a state was at places that are not long ago: what nodes compare. */
import { type Digest, textOf } from "./digest.ts";

/** Every place is kept for so many commands, and … */
export const PLACES_RECENT = 256;
/** … each of these for so many times as long: at 20,000 commands a second, for three seconds. */
export const PLACES_APART = 256;

/** Bounded: the oldest places are forgotten. Known to this node only, and lost at a restart. */
export class Checkpoints {
  private readonly recent = new Ring(1);
  private readonly rare = new Ring(PLACES_APART);

  /** The chain after so many commands. */
  note(place: number, chain: Digest): void {
    this.recent.set(place, chain);
    if (place % PLACES_APART === 0) this.rare.set(place, chain);
  }

  /** Null: forgotten, or not reached. */
  at(place: number): string | null {
    return this.recent.get(place) ?? this.rare.get(place);
  }
}

/** Values at places so far apart. */
class Ring {
  private readonly apart: number;
  private readonly places = new Float64Array(PLACES_RECENT).fill(-1);
  private readonly words = new Int32Array(2 * PLACES_RECENT);

  constructor(apart: number) {
    this.apart = apart;
  }

  set(place: number, { first, second }: Digest): void {
    const at = this.slotOf(place);
    this.places[at] = place;
    this.words[2 * at] = first;
    this.words[2 * at + 1] = second;
  }

  get(place: number): string | null {
    const at = this.slotOf(place);
    if (this.places[at] !== place) return null;
    return textOf(this.words[2 * at] ?? 0, this.words[2 * at + 1] ?? 0);
  }

  private slotOf(place: number): number {
    return Math.floor(place / this.apart) % PLACES_RECENT;
  }
}

/**
 * The newest place not after `wanted` that a node still knows which has gone on to `now`, and some
 * more until it is asked.
 */
export function comparable(wanted: number, now: number): number {
  return now - wanted < PLACES_RECENT / 2 ? wanted : wanted - (wanted % PLACES_APART);
}
