/**
 * Locks, made of nothing but keys: whoever wants one puts a key of its own below the lock's name,
 * with a lease of its own, and holds the lock while that key is the oldest there. So waiting is
 * fair, a holder that is gone loses the lock when its time is over, and the revision that created
 * its key is a token that only grows from holder to holder (X7).
 */
import { type Command, encodeCommand, type PlainCommand } from "../kv/command.ts";
import type { Key } from "../kv/key.ts";
import type { Compare, LeaseChoice, Operation } from "../kv/operation.ts";
import type { Done, KvResult } from "../kv/result.ts";
import type { KvStore, Oldest } from "../kv/store.ts";
import type { KeyValue } from "../kv/version.ts";
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError, tooManyReplies, usedForAnother } from "./errors.ts";
import {
  compareOf,
  entering,
  putOf,
  questionWhetherHeld,
  removalOf,
  sameEntry,
  saysHeld,
} from "./lock-commands.ts";
import {
  keyFor,
  LockRows,
  ownerIn,
  prefixOf,
  ROW_MAX,
  rowAt,
  tooManyKeys,
  tooManyWait,
} from "./lock-rows.ts";
import type { HolderWish, LockWish, ReleaseWish } from "./lock-wishes.ts";
import type { RevisionWaits } from "./revision-waits.ts";
import type { Writer } from "./writes.ts";

export interface LocksDeps {
  readonly store: KvStore;
  readonly writer: Pick<Writer, "write">;
  readonly revisions: Pick<RevisionWaits, "whenReached">;
  readonly clock: Clock;
  /** Resolves when this node's state holds all that was acknowledged before. */
  caughtUp(deadline: Millis): Promise<void>;
}

/** A lock that is held. */
export interface HeldLock {
  /** The key that stands for it: to be compared in the transactions that it guards. */
  readonly key: Key;
  /** The key's create revision: greater than that of any earlier holder. */
  readonly token: number;
  readonly owner: string;
}

/** What came of a wish, and whether that is what came of an earlier one of the same name. */
export interface TakenLock extends HeldLock {
  readonly isReplay: boolean;
}

/** As TakenLock. */
export interface ReleasedLock {
  /** It was held under the token. */
  readonly released: boolean;
  readonly isReplay: boolean;
}

/** Who holds a lock, and how many wait for it. */
export interface LockState {
  readonly holder: HeldLock | null;
  readonly waiting: number;
}

/** Where a request stands in the row. */
interface Place {
  readonly key: Key;
  /** It made the key, rather than find it there: only then may it take it away. */
  readonly isOwn: boolean;
  /** When it came, nobody had been told that it holds the lock by this key. */
  readonly isUntold: boolean;
  /** At which it came, and the key's own for as long as nobody else has come by this name. */
  readonly revision: number;
}

/** Locks of this node's clients. */
export class Locks {
  readonly #deps: LocksDeps;
  readonly #rows: LockRows;

  constructor(deps: LocksDeps) {
    this.#deps = deps;
    this.#rows = new LockRows(deps);
  }

  /**
   * Takes the lock, or waits for it. Rejects with OVERLOADED where too many do, and with LOCK_HELD
   * when the wait is over, or nobody is there any more who waits: then what the request has made is
   * taken away again, unless another one of the same owner has come by it.
   */
  async acquire(wish: LockWish, gone: AbortSignal): Promise<TakenLock> {
    const key = keyFor(wish.name, wish.owner);
    this.#checkRow(key, wish);
    const { place, isAgain } = await this.#enterFirst(key, wish);
    try {
      const held = await this.#waitInRow(place, { wish, gone });
      return { ...held, isReplay: isAgain && held.token < place.revision };
    } catch (error) {
      throw afterEntering(error);
    }
  }

  async #waitInRow(
    first: Place,
    { wish, gone }: { readonly wish: LockWish; readonly gone: AbortSignal },
  ): Promise<HeldLock> {
    const { clock } = this.#deps;
    const { key } = first;
    const until = (clock.now() + wish.waitMs) as Millis;
    let place = first;
    for (;;) {
      const row = this.#rowNow(wish.name);
      const own = this.#deps.store.get(key);
      if (gone.aborted || row === null) return this.#giveUp(place, wish);
      if (own !== null && row.oldest?.key === key) {
        const held = await this.#hold(own, place, wish);
        if (held !== null) return held;
        continue;
      }
      // Behind another it was nobody's lock yet.
      if (own?.modRevision === place.revision) place = { ...place, isUntold: true };
      // Waited for longer than anybody should: it is gone, and so is the place in the row.
      if (own === null) place = await this.#enter(key, wish);
      else if (!place.isOwn && this.#leftMs(own) < until - clock.now()) {
        const ttlMs = Math.ceil(until - clock.now()) + wish.ttlMs;
        await this.#putSince(own, { kind: "ttl", ttlMs }, wish);
      } else if (!(await this.#hasTurn(key, until, gone))) return this.#giveUp(place, wish);
    }
  }

  /** Lets the lock begin anew, for its holder. Rejects with LOCK_HELD if it is not held so. */
  async renew(wish: HolderWish, ttlMs: number): Promise<HeldLock> {
    const held = await this.#find(wish);
    if (held === null) throw notHeld(wish.name);
    const put = putOf(held.key, ownerIn(held), { kind: "ttl", ttlMs });
    if (await this.#guarded(sameEntry(held), put, wish.timeoutMs)) return lockOf(held);
    throw notHeld(wish.name);
  }

  /**
   * Gives the lock back. Not released: it was not held under this token, or not any more. Under an
   * idempotency key, what is remembered is whether it was held: then it is given back, by this
   * request or by an earlier one.
   */
  async release(wish: ReleaseWish): Promise<ReleasedLock> {
    const { name, token, timeoutMs, idempotencyKey } = wish;
    if (idempotencyKey === null) return { released: await this.#release(wish), isReplay: false };
    const command = questionWhetherHeld(name, token);
    const asked = await this.#once(idempotencyKey, command, timeoutMs);
    const released = saysHeld(asked);
    if (released) await this.#release(wish);
    return { released, isReplay: asked.replayed === true };
  }

  async #release(wish: HolderWish): Promise<boolean> {
    const held = await this.#find(wish);
    if (held === null) return false;
    return this.#guarded(sameEntry(held), removalOf(held.key), wish.timeoutMs);
  }

  async state(name: string, deadline: Millis): Promise<LockState> {
    await this.#deps.caughtUp(deadline);
    const { oldest, count } = this.#row(name);
    return { holder: oldest === null ? null : lockOf(oldest), waiting: Math.max(0, count - 1) };
  }

  /**
   * Enters under the wish's idempotency key, if it has one. Where a request came by that before,
   * this one enters after it as another one of the same owner: what that one made may be gone.
   */
  async #enterFirst(key: Key, wish: LockWish): Promise<{ place: Place; isAgain: boolean }> {
    const { idempotencyKey, timeoutMs } = wish;
    if (idempotencyKey === null) return { place: await this.#enter(key, wish), isAgain: false };
    const result = await this.#once(idempotencyKey, entering(key, wish), timeoutMs);
    if (result.replayed === true) return { place: await this.#enter(key, wish), isAgain: true };
    return { place: placeIn(key, result), isAgain: false };
  }

  async #enter(key: Key, wish: LockWish): Promise<Place> {
    return placeIn(key, await this.#write(entering(key, wish), wish.timeoutMs));
  }

  /**
   * It is the oldest. From now on its time is that of a holder; but what another request was told
   * is never shortened. Null: another one has come by it, so look again.
   */
  async #hold(own: KeyValue, place: Place, wish: LockWish): Promise<HeldLock | null> {
    const isLast = own.modRevision === place.revision;
    const mayShorten = isLast && place.isUntold;
    const isLonger = !mayShorten && this.#leftMs(own) >= wish.ttlMs;
    // What it came with says so. Whoever has waited may see an old state, so the log must tell.
    if (wish.waitMs === 0 && isLast && (mayShorten || isLonger)) return lockOf(own);
    const lease: LeaseChoice = isLonger ? { kind: "keep" } : { kind: "ttl", ttlMs: wish.ttlMs };
    return (await this.#putSince(own, lease, wish)) ? lockOf(own) : null;
  }

  /** Puts the key again, unless somebody has come by it since it was found so. */
  #putSince(own: KeyValue, lease: LeaseChoice, { owner, timeoutMs }: LockWish): Promise<boolean> {
    const put = putOf(own.key, owner, lease);
    return this.#guarded(compareOf(own.key, "modRevision", own.modRevision), put, timeoutMs);
  }

  /** How long the key lives without anybody's doing: at most, as time may have gone on. */
  #leftMs({ lease }: KeyValue): number {
    const { store } = this.#deps;
    const found = lease === undefined ? null : store.anyLease(lease);
    return found === null ? Number.POSITIVE_INFINITY : found.deadline - store.clusterTime;
  }

  /** It may be that an earlier request of this owner was told that it holds the lock. */
  async #giveUp(place: Place, { name, timeoutMs }: LockWish): Promise<never> {
    if (place.isOwn) {
      const since = compareOf(place.key, "modRevision", place.revision);
      await this.#guarded(since, removalOf(place.key), timeoutMs);
    }
    const holder = this.#rowNow(name)?.oldest ?? null;
    const details = holder === null ? {} : { owner: ownerIn(holder), token: holder.createRevision };
    throw new ServiceError("LOCK_HELD", `the lock "${name}" is held by another`, { details });
  }

  /** Whether there is something to look at before that time, and somebody still waits. */
  #hasTurn(key: Key, until: Millis, gone: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    const leftMs = until - clock.now();
    if (leftMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const finish = (hasTurn: boolean) => {
        stopTimer();
        stopWaiting();
        gone.removeEventListener("abort", onGone);
        resolve(hasTurn);
      };
      const onGone = () => finish(false);
      const stopTimer = clock.after(leftMs, () => finish(false));
      const stopWaiting = this.#rows.whenTurn(key, () => finish(true));
      gone.addEventListener("abort", onGone);
    });
  }

  async #find({ name, token, timeoutMs }: HolderWish): Promise<KeyValue | null> {
    await this.#deps.caughtUp(this.#deadline(timeoutMs));
    const { oldest } = this.#row(name);
    return oldest?.createRevision === token ? oldest : null;
  }

  /** Does this if that holds. Returns whether it did. */
  async #guarded(compare: Compare, operation: Operation, timeoutMs: number): Promise<boolean> {
    const txn = { type: "txn", compares: [compare], success: [operation], failure: [] } as const;
    const result = await this.#write(txn, timeoutMs);
    return result.ok && result.txn?.succeeded === true;
  }

  /** Does this unless it was done under this name before. */
  async #once(key: string, command: PlainCommand, timeoutMs: number): Promise<Done> {
    const result = await this.#write({ type: "once", key, command }, timeoutMs);
    if (result.ok) return result;
    if (result.code === "IDEMPOTENCY_CONFLICT") throw usedForAnother();
    if (result.code === "TOO_MANY_REPLIES") throw tooManyReplies();
    throw new ServiceError("OVERLOADED", "more wait for this lock than can be looked at");
  }

  #write(command: Command, timeoutMs: number): Promise<KvResult> {
    return this.#deps.writer.write(encodeCommand(command), this.#deadline(timeoutMs));
  }

  #deadline(timeoutMs: number): Millis {
    return (this.#deps.clock.now() + timeoutMs) as Millis;
  }

  /** Throws OVERLOADED where no more may want the lock, unless somebody has come by this key. */
  #checkRow(key: Key, { name }: LockWish): void {
    if (this.#row(name).count >= ROW_MAX && this.#deps.store.get(key) === null) {
      throw tooManyWait(name);
    }
  }

  /** Who holds the lock, and how many want it. Throws OVERLOADED where there are too many keys. */
  #row(name: string): Oldest {
    const row = this.#rowNow(name);
    if (row === null) throw tooManyKeys(name);
    return row;
  }

  #rowNow(name: string): Oldest | null {
    return rowAt(this.#deps.store, prefixOf(name));
  }
}

function placeIn(key: Key, result: KvResult): Place {
  const isOwn = result.ok && result.txn?.succeeded === true;
  return { key, isOwn, isUntold: isOwn, revision: result.revision };
}

function lockOf(entry: KeyValue): HeldLock {
  return { key: entry.key, token: entry.createRevision, owner: ownerIn(entry) };
}

/** The place in the row stays until its time is over, or may be the holder's by then. */
function afterEntering(error: unknown): unknown {
  if (!(error instanceof ServiceError)) return error;
  if (error.code === "LOCK_HELD" || error.outcome === "unknown") return error;
  return new ServiceError("COMMIT_TIMEOUT", `the wish for the lock stands: ${error.message}`, {
    cause: error,
  });
}

function notHeld(name: string): ServiceError {
  return new ServiceError("LOCK_HELD", `the lock "${name}" is not held under this token`);
}
