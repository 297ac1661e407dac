/**
 * Answers and events that are made, and that clients have not taken yet: they are in memory until
 * then, and whoever asks decides how soon that is. So there is a bound on all of them together.
 */
import { must } from "../lib/assert.ts";

/**
 * What is smaller is not counted, and never refused. A connection has no more than a few of these:
 * together they are far less than what is counted.
 */
export const SMALL_BYTES = 1024;
/** Of the bound, which must be free again before those who wait go on: not for each byte. */
const FREE_PART = 1 / 8;

/** What all connections of a listener have not taken. */
export class Unsent {
  readonly #bytesMax: number;
  /** Many watchers can wait for the very same bytes, which are there once. */
  readonly #shared = new Map<Uint8Array, number>();
  readonly #waiting = new Set<() => void>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many bytes are counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is room for something more: whatever its size, as it may be the only one. */
  get hasRoom(): boolean {
    return this.#bytes < this.#bytesMax;
  }

  /** As `hasRoom`, but for what is small there always is. */
  hasRoomFor(bytes: number): boolean {
    return bytes <= SMALL_BYTES || this.hasRoom;
  }

  /** Counts what is written now until the returned function is called, once or more often. */
  hold(written: Uint8Array): () => void {
    if (written.length <= SMALL_BYTES) return nothing;
    const count = this.#shared.get(written) ?? 0;
    this.#shared.set(written, count + 1);
    if (count === 0) this.#bytes += written.length;
    let isHeld = true;
    return () => {
      if (isHeld) this.#release(written);
      isHeld = false;
    };
  }

  /** Calls `run` once when there is room again, however often it is asked for. */
  whenRoom(run: () => void): void {
    this.#waiting.add(run);
  }

  /** Does not call `run` any more. */
  forget(run: () => void): void {
    this.#waiting.delete(run);
  }

  #release(written: Uint8Array): void {
    const count = must(this.#shared.get(written), "what is released was held");
    if (count > 1) {
      this.#shared.set(written, count - 1);
      return;
    }
    this.#shared.delete(written);
    this.#bytes -= written.length;
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting.size === 0 || this.#bytes > this.#bytesMax * (1 - FREE_PART)) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }
}

function nothing(): void {}
