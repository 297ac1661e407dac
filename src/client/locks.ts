/**
 * Locks that are renewed in the background, and that say when they may be lost.
 *
 * A holder that was away for too long is told, by a signal, before another one gets the lock. What
 * it has under way then may still arrive late: only writes that name the token are safe from that.
 */
import { randomUUID } from "node:crypto";
import type { Caller, CallOptions } from "./caller.ts";
import { keyOf, secondsOf, textOf } from "./checks.ts";
import { isPassing, QuorateError } from "./error.ts";
import { pause, TIMER_MAX_MS } from "./pause.ts";
import { keepRenewed, renewAt, sureUntil, type Term } from "./renewal.ts";
import { pauseMs } from "./retry-budget.ts";
import { runTxn } from "./txn.ts";
import { pathOf, queryOf } from "./values.ts";

export interface LockOptions {
  /** Who wants it, for others to see: 200 characters. The same name twice is two holders. */
  readonly owner?: string | undefined;
  /** How long the lock outlives its holder, in milliseconds: 10 seconds by default. */
  readonly ttlMs?: number | undefined;
  /** How long to wait for it, in milliseconds, at most a minute. 0, the default: LOCK_HELD. */
  readonly waitMs?: number | undefined;
  /** Ends the waiting, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a write compares, so that it is done only while the lock is held. */
export interface Guard {
  readonly key: string;
  readonly createRevision: number;
}

const TTL_DEFAULT_MS = 10_000;
/** To tell that a lock is not needed any more takes so long at most; then it ends by itself. */
const CLEAR_MS = 2_000;

interface WireLock {
  readonly token: number;
  readonly owner: string;
  readonly key: string;
}

/** A wish for a lock, with everything said. */
interface Wish {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A lock that is held, and renewed until it is released. */
export class Lock {
  readonly name: string;
  /** Greater than that of any earlier holder. */
  readonly token: number;
  /** Compare this in every transaction that the lock guards. */
  readonly guard: Guard;
  /** Aborted when the lock may be lost, with a QuorateError LOCK_LOST as its reason. */
  readonly signal: AbortSignal;
  readonly #caller: Caller;
  readonly #ending = new AbortController();
  readonly #lost = new AbortController();
  /** Until when it is certainly held, by `performance.now()`. */
  #until: number;

  /** Is given a lock that is held since `term.since` at the latest. */
  constructor(
    caller: Caller,
    { name, term, held }: { readonly name: string; readonly term: Term; readonly held: WireLock },
  ) {
    this.name = name;
    this.token = held.token;
    this.guard = { key: held.key, createRevision: held.token };
    this.#caller = caller;
    this.signal = this.#lost.signal;
    this.#until = sureUntil(term);
    void this.#keep(term);
  }

  /**
   * Throws LOCK_LOST where it may be lost by now. `signal` cannot tell whoever holds the event
   * loop, nor anybody while the process stands still: ask here before what matters, and afterwards.
   */
  throwIfLost(): void {
    if (performance.now() >= this.#until) this.#lose(undefined);
    this.signal.throwIfAborted();
  }

  /** Gives the lock back. Rejects with QuorateError where nobody can be told: then it will end. */
  async release(options: CallOptions = {}): Promise<void> {
    this.#ending.abort();
    const path = `${pathOf("locks", this.name)}${queryOf({ token: this.token })}`;
    await this.#caller.call({ kind: "same", method: "DELETE", path }, options);
  }

  /** As `release`, but without an error: it ends by itself when nobody can be told. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release({ timeoutMs: CLEAR_MS });
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
    }
  }

  /** Renews it for as long as it is not released, and says when it may be lost. */
  async #keep(term: Term): Promise<void> {
    const { name, token } = this;
    const { ttlMs } = term;
    // Beside the renewals, so that none of them can be waited for too long.
    const watch = () => {
      const leftMs = this.#until - performance.now();
      if (leftMs <= 0) this.#lose(undefined);
      else timer = setTimeout(watch, Math.min(leftMs, TIMER_MAX_MS));
    };
    let timer: NodeJS.Timeout | undefined;
    watch();
    try {
      await keepRenewed(term, {
        renew: (options) => renewLock(this.#caller, { name, token, ttlMs }, options),
        onRenewed: (since) => {
          this.#until = sureUntil({ ...term, since });
        },
        signal: AbortSignal.any([this.#ending.signal, this.signal]),
      });
    } catch (error) {
      this.#lose(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** One that was given back is not lost. */
  #lose(cause: unknown): void {
    if (!this.#ending.signal.aborted) this.#lost.abort(lockLost(this.name, cause));
  }
}

/** Takes the lock. Rejects with LOCK_HELD when the wait is over. */
export async function acquireLock(
  caller: Caller,
  name: string,
  options: LockOptions,
): Promise<Lock> {
  const { owner, ttlMs = TTL_DEFAULT_MS, waitMs = 0, signal } = options;
  keyOf("the name of a lock", name);
  secondsOf("ttlMs", ttlMs);
  secondsOf("waitMs", waitMs);
  if (owner !== undefined) textOf("owner", owner);
  const begun = performance.now();
  const waitUntil = begun + waitMs;
  for (let attempt = 1; ; attempt++) {
    // Each attempt has a name of its own: of one that was given up, a node may still be giving back
    // the lock when the next one holds it.
    const unique = owner === undefined ? randomUUID() : `${owner} ${randomUUID()}`;
    const leftMs = Math.min(waitMs, Math.max(0, waitUntil - performance.now()));
    const wish = { name, owner: unique, ttlMs, waitMs: leftMs, signal };
    try {
      return await tryLock(caller, wish);
    } catch (error) {
      // Also where nobody asks again: it would be in the way of others.
      const cleared = mayBeHeld(error) ? abandon(caller, wish) : Promise.resolve();
      if (!(error instanceof QuorateError) || !isPassing(error)) throw error;
      // Where nobody is there, nobody is waited for either.
      const until = error.code === "UNREACHABLE" ? begun : waitUntil;
      if (performance.now() >= until + caller.timeoutMs) throw error;
      await cleared;
    }
    await pause(pauseMs(attempt), signal);
  }
}

/** Holds the lock while `work` is done, and rejects when it may have been lost in between. */
export async function withLock<T>(lock: Lock, work: (lock: Lock) => Promise<T> | T): Promise<T> {
  try {
    const result = await work(lock);
    lock.throwIfLost();
    return result;
  } finally {
    await lock[Symbol.asyncDispose]();
  }
}

async function tryLock(caller: Caller, wish: Wish): Promise<Lock> {
  const { name, owner, ttlMs, waitMs, signal } = wish;
  const path = pathOf("locks", name);
  const body = JSON.stringify({ owner, ttl: ttlMs / 1_000, wait: waitMs / 1_000 });
  const headers = { "content-type": "application/json" };
  const call = { kind: "once", method: "POST", path, headers, body, waitMs } as const;
  const since = performance.now();
  const held = await caller.ask<WireLock>(call, { signal });
  const term = await freshTerm(caller, { name, term: { since, ttlMs }, held, signal });
  return new Lock(caller, { name, term, held });
}

/** Whether the wish may have left something behind. */
function mayBeHeld(error: unknown): boolean {
  if (!(error instanceof QuorateError)) return true;
  return error.code !== "LOCK_HELD" && error.code !== "UNREACHABLE";
}

interface Taken {
  readonly name: string;
  readonly term: Term;
  readonly held: WireLock;
  readonly signal: AbortSignal | undefined;
}

/** After a wait nobody here knows when the time of the lock began, so it begins anew. */
async function freshTerm(caller: Caller, { name, term, held, signal }: Taken): Promise<Term> {
  if (performance.now() < renewAt(term)) return term;
  const since = performance.now();
  await renewLock(caller, { ...term, name, token: held.token }, { signal });
  return { ...term, since };
}

function renewLock(
  caller: Caller,
  { name, token, ttlMs }: { readonly name: string; readonly token: number; readonly ttlMs: number },
  options: CallOptions,
): Promise<unknown> {
  const path = pathOf("locks", name);
  const body = JSON.stringify({ token, ttl: ttlMs / 1_000 });
  const headers = { "content-type": "application/json" };
  return caller.call({ kind: "same", method: "PUT", path, headers, body }, options);
}

/**
 * Nobody knows what became of the wish: removes the key that stands for it. By a transaction, as
 * that key may be longer than a path can hold.
 */
async function abandon(caller: Caller, { name, owner }: Wish): Promise<void> {
  const key = `locks/${encodeURIComponent(name)}/${encodeURIComponent(owner)}`;
  try {
    await runTxn(caller, { success: [{ delete: { key } }] }, { timeoutMs: CLEAR_MS });
  } catch (error) {
    // It ends by itself, with its time.
    if (!(error instanceof QuorateError)) throw error;
  }
}

function lockLost(name: string, cause: unknown): QuorateError {
  const facts = { code: "LOCK_LOST", outcome: "unknown", retryable: false } as const;
  return new QuorateError(`the lock "${name}" may be lost: it was not renewed`, {
    ...facts,
    cause,
  });
}
