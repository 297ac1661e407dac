/** Copies of the whole state: streamed to whoever asks, or written to this node's disk. */
import type { KvResult, KvStore } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import type { SavedSnapshot } from "../node/snapshots.ts";
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import type { Reading } from "./reading.ts";

/**
 * Each holds what has changed since it began in memory: two, as one may hang for a while where its
 * client does not read.
 */
export const BACKUPS_MAX = 2;

/** How the state of a copy was read. */
export type HowRead = Pick<Reading, "consistency" | "lastContactMs">;

/** A copy of the state as it was at one moment. */
export interface Backup extends HowRead {
  /** Of the store then. */
  readonly revision: number;
  /**
   * The bytes of a snapshot file: in pieces of at most about 256 KiB, each of which takes about a
   * millisecond to make. An empty one is only a pause. To be called once, before `end`.
   */
  pieces(): Iterator<Uint8Array>;
  /** Must be called in the end, however that comes. Calling it again does nothing. */
  end(): void;
}

export interface BackupDeps {
  readonly node: Pick<RaftNode<KvResult>, "freeze" | "saveSnapshot">;
  readonly store: KvStore;
  readonly clock: Clock;
}

/** The copies of one node that are being made. */
export class Backups {
  readonly #deps: BackupDeps;
  #open = 0;

  constructor(deps: BackupDeps) {
    this.#deps = deps;
  }

  /**
   * Begins one when `ready` resolves. Rejects as `ready` does, with OVERLOADED where there are as
   * many as there may be, and with NOT_READY where nothing was ever written.
   */
  async begin(ready: () => Promise<HowRead>): Promise<Backup> {
    if (this.#open >= BACKUPS_MAX) {
      const text = `this node makes ${BACKUPS_MAX} backups already: wait, or ask another node`;
      throw new ServiceError("OVERLOADED", text);
    }
    this.#open += 1;
    try {
      return this.#freeze(await ready());
    } catch (error) {
      this.#open -= 1;
      throw error;
    }
  }

  /** Resolves when a snapshot is durable here that has all that is applied now. */
  save(deadline: Millis): Promise<SavedSnapshot> {
    const { node, clock } = this.#deps;
    return new Promise((resolve, reject) => {
      const stopTimer = clock.after(deadline - clock.now(), () => {
        const text = "the snapshot takes longer, and is being written still: ask again for it";
        reject(new ServiceError("READ_TIMEOUT", text));
      });
      node.saveSnapshot((saved) => {
        stopTimer();
        resolve(saved);
      });
    });
  }

  #freeze(how: HowRead): Backup {
    const { node, store } = this.#deps;
    const frozen = node.freeze();
    if (frozen === null)
      throw new ServiceError("NOT_READY", "this node has nothing yet to back up");
    let isOpen = true;
    return {
      ...how,
      revision: store.revision,
      pieces: () => frozen.pieces(),
      end: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#open -= 1;
        frozen.release();
      },
    };
  }
}
