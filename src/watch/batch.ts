/** Events that are told together, and their bytes, which are made once for all who get them. */
import { assert, must } from "../lib/assert.ts";
import type { WatchEvent } from "./selection.ts";

/** Makes the bytes of a part. The same function for all watchers that may share them. */
export type Encoder = (part: Part) => Uint8Array;

/** Of a batch, as much as is encoded and written at once: some events, and at least one. */
export class Part {
  readonly events: readonly WatchEvent[];
  /** Whether the last of them is the last of its revision. */
  readonly isWhole: boolean;
  #encoded: { readonly encode: Encoder; readonly bytes: Uint8Array } | null = null;

  constructor(about: { readonly events: readonly WatchEvent[]; readonly isWhole: boolean }) {
    this.events = about.events;
    this.isWhole = about.isWhole;
  }

  /** How many bytes were made of it; 0: none yet. */
  get encodedBytes(): number {
    return this.#encoded?.bytes.length ?? 0;
  }

  /** The events as bytes, which must not be changed. */
  encoded(encode: Encoder): Uint8Array {
    if (this.#encoded?.encode !== encode) this.#encoded = { encode, bytes: encode(this) };
    return this.#encoded.bytes;
  }
}

/** Events in order, at least one, and of each revision all that there are for the selection. */
export class Batch {
  readonly events: readonly WatchEvent[];
  readonly #partBytes: number;
  /** The part that was wanted last, and where it begins: those who share a batch go together. */
  #latest: { readonly from: number; readonly part: Part } | null = null;

  /** Its parts hold about `partBytes`, or one event. */
  constructor(events: readonly WatchEvent[], partBytes: number) {
    this.events = events;
    this.#partBytes = partBytes;
  }

  /** Of the first event. */
  get first(): number {
    return must(this.events[0], "a batch is empty").version.modRevision;
  }

  /** Of the last event. */
  get last(): number {
    return must(this.events.at(-1), "a batch is empty").version.modRevision;
  }

  /**
   * What is told at once from this event on, which must be the first or follow a part. Only one
   * part is kept: a revision can have far more bytes than can be held.
   */
  partFrom(from: number): Part {
    assert(from < this.events.length, "there is no such part");
    if (this.#latest?.from !== from) this.#latest = { from, part: this.#cut(from) };
    return this.#latest.part;
  }

  /** What of it is newer than `revision`; null: nothing. */
  after(revision: number): Batch | null {
    if (revision < this.first) return this;
    const events = this.events.filter(({ version }) => version.modRevision > revision);
    return events.length === 0 ? null : new Batch(events, this.#partBytes);
  }

  #cut(from: number): Part {
    let bytes = 0;
    let to = from;
    for (; to < this.events.length; to++) {
      bytes += bytesOfEvent(this.#event(to));
      if (to > from && bytes > this.#partBytes) break;
    }
    const { modRevision } = this.#event(to - 1).version;
    const isWhole = this.events[to]?.version.modRevision !== modRevision;
    // Most batches are their only part.
    const isAll = from === 0 && to === this.events.length;
    return new Part({ events: isAll ? this.events : this.events.slice(from, to), isWhole });
  }

  #event(at: number): WatchEvent {
    return must(this.events[at], "there is no such event");
  }
}

/** Cuts events into batches of about `bytesMax`, and only between revisions. */
export function batchesOf(events: readonly WatchEvent[], bytesMax: number): Batch[] {
  const batches: Batch[] = [];
  let from = 0;
  let bytes = 0;
  for (const [at, event] of events.entries()) {
    bytes += bytesOfEvent(event);
    const isWhole = events[at + 1]?.version.modRevision !== event.version.modRevision;
    if (at + 1 < events.length && (bytes < bytesMax || !isWhole)) continue;
    batches.push(new Batch(events.slice(from, at + 1), bytesMax));
    from = at + 1;
    bytes = 0;
  }
  return batches;
}

/** What an event holds, about. */
export function bytesOfEvent({ version, previous }: WatchEvent): number {
  return version.key.length + (version.stored?.length ?? 0) + (previous?.stored.length ?? 0);
}
