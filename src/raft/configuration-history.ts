/** Configurations by index: the newest is in force, whether it is committed or not. */
import { assert } from "../lib/assert.ts";
import { memberOf } from "./membership.ts";
import {
  asIndex,
  type Configuration,
  type Index,
  type Member,
  type SnapshotMeta,
} from "./types.ts";

/**
 * Which configuration holds from which index on. The last one in the log is in force as soon as it
 * is appended (§6), and truncating it brings back the one before.
 *
 * Invariant: never empty; indexes increase.
 */
export class ConfigurationHistory {
  private list: { readonly index: Index; readonly configuration: Configuration }[];

  constructor(index: Index, configuration: Configuration) {
    this.list = [{ index, configuration }];
  }

  get current(): Configuration {
    return this.last().configuration;
  }

  /** Which entry brought the current one, or a place up to which it was in force already. */
  get index(): Index {
    return this.last().index;
  }

  /** The one that was in force before; null: none is kept, as the current one is committed. */
  get previous(): Configuration | null {
    return this.list.at(-2)?.configuration ?? null;
  }

  /** The one in force at `index`, which must not be older than what is kept. */
  at(index: Index): Configuration {
    return this.itemAt(index).configuration;
  }

  /** The same, and which entry brought it. */
  itemAt(index: Index): { readonly index: Index; readonly configuration: Configuration } {
    const found = this.list.findLast((item) => item.index <= index);
    assert(found !== undefined, () => `no configuration is known at ${index}`);
    return found;
  }

  /** Whether some entry here is the one that made this node a member, or a later one. */
  tellsOf({ id, since }: Pick<Member, "id" | "since">): boolean {
    return this.list.some(
      ({ index, configuration }) => index >= since && memberOf(configuration, id)?.since === since,
    );
  }

  append(index: Index, configuration: Configuration): void {
    assert(index > this.last().index, () => `configuration ${index} is not the newest`);
    this.list.push({ index, configuration });
  }

  /** Forgets every configuration from `index` on. */
  truncateFrom(index: Index): void {
    const kept = this.list.filter((item) => item.index < index);
    assert(kept.length > 0, () => `truncating the first configuration at ${index}`);
    this.list = kept;
  }

  /** Forgets what was in force only before `index`. */
  compactTo(index: Index): void {
    const from = this.list.findLastIndex((item) => item.index <= index);
    if (from > 0) this.list = this.list.slice(from);
  }

  /** Starts anew from a snapshot. */
  reset(meta: SnapshotMeta): void {
    this.list = [{ index: asIndex(meta.index), configuration: meta.configuration }];
  }

  private last(): { readonly index: Index; readonly configuration: Configuration } {
    const last = this.list.at(-1);
    assert(last !== undefined, "no configuration");
    return last;
  }
}
