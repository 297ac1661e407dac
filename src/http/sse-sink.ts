/** A watch over a response: what the hub tells goes out as Server-Sent Events. */
import type { ServerResponse } from "node:http";
import type { KeyValue } from "../kv/version.ts";
import type { Part } from "../watch/batch.ts";
import type { Watch } from "../watch/hub.ts";
import type { Sink, WatchFailure } from "../watch/watcher.ts";
import {
  COMMENT,
  encodeBookmark,
  encodeEvents,
  encodeFailure,
  encodeKeys,
  STREAM_START,
} from "./sse.ts";
import type { Unsent } from "./unsent.ts";

/** For a client to take the last event, after which the connection is cut. */
const LINGER_MS = 5_000;

/** Writes to a response whose head is sent, and which nobody else writes to. */
export class SseSink implements Sink {
  readonly #response: ServerResponse;
  readonly #unsent: Unsent;
  /** How to let go of what is written and not taken. */
  readonly #held = new Set<() => void>();
  #onRoom = (): void => {};

  constructor(response: ServerResponse, unsent: Unsent) {
    this.#response = response;
    this.#unsent = unsent;
    response.write(STREAM_START);
  }

  /** Tells the watch when more is taken, and when nobody listens any more. */
  attach(watch: Watch): void {
    const response = this.#response;
    this.#onRoom = () => {
      if (!response.writableNeedDrain) watch.drained();
    };
    response.on("drain", () => watch.drained());
    response.once("close", () => {
      watch.close();
      this.#unsent.forget(this.#onRoom);
      for (const release of this.#held) release();
    });
  }

  hasRoom(): boolean {
    if (this.#unsent.hasRoom) return true;
    this.#unsent.whenRoom(this.#onRoom);
    return false;
  }

  keys(found: readonly KeyValue[]): boolean {
    return this.#write(encodeKeys(found));
  }

  synced(revision: number): boolean {
    return this.#write(encodeBookmark("synced", revision));
  }

  changes(part: Part): boolean {
    return this.#write(part.encoded(encodeEvents));
  }

  progress(revision: number): boolean {
    return this.#write(encodeBookmark("progress", revision));
  }

  keepAlive(): boolean {
    return this.#write(COMMENT);
  }

  fail(failure: WatchFailure): void {
    const response = this.#response;
    const timer = setTimeout(() => response.destroy(), LINGER_MS);
    response.once("close", () => clearTimeout(timer));
    response.end(encodeFailure(failure));
  }

  abort(): void {
    this.#response.destroy();
  }

  #write(chunk: Uint8Array): boolean {
    const release = this.#unsent.hold(chunk);
    this.#held.add(release);
    return this.#response.write(chunk, () => {
      this.#held.delete(release);
      release();
    });
  }
}
