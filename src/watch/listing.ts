/** The state that a watch begins with: the selected keys at one revision, page by page. */
import { must } from "../lib/assert.ts";
import { keyAfter, prefixEnd } from "../kv/key.ts";
import type { Item, Page, Slices } from "../kv/range.ts";
import type { KvStore } from "../kv/store.ts";
import type { KeyValue } from "../kv/version.ts";
import type { WatchLimits } from "./limits.ts";
import type { Watcher } from "./watcher.ts";

export interface ListingDeps {
  readonly store: KvStore;
  readonly limits: WatchLimits;
  now(): number;
  /** It was told everything, and goes on from its cursor. */
  onListed(watcher: Watcher): void;
  /** The revision that it is told is compacted. */
  onLost(watcher: Watcher): void;
}

/** Watchers take turns. One page is read at a time, and only for a watcher that takes more. */
export class Listing {
  readonly #deps: ListingDeps;
  /** Those that take more. */
  readonly #ready = new Set<Watcher>();
  /** The page that is being read, whose revision the store keeps for as long as that takes. */
  #reading: { readonly watcher: Watcher; readonly slices: Slices<Page> } | null = null;

  constructor(deps: ListingDeps) {
    this.#deps = deps;
  }

  get hasWork(): boolean {
    return this.#reading !== null || this.#ready.size > 0;
  }

  /** Begins or goes on; one that takes no more must be added again when it does. */
  add(watcher: Watcher): void {
    if (!watcher.isFull && this.#reading?.watcher !== watcher) this.#ready.add(watcher);
  }

  leave(watcher: Watcher): void {
    this.#ready.delete(watcher);
    if (this.#reading?.watcher === watcher) this.#giveUp();
  }

  /** Reads a slice of a page for the watcher whose turn it is, and tells it when that is all. */
  step(): void {
    this.#reading ??= this.#begin();
    if (this.#reading === null) return;
    const { watcher, slices } = this.#reading;
    // It has filled up meanwhile, and has the same page when it takes more.
    if (!watcher.takesMore()) return this.#giveUp();
    const slice = slices.next();
    if (slice.done !== true) return;
    this.#reading = null;
    this.#tell(watcher, slice.value);
  }

  #begin(): { watcher: Watcher; slices: Slices<Page> } | null {
    const [watcher] = this.#ready;
    if (watcher === undefined) return null;
    this.#ready.delete(watcher);
    const { store, limits } = this.#deps;
    const { key, target } = watcher.group.selection;
    const revision = watcher.cursor;
    if (store.checkRevision(revision) !== "ok") {
      this.#deps.onLost(watcher);
      return null;
    }
    const end = target === "key" ? keyAfter(key) : prefixEnd(key);
    const range = { start: watcher.listed, end, isReverse: false, since: 0, grouping: null };
    const page = { entries: limits.pageKeys, bytes: limits.sliceBytes, isKeysOnly: false };
    return { watcher, slices: store.readPage({ range, revision, limits: page }) };
  }

  #giveUp(): void {
    // What the slices return counts for nothing; this lets go of the revision.
    this.#reading?.slices.return({ items: [], prefixes: [], next: null });
    this.#reading = null;
  }

  #tell(watcher: Watcher, { items, next }: Page): void {
    const now = this.#deps.now();
    if (items.length > 0) watcher.note(watcher.sink.keys(items.map(withValue)), now);
    if (next !== null) {
      watcher.listed = next;
      this.add(watcher);
      return;
    }
    // That it is synced tells it as much as a progress event would.
    watcher.isGreeted = true;
    watcher.note(watcher.sink.synced(watcher.cursor), now);
    this.#deps.onListed(watcher);
  }
}

function withValue(item: Item): KeyValue {
  return { ...item, value: must(item.value, "a key is listed without its value") };
}
