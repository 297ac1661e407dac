/** Watchers by what they select, so that a change finds those that it concerns and no others. */
import { assert } from "../lib/assert.ts";
import type { Key } from "../kv/key.ts";
import { Prefixes } from "./prefixes.ts";
import { nameOf, type Selection } from "./selection.ts";
import { Group } from "./watcher.ts";

/** The groups that there are. One without watchers is forgotten. */
export class Groups {
  readonly #byName = new Map<string, Group>();
  readonly #byKey = new Map<Key, Set<Group>>();
  readonly #byPrefix = new Prefixes<Group>();

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  /** The group of a selection, which has one watcher more now. */
  enter(selection: Selection): Group {
    const name = nameOf(selection);
    let group = this.#byName.get(name);
    if (group === undefined) {
      group = new Group(selection);
      this.#byName.set(name, group);
      this.#add(group);
    }
    group.size += 1;
    return group;
  }

  /** The group has one watcher less now. */
  leave(group: Group): void {
    assert(group.size > 0, "a group without watchers loses one");
    group.size -= 1;
    if (group.size > 0) return;
    this.#byName.delete(nameOf(group.selection));
    this.#remove(group);
  }

  /** Calls `found` with every group that selects `key`. */
  visit(key: Key, found: (group: Group) => void): void {
    for (const group of this.#byKey.get(key) ?? NONE) found(group);
    this.#byPrefix.visit(key, found);
  }

  all(): Iterable<Group> {
    return this.#byName.values();
  }

  #add(group: Group): void {
    const { key, target } = group.selection;
    if (target === "prefix") return this.#byPrefix.add(key, group);
    const there = this.#byKey.get(key);
    if (there === undefined) this.#byKey.set(key, new Set([group]));
    else there.add(group);
  }

  #remove(group: Group): void {
    const { key, target } = group.selection;
    if (target === "prefix") return this.#byPrefix.delete(key, group);
    const there = this.#byKey.get(key);
    there?.delete(group);
    if (there?.size === 0) this.#byKey.delete(key);
  }
}

const NONE: ReadonlySet<Group> = new Set();
