/** Watchers that are in step: changes are noted as they are applied, and told in batches. */
import { assert } from "../lib/assert.ts";
import type { KvStore } from "../kv/store.ts";
import { batchesOf, type Batch } from "./batch.ts";
import type { Groups } from "./groups.ts";
import type { WatchLimits } from "./limits.ts";
import { eventOf } from "./selection.ts";
import type { Group, Watcher } from "./watcher.ts";

export interface LiveDeps {
  readonly store: KvStore;
  readonly groups: Groups;
  readonly limits: WatchLimits;
  now(): number;
  /** Takes over a watcher that is not in step any more. */
  onBehind(watcher: Watcher): void;
}

/**
 * What is noted holds on to the changes themselves, so that no compaction can come between the
 * apply and the telling. It is no more than was applied since the last round.
 */
export class Live {
  readonly #deps: LiveDeps;
  /** Changes up to here are noted. */
  #noted: number;
  /** Everything up to here was told to all who are in step. */
  #told: number;
  #touched = new Set<Group>();
  /** The round that is under way, and up to where it tells. */
  #round: { readonly steps: Iterator<void>; readonly to: number } | null = null;

  constructor(deps: LiveDeps) {
    this.#deps = deps;
    this.#noted = deps.store.revision;
    this.#told = this.#noted;
  }

  /** Watchers that were told up to here or further can join. */
  get noted(): number {
    return this.#noted;
  }

  /** Whether there is something to tell. */
  get hasWork(): boolean {
    return this.#round !== null || this.#touched.size > 0;
  }

  /** Whether a round is under way. */
  get isTelling(): boolean {
    return this.#round !== null;
  }

  /** Notes what was applied. */
  note(): void {
    const { store, groups } = this.#deps;
    const changes = groups.isEmpty ? [] : store.changesFrom(this.#noted + 1);
    for (const version of changes) {
      groups.visit(version.key, (group) => {
        if (group.inStep.size === 0) return;
        const event = eventOf(group.selection, version, store.compactRevision);
        if (event === null) return;
        group.pending.push(event);
        this.#touched.add(group);
      });
    }
    this.#noted = store.revision;
    if (!this.hasWork) this.#told = this.#noted;
  }

  /** The watcher is in step from now on. It must have been told up to `noted` or further. */
  join(watcher: Watcher): void {
    assert(watcher.cursor >= this.#noted, "a watcher that is behind joins those in step");
    watcher.state = "inStep";
    watcher.group.inStep.add(watcher);
    if (!watcher.isGreeted) this.progress(watcher);
  }

  /** The watcher is closed. */
  leave(watcher: Watcher): void {
    watcher.group.inStep.delete(watcher);
  }

  /**
   * Tells it how far it was told, unless it still waits for the revision that it begins after.
   * Returns whether it did.
   */
  progress(watcher: Watcher): boolean {
    // While a round is under way, some were told more than others.
    const revision = Math.max(watcher.cursor, this.#told);
    if (revision > this.#noted) return false;
    watcher.progress(revision, this.#deps.now());
    return true;
  }

  /** Tells a bounded number of watchers what is new, and encodes a bounded number of bytes. */
  step(): void {
    this.#round ??= this.#begin();
    if (this.#round.steps.next().done !== true) return;
    this.#told = this.#round.to;
    this.#round = null;
    if (!this.hasWork) this.#told = this.#noted;
  }

  /** Another state has replaced the store's: nobody is in step with it. */
  scatter(): void {
    const { store, groups } = this.#deps;
    this.#round = null;
    for (const group of groups.all()) {
      group.pending = [];
      for (const watcher of group.inStep) this.#drop(watcher);
    }
    this.#touched = new Set();
    this.#noted = store.revision;
    this.#told = this.#noted;
  }

  #begin(): { steps: Iterator<void>; to: number } {
    const touched = this.#touched;
    this.#touched = new Set();
    return { steps: this.#tellAll(touched), to: this.#noted };
  }

  *#tellAll(touched: ReadonlySet<Group>): Generator<void> {
    const { limits } = this.#deps;
    // All at once, as more may be noted between the steps.
    const parcels = [...touched].map((group) => {
      const batches = batchesOf(group.pending, limits.sliceBytes);
      group.pending = [];
      return { group, batches };
    });
    let count = 0;
    let encoded = 0;
    for (const { group, batches } of parcels) {
      for (const batch of batches) {
        for (const watcher of group.inStep) {
          encoded += this.#tell(watcher, batch);
          count += 1;
          if (count < limits.writesPerTurn && encoded < limits.sliceBytes) continue;
          yield;
          count = 0;
          encoded = 0;
        }
      }
    }
  }

  /** Returns how many bytes were encoded for it. */
  #tell(watcher: Watcher, batch: Batch): number {
    const wanted = batch.after(watcher.cursor);
    if (wanted === null) return 0;
    const encoded = watcher.takesMore() ? watcher.tell(wanted, this.#deps.now()) : 0;
    if (watcher.cursor < batch.last || watcher.rest !== null) this.#drop(watcher);
    return encoded;
  }

  #drop(watcher: Watcher): void {
    watcher.group.inStep.delete(watcher);
    watcher.state = "behind";
    watcher.cursor = Math.max(watcher.cursor, this.#told);
    this.#deps.onBehind(watcher);
  }
}
