/** Things by prefixes: all of them that a key begins with are found at once. */

/** A prefix that is there. */
interface Entry<Thing> {
  readonly prefix: string;
  readonly things: Set<Thing>;
  /** Of the longest other prefix that this one begins with. */
  parent: Entry<Thing> | null;
}

/**
 * A prefix of a key comes before it in order, and everything between the two begins with that
 * prefix. So the last prefix that does not come after a key is one of the key, or begins with all
 * of them: they are on its way up.
 */
export class Prefixes<Thing> {
  /** In order. */
  readonly #entries: Entry<Thing>[] = [];

  add(prefix: string, thing: Thing): void {
    const at = this.#countUpTo(prefix);
    const before = this.#entries[at - 1];
    if (before?.prefix === prefix) {
      before.things.add(thing);
      return;
    }
    const parent = this.#longestOf(prefix);
    const entry = { prefix, things: new Set([thing]), parent };
    this.#entries.splice(at, 0, entry);
    for (const below of this.#under(prefix, at + 1)) {
      if (below.parent === parent) below.parent = entry;
    }
  }

  delete(prefix: string, thing: Thing): void {
    const at = this.#countUpTo(prefix) - 1;
    const entry = this.#entries[at];
    if (entry?.prefix !== prefix) return;
    entry.things.delete(thing);
    if (entry.things.size > 0) return;
    this.#entries.splice(at, 1);
    for (const below of this.#under(prefix, at)) {
      if (below.parent === entry) below.parent = entry.parent;
    }
  }

  /** Calls `found` with everything whose prefix `key` begins with. */
  visit(key: string, found: (thing: Thing) => void): void {
    let entry = this.#longestOf(key);
    for (; entry !== null; entry = entry.parent) {
      for (const thing of entry.things) found(thing);
    }
  }

  /** The longest prefix that `key` begins with. */
  #longestOf(key: string): Entry<Thing> | null {
    let entry = this.#entries[this.#countUpTo(key) - 1] ?? null;
    if (entry === null) return null;
    const length = commonLength(entry.prefix, key);
    while (entry !== null && entry.prefix.length > length) entry = entry.parent;
    return entry;
  }

  /** How many prefixes there are that do not come after `key`. */
  #countUpTo(key: string): number {
    let from = 0;
    let to = this.#entries.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && entry.prefix <= key) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Those that begin with `prefix`, which come one after another, from this place on. */
  *#under(prefix: string, from: number): Generator<Entry<Thing>> {
    for (let at = from; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry?.prefix.startsWith(prefix) !== true) return;
      yield entry;
    }
  }
}

/** How many characters two texts have in common at their beginning. */
function commonLength(one: string, other: string): number {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one.charCodeAt(length) === other.charCodeAt(length)) length++;
  return length;
}
