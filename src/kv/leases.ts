/**
 * Leases: keys that live as long as somebody renews. Deadlines are moments of cluster time, which
 * goes on only while somebody leads: so they are never early, and never begin anew (X8).
 */
import { assert, must } from "../lib/assert.ts";
import { FIRST_KEY, type Key } from "./key.ts";
import { type KeyPage, type KeyPageLimits, LeasedKeys } from "./leased-keys.ts";
import { BTree } from "./tree.ts";

/** Never changed: a renewal makes another one. */
export interface Lease {
  readonly id: number;
  readonly ttlMs: number;
  /** In cluster time: from then on it may be ended. */
  readonly deadline: number;
  /** It belongs to the value of one key, and nobody else can name it. */
  readonly isOwn: boolean;
}

/** By id, and as they were when it was made. */
export type LeaseTree = BTree<number, Lease>;

/** Not beyond the numbers that are exact: what ends then lives for ever. */
function deadlineAfter(time: number, ttlMs: number): number {
  return Math.min(time + ttlMs, Number.MAX_SAFE_INTEGER);
}

/** All leases, and the keys that hang on them. Deterministic. */
export class Leases {
  private readonly tree: LeaseTree;
  private readonly keys: LeasedKeys;
  /** Deadline and id of each, the next to end first. */
  private readonly queue = new BTree<readonly [number, number], true>(undefined, (a, b) =>
    a[0] === b[0] ? a[1] - b[1] : a[0] - b[0],
  );
  /** The id of the next lease that does not bring its own. */
  nextId: number;

  /** `keys`: which hang on leases that are yet to be loaded. */
  constructor(nextId = 1, keys = new LeasedKeys()) {
    this.nextId = nextId;
    this.keys = keys;
    this.tree = new BTree<number, Lease>(undefined, (a, b) => a - b);
  }

  get size(): number {
    return this.tree.size;
  }

  /** A lease that others may name. Null: it is not there. */
  get(id: number): Lease | null {
    const lease = this.tree.get(id);
    return lease === undefined || lease.isOwn ? null : lease;
  }

  /** Any lease that a key has. */
  of(id: number): Lease {
    return must(this.tree.get(id), "a key's lease is there");
  }

  has(id: number): boolean {
    return this.tree.has(id);
  }

  /** All keys that hang on it, in order. */
  keysOf(id: number): readonly Key[] {
    return [...this.keys.from(id, FIRST_KEY)];
  }

  /** Some of them, which takes no longer the more there are. */
  keysIn(id: number, limits: KeyPageLimits): KeyPage {
    return this.keys.page(id, limits);
  }

  /** `id` 0: the next free one. The id must be free. */
  grant(lease: { id: number; ttlMs: number; isOwn: boolean }, time: number): Lease {
    const { ttlMs, isOwn } = lease;
    let { id } = lease;
    if (id === 0) {
      while (this.tree.has(this.nextId)) this.nextId += 1;
      id = this.nextId++;
    }
    const made = { id, ttlMs, deadline: deadlineAfter(time, ttlMs), isOwn };
    this.load(made);
    return made;
  }

  renew(lease: Lease, time: number): Lease {
    // A clock that was set anew never makes one end earlier.
    const deadline = Math.max(lease.deadline, deadlineAfter(time, lease.ttlMs));
    const renewed = { ...lease, deadline };
    this.queue.delete([lease.deadline, lease.id]);
    this.queue.set([deadline, lease.id], true);
    this.tree.set(lease.id, renewed);
    return renewed;
  }

  /** The lease must be there. */
  attach(id: number, key: Key): void {
    assert(this.tree.has(id), "a key's lease is there");
    this.keys.add(id, key);
  }

  /** A lease of the key's own goes with it. */
  detach(id: number, key: Key): void {
    this.keys.delete(id, key);
    if (this.tree.get(id)?.isOwn === true) this.remove(id);
  }

  /** Its keys must be gone. */
  remove(id: number): void {
    const lease = this.of(id);
    assert(this.keys.count(id) === 0, "keys still hang on the lease");
    this.tree.delete(id);
    this.queue.delete([lease.deadline, id]);
  }

  /** Those whose deadline has come, the oldest first, at most so many. */
  due(time: number, limit: number): number[] {
    const ids: number[] = [];
    for (const [deadline, id] of this.queue.keys()) {
      if (deadline > time || ids.length === limit) break;
      ids.push(id);
    }
    return ids;
  }

  /** As they are now, without a pause. */
  freeze(): LeaseTree {
    return this.tree.clone();
  }

  /** Adds one that was granted before. */
  load(lease: Lease): void {
    assert(!this.tree.has(lease.id), "a lease is granted once");
    this.tree.set(lease.id, lease);
    this.queue.set([lease.deadline, lease.id], true);
  }
}
