/** The simulated world's time: a queue of what will happen, in one order for one seed. */
import type { Millis } from "../../src/raft/types.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap by time; what is due at the same moment happens in the order it was planned. */
export class EventQueue {
  now = 0;
  /** How many events have happened. */
  count = 0;
  private heap: Event[] = [];
  private order = 0;

  get time(): Millis {
    return this.now as Millis;
  }

  after(ms: number, run: () => void): void {
    this.heap.push({ at: this.now + ms, order: this.order++, run });
    this.up(this.heap.length - 1);
  }

  /** Lets the next event happen. False: there is none. */
  step(): boolean {
    const first = this.heap[0];
    if (first === undefined) return false;
    const last = this.heap.pop() as Event;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.down(0);
    }
    this.now = first.at;
    this.count += 1;
    first.run();
    return true;
  }

  private up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private down(start: number): void {
    let at = start;
    for (;;) {
      const left = 2 * at + 1;
      let least = at;
      if (left < this.heap.length && this.before(left, least)) least = left;
      if (left + 1 < this.heap.length && this.before(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private before(a: number, b: number): boolean {
    const [x, y] = [this.heap[a] as Event, this.heap[b] as Event];
    return x.at < y.at || (x.at === y.at && x.order < y.order);
  }

  private swap(a: number, b: number): void {
    const x = this.heap[a] as Event;
    this.heap[a] = this.heap[b] as Event;
    this.heap[b] = x;
  }
}
