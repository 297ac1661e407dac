/**
 * Linearizable reads without writing to the log (§6.4 of the thesis).
 *
 * Every round has a number, which the leader's process never uses twice, not even in another term.
 * Heartbeats carry it, answers repeat it, and a round is confirmed when a quorum has answered this
 * number or a later one: no newer leader existed when the round began. A round vouches only for
 * reads that arrived before it was sent.
 */
import type { Index } from "./types.ts";

/** A read that may be served from the state at `index` or later. */
export interface ConfirmedRead {
  readonly token: number;
  readonly index: Index;
}

export class ReadQueue {
  /** The number of the last round that was sent. */
  seq = 0;
  private waiting: number[] = [];
  private rounds: { readonly seq: number; readonly index: Index; readonly tokens: number[] }[] = [];

  /** Takes a read that the next round will confirm. */
  add(token: number): void {
    this.waiting.push(token);
  }

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  get hasRound(): boolean {
    return this.rounds.length > 0;
  }

  /** Starts a round for everything that waits; `index` is the commit index now. */
  startRound(index: Index): void {
    this.seq += 1;
    this.rounds.push({ seq: this.seq, index, tokens: this.waiting });
    this.waiting = [];
  }

  /** Takes out the reads of all rounds up to `seq`, which a quorum has confirmed. */
  confirm(seq: number): readonly ConfirmedRead[] {
    const confirmed: ConfirmedRead[] = [];
    while (this.rounds[0] !== undefined && this.rounds[0].seq <= seq) {
      const { index, tokens } = this.rounds[0];
      for (const token of tokens) confirmed.push({ token, index });
      this.rounds.shift();
    }
    return confirmed;
  }

  /** Takes out every read: leadership is lost. */
  abandon(): readonly number[] {
    const lost = this.rounds.flatMap((round) => round.tokens).concat(this.waiting);
    this.rounds = [];
    this.waiting = [];
    return lost;
  }
}
