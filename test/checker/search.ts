/**
 * The search for an order of the operations on some keys that explains all answers (Wing and Gong,
 * with Lowe's memory of what was tried). It can be stopped after some steps and be gone on with.
 */
import { carryOut, emptyStore, storeIdentity, type StoreState } from "./store.ts";
import type { Task } from "./task.ts";

/** A call or the return that belongs to it, in a list ordered by time. */
interface Event {
  readonly id: number;
  /** Of a call: its return. Of a return: null. */
  match: Event | null;
  prev: Event | null;
  next: Event | null;
}

interface Placed {
  readonly call: Event;
  readonly before: StoreState;
}

/** One operation more was placed, or the last one was taken back, or the search is over. */
export class Search {
  /** The most operations that could be placed in some order, by their number. */
  longest: number[] = [];
  /** How many states and sets of placed operations are remembered. */
  remembered = 0;
  private readonly tasks: readonly Task[];
  private readonly head: Event = { id: -1, match: null, prev: null, next: null };
  private readonly placed: Placed[] = [];
  private readonly bits: Uint32Array;
  private readonly seen = new Map<string, Uint32Array[]>();
  private state: StoreState;
  private at: Event | null;
  /** Operations that must be placed; those of unknown outcome need not be. */
  private open: number;

  /** All tasks on so many keys. */
  constructor(tasks: readonly Task[], keys: number) {
    this.tasks = tasks;
    this.state = emptyStore(keys);
    this.bits = new Uint32Array(Math.ceil(tasks.length / 32));
    this.open = tasks.filter(({ operation }) => operation.outcome !== "unknown").length;
    this.link();
    this.at = this.head.next;
  }

  /** Takes so many steps, at most. `more`: that was not enough. */
  run(steps: number): "ok" | "illegal" | "more" {
    for (let left = steps; left > 0; left--) {
      if (this.open === 0) return "ok";
      if (this.at === null) return "illegal";
      if (this.at.match !== null) this.tryCall(this.at, this.at.match);
      else if (!this.takeBack()) return "illegal";
    }
    return "more";
  }

  private tryCall(call: Event, end: Event): void {
    const task = this.tasks[call.id] as Task;
    const after = carryOut(this.state, task);
    if (after === null || !this.isNew(call.id, after)) {
      this.at = call.next;
      return;
    }
    this.placed.push({ call, before: this.state });
    this.state = after;
    if (task.operation.outcome !== "unknown") this.open--;
    unlink(call);
    unlink(end);
    if (this.placed.length > this.longest.length) this.longest = this.placed.map((p) => p.call.id);
    this.at = this.head.next;
  }

  /** A return was reached, so its operation should have been placed: the last choice was wrong. */
  private takeBack(): boolean {
    const last = this.placed.pop();
    if (last === undefined) return false;
    const { call, before } = last;
    this.state = before;
    if (this.tasks[call.id]?.operation.outcome !== "unknown") this.open++;
    this.flip(call.id);
    if (call.match !== null) relink(call.match);
    relink(call);
    this.at = call.next;
    return true;
  }

  /** Whether this set of operations has not led to this state before. Then it is remembered. */
  private isNew(id: number, state: StoreState): boolean {
    this.flip(id);
    const name = `${this.hash()} ${storeIdentity(state)}`;
    const sets = this.seen.get(name);
    const isKnown = sets?.some((set) => equal(set, this.bits)) ?? false;
    if (isKnown) {
      this.flip(id);
      return false;
    }
    if (sets === undefined) this.seen.set(name, [this.bits.slice()]);
    else sets.push(this.bits.slice());
    this.remembered++;
    return true;
  }

  private flip(id: number): void {
    const word = id >>> 5;
    this.bits[word] = (this.bits[word] ?? 0) ^ (1 << (id & 31));
  }

  private hash(): number {
    let hash = 0;
    for (const word of this.bits) hash = (Math.imul(hash, 0x01000193) ^ word) | 0;
    return hash;
  }

  /** By time; at one moment calls come first, as what touches is concurrent. */
  private link(): void {
    const moments = this.tasks.flatMap(({ operation }, id) => {
      const end: Event = { id, match: null, prev: null, next: null };
      const call: Event = { id, match: end, prev: null, next: null };
      const endAt = operation.return ?? Number.POSITIVE_INFINITY;
      return [
        { time: operation.call, order: 0, event: call },
        { time: endAt, order: 1, event: end },
      ];
    });
    moments.sort((a, b) => (a.time === b.time ? a.order - b.order : a.time < b.time ? -1 : 1));
    let last = this.head;
    for (const { event } of moments) {
      last.next = event;
      event.prev = last;
      last = event;
    }
  }
}

function unlink(event: Event): void {
  if (event.prev !== null) event.prev.next = event.next;
  if (event.next !== null) event.next.prev = event.prev;
}

/** Events come back in the opposite order of their going, so their neighbours are there. */
function relink(event: Event): void {
  if (event.prev !== null) event.prev.next = event;
  if (event.next !== null) event.next.prev = event;
}

function equal(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
