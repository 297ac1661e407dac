/**
 * Renewing what ends by itself, and knowing when it may have ended: before the cluster thinks so.
 *
 * The cluster counts from the moment at which it takes a renewal. Here it is counted from before
 * the request was sent, by a clock that is never set, so this end always comes first.
 */
import type { CallOptions } from "./caller.ts";
import { QuorateError } from "./error.ts";
import { pause } from "./pause.ts";

/** Something with a time to live. */
export interface Term {
  readonly ttlMs: number;
  /** When it began at the latest: before it was asked for, by `performance.now()`. */
  readonly since: number;
}

export interface RenewalOptions {
  /** Renews it, or rejects. */
  readonly renew: (options: CallOptions) => Promise<unknown>;
  /** Is told of each renewal. */
  readonly onRenewed: (since: number) => void;
  /** Whether the first renewal shall be at once. Left out: when it is time. */
  readonly isDue?: boolean;
  readonly signal: AbortSignal;
}

/** Clocks of different machines may run so differently, and timers may be late. */
const SURE_SHARE = 0.95;
/** Renewed when so much of the time is over; then there is time for several attempts. */
const RENEW_SHARE = 1 / 3;
/** An attempt may take so much of the time, and another one may then ask another node. */
const ATTEMPT_SHARE = 1 / 4;
/** Less would be too little for a disk that is slow for a moment. */
const ATTEMPT_MIN_MS = 500;
/** A node that takes longer is not the one to ask. */
const ATTEMPT_MAX_MS = 10_000;
/** Between two attempts, where the first one failed at once. */
const PAUSE_SHARE = 1 / 20;

/** That it is gone, as the servers say it. */
const GONE = new Set(["LEASE_NOT_FOUND", "LOCK_HELD", "CLOSED"]);

/** Until when it is certainly not over, by `performance.now()`. */
export function sureUntil({ since, ttlMs }: Term): number {
  return since + ttlMs * SURE_SHARE;
}

/** When to renew it, by `performance.now()`. */
export function renewAt({ since, ttlMs }: Term): number {
  return since + ttlMs * RENEW_SHARE;
}

/**
 * Renews it until the signal is aborted, and then resolves. Rejects with what says that it is gone,
 * or with the last failure when it may be over.
 */
export async function keepRenewed(term: Term, options: RenewalOptions): Promise<void> {
  const { signal, onRenewed, isDue = false } = options;
  const { ttlMs } = term;
  let { since } = term;
  let nextAt = isDue ? since : renewAt(term);
  try {
    for (;;) {
      await pause(Math.max(0, nextAt - performance.now()), signal);
      since = await renewed({ since, ttlMs }, options);
      onRenewed(since);
      nextAt = renewAt({ since, ttlMs });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Tries until it is renewed or may be over. Returns since when it is, at the latest. */
async function renewed(term: Term, { renew, signal }: RenewalOptions): Promise<number> {
  const until = sureUntil(term);
  for (;;) {
    const since = performance.now();
    const attemptMs = Math.max(term.ttlMs * ATTEMPT_SHARE, ATTEMPT_MIN_MS);
    const timeoutMs = Math.max(1, Math.min(until - since, attemptMs, ATTEMPT_MAX_MS));
    try {
      await renew({ timeoutMs, signal });
      return since;
    } catch (error) {
      if (signal.aborted || !(error instanceof QuorateError) || GONE.has(error.code)) throw error;
      if (performance.now() >= until) throw error;
    }
    await pause(Math.min(term.ttlMs * PAUSE_SHARE, ATTEMPT_MAX_MS), signal);
  }
}
