/**
 * What came of commands that carried an idempotency key, for those who ask again: in the replicated
 * state, so that every node knows it, and for as long as cluster time says.
 */
import { assert } from "../lib/assert.ts";
import { ByteReader, ByteWriter } from "../lib/bytes.ts";
import { IDEMPOTENCY_KEY_MAX } from "./command.ts";
import { OUTCOME_BYTES_MAX, outcomeOf } from "./outcome.ts";
import { decodeResult, encodeResult, type KvResult } from "./result.ts";
import { BTree } from "./tree.ts";

/** Never changed. */
export interface Reply {
  /** The idempotency key. */
  readonly key: string;
  /** Of the command, so that another one under the same key is noticed. */
  readonly fingerprint: number;
  /** In cluster time. */
  readonly time: number;
  /** Its outcome. */
  readonly result: Uint8Array;
}

/** In the order in which they were given. */
export type ReplyTree = BTree<number, Reply>;

/** Kept for so long, unless there are too many. */
export const REMEMBERED_MS = 10 * 60_000;
/** There are too many: the oldest go as soon as they are older than CERTAIN_MS. */
export const REMEMBERED_MAX = 200_000;
/** The same: as much as so many usual ones take. */
export const REMEMBERED_BYTES_MAX = 96 * 1024 * 1024;
/** Kept for so long whatever comes: none of these goes to make room for new ones. */
export const CERTAIN_MS = 60_000;
/** All there may be: about 590,000 usual ones, which is 9,900 a second for CERTAIN_MS. */
export const CERTAIN_BYTES_MAX = 256 * 1024 * 1024;
/** What a reply takes besides its bytes, about: so much was measured. */
const REPLY_BYTES = 400;
const REPLY_BYTES_MAX = REPLY_BYTES + IDEMPOTENCY_KEY_MAX + OUTCOME_BYTES_MAX;
/** Dropped at once: enough for one of the largest, and so few that nobody has to wait. */
const DROPPED_MAX = 64;

/** Bounded by bytes, and by count and cluster time: what is oldest goes first. Deterministic. */
export class Remembered {
  private readonly tree: ReplyTree = new BTree<number, Reply>(undefined, (a, b) => a - b);
  private readonly places = new Map<string, number>();
  private next = 0;
  private bytes = 0;

  get size(): number {
    return this.tree.size;
  }

  has(key: string): boolean {
    return this.places.has(key);
  }

  /** The outcome; `conflict`: another command had this key; null: nothing is known. */
  find(key: string, fingerprint: number, time: number): KvResult | "conflict" | null {
    const place = this.places.get(key);
    const reply = place === undefined ? undefined : this.tree.get(place);
    if (reply === undefined || reply.time + REMEMBERED_MS < time) return null;
    if (reply.fingerprint !== fingerprint) return "conflict";
    return { ...decodeResult(new ByteReader(reply.result)), replayed: true };
  }

  /**
   * Drops some of what need not be kept any more. Returns whether there is room for one more,
   * however large it will be. To be asked before each `add`.
   */
  makeRoom(time: number): boolean {
    for (let dropped = 0; dropped < DROPPED_MAX; dropped++) {
      const oldest = this.tree.minKey();
      const reply = oldest === undefined ? undefined : this.tree.get(oldest);
      if (oldest === undefined || reply === undefined) break;
      const isMany = this.tree.size >= REMEMBERED_MAX || this.bytes >= REMEMBERED_BYTES_MAX;
      if (reply.time + (isMany ? CERTAIN_MS : REMEMBERED_MS) >= time) break;
      this.drop(oldest);
    }
    return this.bytes + REPLY_BYTES_MAX <= CERTAIN_BYTES_MAX;
  }

  /** Remembers what came of a command, instead of what came of an earlier one under this key. */
  add(key: string, about: { readonly fingerprint: number; time: number }, result: KvResult): void {
    const out = new ByteWriter();
    encodeResult(out, outcomeOf(result));
    assert(out.length <= OUTCOME_BYTES_MAX, () => `an outcome of ${out.length} bytes`);
    const before = this.places.get(key);
    if (before !== undefined) this.drop(before);
    // Not the writer's whole buffer.
    this.load({ key, ...about, result: out.finish().slice() });
  }

  /** As they are now, without a pause. */
  freeze(): ReplyTree {
    return this.tree.clone();
  }

  /** Adds one as the newest, whose key is not there yet. */
  load(reply: Reply): void {
    assert(!this.places.has(reply.key), "a reply is remembered once");
    this.places.set(reply.key, this.next);
    this.tree.set(this.next, reply);
    this.next += 1;
    this.bytes += sizeOf(reply);
  }

  private drop(place: number): void {
    const reply = this.tree.get(place);
    if (reply === undefined) return;
    this.tree.delete(place);
    this.places.delete(reply.key);
    this.bytes -= sizeOf(reply);
  }
}

function sizeOf({ key, result }: Reply): number {
  return REPLY_BYTES + key.length + result.length;
}
