/**
 * Linearizable reads without writing to the log (§6.4 of the thesis).
 *
 * Every round has a number, which the leader's process never uses twice, not even in another term.
 * Heartbeats carry it, answers repeat it, and a round is confirmed when a quorum has answered this
 * number or a later one: no newer leader existed when the round began. A round vouches only for
 * reads that arrived before it was sent.
 */
import type { Index, Millis } from "./types.ts";

/** A read that may be served from the state at `index` or later. */
export interface ConfirmedRead {
  readonly token: number;
  readonly index: Index;
  /** The leader's lease vouches for it, and not a quorum that was asked. */
  readonly byLease: boolean;
}

/** A question that is under way, and the reads that ride along: none with a mere heartbeat. */
interface Round {
  readonly seq: number;
  readonly index: Index | null;
  readonly tokens: readonly number[];
  readonly sentAt: Millis;
}

/** What a quorum has confirmed. */
export interface Confirmed {
  readonly reads: readonly ConfirmedRead[];
  /** When the newest confirmed round was sent; null: none was confirmed. */
  readonly sentAt: Millis | null;
}

export class ReadQueue {
  /** The number of the last round that was sent. */
  seq = 0;
  private waiting: { readonly token: number; readonly byLease: boolean }[] = [];
  private rounds: Round[] = [];

  /** Takes a read that the next round will confirm, or a lease, if that will do. */
  add(token: number, byLease: boolean): void {
    this.waiting.push({ token, byLease });
  }

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  get hasRound(): boolean {
    return this.rounds.length > 0;
  }

  /** Whether reads wait for a round that is under way. */
  get isAsking(): boolean {
    return this.rounds.some(({ tokens }) => tokens.length > 0);
  }

  /** Starts a round for everything that waits; `index` is the commit index now. Null: for none. */
  startRound(now: Millis, index: Index | null): void {
    this.seq += 1;
    const tokens = index === null ? [] : this.waiting.map(({ token }) => token);
    if (index !== null) this.waiting = [];
    this.rounds.push({ seq: this.seq, index, tokens, sentAt: now });
  }

  /** Takes out the reads of all rounds up to `seq`, which a quorum has confirmed. */
  confirm(seq: number): Confirmed {
    const reads: ConfirmedRead[] = [];
    let sentAt: Millis | null = null;
    while (this.rounds[0] !== undefined && this.rounds[0].seq <= seq) {
      const { index, tokens } = this.rounds[0];
      if (index !== null) for (const token of tokens) reads.push({ token, index, byLease: false });
      ({ sentAt } = this.rounds[0]);
      this.rounds.shift();
    }
    return { reads, sentAt };
  }

  /** Takes out what waits and a lease will do for; `index` is the commit index now. */
  takeLeased(index: Index): readonly ConfirmedRead[] {
    const taken = this.waiting.filter(({ byLease }) => byLease);
    if (taken.length > 0) this.waiting = this.waiting.filter(({ byLease }) => !byLease);
    return taken.map(({ token }) => ({ token, index, byLease: true }));
  }

  /** Takes out every read: leadership is lost. */
  abandon(): readonly number[] {
    const waiting = this.waiting.map(({ token }) => token);
    const lost = this.rounds.flatMap(({ tokens }) => tokens).concat(waiting);
    this.rounds = [];
    this.waiting = [];
    return lost;
  }
}
