/** All watches of a node, served from its own store as commands are applied. */
import type { KvStore } from "../kv/store.ts";
import { CatchUp } from "./catch-up.ts";
import { Groups } from "./groups.ts";
import { type WatchLimits, watchLimits } from "./limits.ts";
import { Listing } from "./listing.ts";
import { Live } from "./live.ts";
import { Rests } from "./rests.ts";
import type { Selection } from "./selection.ts";
import { type Sink, Watcher, type WatchFailure } from "./watcher.ts";

/** Time and turns. */
export interface WatchClock {
  now(): number;
  /** Runs `run` once after `ms`, unless the returned function is called before. */
  after(ms: number, run: () => void): () => void;
  /** Runs `run` soon, after the input that is already waiting has been delivered. */
  defer(run: () => void): void;
}

export interface WatchHubDeps {
  readonly store: KvStore;
  readonly clock: WatchClock;
  /** Whether this node hears of what happens, as far as it knows. */
  hasLeader(): boolean;
  readonly limits?: Partial<WatchLimits> | undefined;
}

export interface WatchOptions {
  readonly selection: Selection;
  /** Tells of what comes after this revision, which may still be to come. */
  readonly since: number;
  /** Whether to tell first what the keys are at that revision, which must be there. */
  readonly initial: boolean;
  readonly sink: Sink;
}

/** Why there is no watch: it would have to begin with what is compacted, or there are too many. */
export type WatchRefusal = "COMPACTED" | "TOO_MANY" | "CLOSED";

/** A watch, as its sink sees it. */
export interface Watch {
  /** The sink takes more again. */
  drained(): void;
  /** Nobody listens any more. */
  close(): void;
}

/**
 * Every watcher is told of each change that it selects once, in order, revision by revision, and
 * without a gap, or that it failed. Nothing is queued for it: what it has not taken is in the
 * store's history, and is told from there when it takes more.
 */
export class WatchHub {
  readonly #deps: WatchHubDeps;
  readonly #limits: WatchLimits;
  readonly #groups = new Groups();
  readonly #watchers = new Set<Watcher>();
  readonly #live: Live;
  readonly #catchUp: CatchUp;
  readonly #listing: Listing;
  readonly #rests: Rests;
  /** They take turns: each alone does as much in one as may be done. */
  readonly #others: readonly { readonly hasWork: boolean; step(): void }[];
  #next = 0;
  readonly #stopListening: () => void;
  /** When a leader was last known; null: while there were no watchers. */
  #ledAt: number | null = null;
  #roundAt = Number.NEGATIVE_INFINITY;
  #isScheduled = false;
  #isTicking = false;
  #isClosed = false;

  constructor(deps: WatchHubDeps) {
    const { store, clock } = deps;
    const limits = { ...watchLimits, ...deps.limits };
    const now = () => clock.now();
    const groups = this.#groups;
    const onLost = (watcher: Watcher) => this.#fail(watcher, "LAGGED");
    const onRest = (watcher: Watcher) => this.#rests.add(watcher);
    const onBehind = (watcher: Watcher) => this.#goOn(watcher);
    const onTold = (watcher: Watcher) => this.#goOn(watcher);
    const onListed = (watcher: Watcher) => {
      watcher.state = "behind";
      this.#catchUp.add(watcher);
    };
    this.#deps = deps;
    this.#limits = limits;
    this.#live = new Live({ store, groups, limits, now, onBehind });
    this.#catchUp = new CatchUp({ store, groups, limits, now, onRest, onLost, live: this.#live });
    this.#listing = new Listing({ store, limits, now, onLost, onListed });
    this.#rests = new Rests({ limits, now, onTold });
    this.#others = [this.#rests, this.#catchUp, this.#listing];
    this.#stopListening = store.listen((change) => this.#onChange(change));
  }

  /** How many there are. */
  get count(): number {
    return this.#watchers.size;
  }

  /** Why a watch from `since` on would be refused now; null: it would not. */
  refusal(since: number): WatchRefusal | null {
    if (this.#isClosed) return "CLOSED";
    if (since + 1 < this.#deps.store.compactRevision) return "COMPACTED";
    return this.#watchers.size >= this.#limits.watchersMax ? "TOO_MANY" : null;
  }

  /** Begins a watch. The sink is not called before the next turn. */
  open(options: WatchOptions): Watch | WatchRefusal {
    const { selection, since, initial, sink } = options;
    const refusal = this.refusal(since);
    if (refusal !== null) return refusal;
    const group = this.#groups.enter(selection);
    const watcher = new Watcher({ group, sink, cursor: since }, this.#deps.clock.now());
    this.#watchers.add(watcher);
    if (initial) watcher.state = "listing";
    this.#goOn(watcher);
    this.#tickLater();
    return {
      drained: () => {
        watcher.drained();
        this.#goOn(watcher);
      },
      close: () => this.#close(watcher),
    };
  }

  /** Ends all watches, and refuses more. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    for (const watcher of this.#watchers) this.#fail(watcher, "SHUTTING_DOWN");
  }

  #goOn(watcher: Watcher): void {
    if (watcher.rest !== null) this.#rests.add(watcher);
    else if (watcher.state === "listing") this.#listing.add(watcher);
    else if (watcher.state === "behind") this.#catchUp.add(watcher);
    this.#schedule();
  }

  #onChange(change: "applied" | "restored"): void {
    if (change === "applied") this.#live.note();
    else this.#onRestored();
    this.#schedule();
  }

  #onRestored(): void {
    const { noted } = this.#live;
    this.#live.scatter();
    if (this.#deps.store.revision >= noted) return;
    // What they were told does not exist in this state.
    for (const watcher of this.#watchers) this.#fail(watcher, "LAGGED");
  }

  /** Has the work done, in turns. */
  #schedule(): void {
    const { clock } = this.#deps;
    if (this.#isScheduled) return;
    if (this.#others.some(({ hasWork }) => hasWork)) {
      this.#isScheduled = true;
      clock.defer(() => this.#turn());
    } else if (this.#live.hasWork) {
      this.#isScheduled = true;
      const waitMs = this.#roundDueMs();
      if (waitMs <= 0) clock.defer(() => this.#turn());
      else clock.after(waitMs, () => this.#turn());
    }
  }

  #turn(): void {
    this.#isScheduled = false;
    if (this.#live.hasWork && this.#roundDueMs() <= 0) {
      this.#live.step();
      // One that is under way goes on in the next turn.
      if (!this.#live.isTelling) this.#roundAt = this.#deps.clock.now();
    }
    this.#stepOther();
    this.#schedule();
  }

  #stepOther(): void {
    const count = this.#others.length;
    for (let tried = 0; tried < count; tried++) {
      const other = this.#others[this.#next];
      this.#next = (this.#next + 1) % count;
      if (other?.hasWork !== true) continue;
      other.step();
      return;
    }
  }

  #roundDueMs(): number {
    return this.#roundAt + this.#limits.roundMs - this.#deps.clock.now();
  }

  /** Nothing runs while there are no watchers. */
  #tickLater(): void {
    if (this.#watchers.size === 0) this.#ledAt = null;
    if (this.#isTicking || this.#watchers.size === 0) return;
    this.#isTicking = true;
    this.#deps.clock.after(this.#limits.tickMs, () => {
      this.#isTicking = false;
      this.#tick();
      this.#tickLater();
    });
  }

  /** Looks at what is due by time, for a bounded number of watchers. */
  #tick(): void {
    const now = this.#deps.clock.now();
    if (this.#deps.hasLeader()) this.#ledAt = now;
    else this.#ledAt ??= now;
    const isCutOff = now - this.#ledAt >= this.#limits.leaderlessMs;
    let count = 0;
    for (const watcher of this.#watchers) {
      if (count === this.#limits.writesPerTurn) return;
      if (isCutOff) this.#fail(watcher, "NO_LEADER");
      if (isCutOff || this.#look(watcher, now)) count += 1;
    }
  }

  /** Returns whether the watcher was told something. */
  #look(watcher: Watcher, now: number): boolean {
    const { progressMs, keepAliveMs, stallMs } = this.#limits;
    const { fullSince } = watcher;
    if (fullSince !== null && now - fullSince >= stallMs) {
      this.#close(watcher);
      watcher.sink.abort();
      return true;
    }
    if (watcher.state !== "inStep" && this.#catchUp.isLost(watcher)) {
      this.#fail(watcher, "LAGGED");
      return true;
    }
    if (fullSince !== null) return false;
    const isIdle = now - watcher.toldAt >= progressMs || !watcher.isGreeted;
    if (watcher.state === "inStep" && isIdle && this.#live.progress(watcher)) return true;
    if (now - watcher.keptAliveAt < keepAliveMs) return false;
    watcher.keptAliveAt = now;
    if (!watcher.sink.keepAlive()) watcher.fullSince = now;
    return true;
  }

  #fail(watcher: Watcher, code: WatchFailure["code"]): void {
    const { compactRevision: oldest, revision: current } = this.#deps.store;
    this.#close(watcher);
    watcher.sink.fail({ code, oldest, current });
  }

  #close(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    watcher.state = "closed";
    watcher.rest = null;
    this.#live.leave(watcher);
    this.#catchUp.leave(watcher);
    this.#listing.leave(watcher);
    this.#rests.leave(watcher);
    this.#groups.leave(watcher.group);
  }
}
