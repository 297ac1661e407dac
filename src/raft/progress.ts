/**
 * How far one follower is, as its leader knows.
 *
 * ```
 *            appended                      refused, unreachable
 *   probe ──────────────► replicate ──────────────────────────────► probe
 *     │                       │
 *     └── the log no longer reaches back to `next` ──► snapshot ──► probe (it ended, or caught up)
 * ```
 *
 * `probe` sends one message and waits; `replicate` sends ahead of the answers, within a window;
 * `snapshot` sends nothing until the transfer has ended.
 */
import { assert } from "../lib/assert.ts";
import { asIndex, type Index, type Millis } from "./types.ts";

export type ProgressMode = "probe" | "replicate" | "snapshot";

/** How much may be on its way to one follower. */
export interface Window {
  readonly bytes: number;
  readonly messages: number;
}

/** Invariants: `promised <= matched < next`; the window is empty unless the mode is `replicate`. */
export class Progress {
  mode: ProgressMode = "probe";
  /** The follower's log is equal to the leader's up to here, and on the follower's disk. */
  matched: Index = asIndex(0);
  /** What counts towards a commit: up to here the follower has promised to keep it. */
  promised: Index = asIndex(0);
  /** Not null: the follower is in doubt under this incarnation, and promises nothing more. */
  doubt: string | null = null;
  /** Where the entry stands that is to end its doubt. */
  asked: Index | null = null;
  /** The next entry to send. */
  next: Index;
  /** When the follower last answered; for CheckQuorum. */
  heardAt: Millis;
  /** The newest read round that the follower has confirmed. */
  readAcked = 0;
  /** The commit index that the follower was last told of. */
  commitTold: Index = asIndex(0);
  /** The follower waits for this to be committed: its clients wrote it. */
  commitAwaited: Index = asIndex(0);
  /** When to tell of a commit at the latest, if nothing else is sent before. */
  commitDueAt: Millis | null = null;
  /** When an answer is overdue, so that a lost message is noticed. */
  retryAt: Millis;
  /** The newest transfer of a snapshot to the follower; in mode `snapshot`, the one under way. */
  transfer = 0;
  /** Where that snapshot ends. */
  snapshotIndex: Index = asIndex(0);
  /**
   * It keeps up with the log (§4.2.1 of the thesis): all that there was at some moment it had
   * within the limit of `noteRound`, the last time that this was measured.
   */
  keepsUp = false;
  private round: { readonly target: Index; readonly startedAt: Millis };
  /** A probe is on its way: send nothing more before its answer, or before `retryAt`. */
  private waiting = false;
  private inflight: { readonly last: Index; readonly bytes: number }[] = [];
  private inflightBytes = 0;

  constructor(next: Index, now: Millis) {
    this.next = next;
    this.heardAt = now;
    this.retryAt = now;
    this.round = { target: asIndex(next - 1), startedAt: now };
  }

  /** Measures whether it keeps up with the log, which ends at `last` now. */
  noteRound(last: Index, now: Millis, limitMs: number): void {
    const took = now - this.round.startedAt;
    const isOver = this.matched >= this.round.target;
    if (isOver) this.round = { target: last, startedAt: now };
    if (isOver || took > limitMs) this.keepsUp = isOver && took <= limitMs;
  }

  /** The follower has lost its log, perhaps: what it said before is not so any more. */
  forget(incarnation: string): void {
    this.doubt = incarnation;
    this.asked = null;
    this.matched = asIndex(0);
    this.promised = asIndex(0);
    this.commitTold = asIndex(0);
    if (this.mode !== "snapshot") this.probeFrom(this.next);
  }

  /** Whether a message with entries may be sent now. */
  mayAppend(window: Window): boolean {
    switch (this.mode) {
      case "probe":
        return !this.waiting;
      case "replicate":
        return this.inflight.length < window.messages && this.inflightBytes < window.bytes;
      case "snapshot":
        return false;
    }
  }

  /** Something was sent that has not been answered. */
  get unanswered(): boolean {
    return this.waiting || this.inflight.length > 0;
  }

  /** An append was sent, with entries up to `last` (before `next`: it had none). */
  sent(last: Index, bytes: number): void {
    if (this.mode === "probe") {
      this.waiting = true;
      return;
    }
    assert(this.mode === "replicate", "appending during a snapshot");
    if (last < this.next) return;
    this.inflight.push({ last, bytes });
    this.inflightBytes += bytes;
    this.next = asIndex(last + 1);
  }

  /**
   * The follower has promised to keep everything up to `matched`: it is not in doubt, or was not
   * yet when it said so. So this counts, but nothing that it has copied besides.
   */
  appended(matched: Index): void {
    this.doubt = null;
    if (matched > this.promised) this.promised = matched;
    this.copied(matched);
  }

  /**
   * The follower holds everything up to `matched`. Answers may come late, twice, in any order. One
   * that tells of less than what the probe builds on is not the probe's, which goes on.
   */
  copied(matched: Index): void {
    const isProbeAnswered = matched >= this.next - 1;
    if (matched > this.matched) this.matched = matched;
    if (this.next <= this.matched) this.next = asIndex(this.matched + 1);
    while (this.inflight[0] !== undefined && this.inflight[0].last <= this.matched) {
      this.inflightBytes -= this.inflight[0].bytes;
      this.inflight.shift();
    }
    if (this.mode === "probe" && isProbeAnswered) this.replicate();
  }

  /** Back to one message at a time, from `next` or what is known to match. */
  probeFrom(next: number): void {
    this.mode = "probe";
    this.next = asIndex(Math.max(next, this.matched + 1));
    this.clear();
  }

  /** The last probe may be lost: the next one may go. */
  stopWaiting(): void {
    this.waiting = false;
  }

  startSnapshot(transfer: number, index: Index): void {
    this.mode = "snapshot";
    this.transfer = transfer;
    this.snapshotIndex = index;
    this.clear();
  }

  private replicate(): void {
    this.mode = "replicate";
    this.next = asIndex(this.matched + 1);
    this.clear();
  }

  private clear(): void {
    this.waiting = false;
    this.inflight = [];
    this.inflightBytes = 0;
  }
}
