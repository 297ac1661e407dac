/** The store as clients use it, on any node: promises with deadlines, and one way to fail. */
import { encodeCommand, type Delete, type Put } from "../kv/command.ts";
import type { Key } from "../kv/key.ts";
import type { Retention } from "../kv/retention.ts";
import type { KvResult, KvStore } from "../kv/store.ts";
import type { KeyValue } from "../kv/version.ts";
import type { RaftNode } from "../node/node.ts";
import type { RaftStatus } from "../raft/raft.ts";
import type { Millis, NodeId } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import type { Clock } from "./clock.ts";
import { startCompaction } from "./compaction.ts";
import { ServiceError } from "./errors.ts";
import { Forwarder } from "./forward.ts";
import type { Leadership, LeaderWatch } from "./leader-watch.ts";
import { ReadCalls } from "./read-calls.ts";
import { caughtUp, type ReaderDeps } from "./reads.ts";
import { RevisionWaits } from "./revision-waits.ts";
import { type WriteLimits, Writer } from "./writes.ts";

/** The node, as far as the service needs it. */
export type ServedNode = Pick<
  RaftNode<KvResult>,
  "submit" | "whenApplied" | "readIndex" | "whenReached" | "status"
>;

/** What the service is made of. */
export interface KvServiceDeps {
  readonly node: ServedNode;
  readonly store: KvStore;
  readonly calls: Pick<PeerCalls, "forward" | "readIndex">;
  /** Told of every change by the node's `onChange`. */
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
  readonly limits: ServiceLimits;
  /** Where clients find a node; null: not known. */
  clientUrlOf(id: NodeId): string | null;
  scrubStatus(): ScrubStatus;
}

/** How often all files were read again, and how often one of them was found damaged. */
export interface ScrubStatus {
  readonly rounds: number;
  readonly damages: number;
}

export interface ServiceLimits {
  readonly writes: WriteLimits;
  /** For a leader to answer another node. */
  readonly callTimeoutMs: number;
  readonly retention: Retention;
}

const MIB = 1024 * 1024;

/** Limits that fit an election timeout. */
export function serviceLimits(electionMs: number): ServiceLimits {
  return {
    // A second of writes, as many as a leader takes in.
    writes: { writesMax: 20_000, bytesMax: 128 * MIB },
    // Long after an answer was to be expected, and soon enough to say that there was none.
    callTimeoutMs: 4 * electionMs,
    // What a client that was away for some minutes has missed can still be told.
    retention: { ageMs: 5 * 60_000, bytesMax: 64 * MIB },
  };
}

/** How a read wants to be answered. */
export interface ReadOptions {
  /** `stale`: from this node's own state, at once. */
  readonly consistency: "linearizable" | "stale";
  /** Not if the leader was last heard longer ago than this. Null: however long ago. */
  readonly maxStaleMs: number | null;
  /** Not before the store has reached this revision. Null: at once. */
  readonly minRevision: number | null;
  readonly timeoutMs: number;
}

/** A key, as it was found. */
export interface Reading {
  readonly found: KeyValue | null;
  /** Of the store when it was read. */
  readonly storeRevision: number;
  /** Of a stale read: for how long the leader had not been heard then; null: it never was. */
  readonly lastContactMs: number | null;
}

/** How the store is doing. */
export interface StoreStatus {
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly keyBytes: number;
  readonly historyBytes: number;
}

/** One condition of readiness. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
}

/**
 * Reads and writes of this node's clients. Every promise ends by its deadline, in a result or in a
 * ServiceError that says what it means for the write.
 */
export class KvService {
  readonly #deps: KvServiceDeps;
  readonly #writer: Writer;
  readonly #reader: ReaderDeps;
  readonly #revisions: RevisionWaits;
  #isCaughtUp = false;
  #isStopped = false;

  constructor(deps: KvServiceDeps) {
    const { node, store, calls, leaders, clock, limits } = deps;
    const { callTimeoutMs } = limits;
    this.#deps = deps;
    leaders.update(node.status());
    const forwarder = new Forwarder({ calls, leaders, clock, callTimeoutMs });
    this.#writer = new Writer({ node, leaders, forwarder, clock, limits: limits.writes });
    const readCalls = new ReadCalls({ calls, leaders, clock, callTimeoutMs });
    this.#reader = { node, leaders, readCalls, clock };
    this.#revisions = new RevisionWaits({ node, store });
  }

  /** Begins what the service does of its own accord. Returns how to stop that. */
  start(): () => void {
    const { node, store, leaders, clock, limits } = this.#deps;
    const stopCompaction = startCompaction({
      node,
      store,
      leaders,
      clock,
      retention: limits.retention,
    });
    void this.#catchUp();
    return () => {
      this.#isStopped = true;
      stopCompaction();
    };
  }

  /** Sets a key, if the conditions hold. */
  put(put: Omit<Put, "type">, timeoutMs: number): Promise<KvResult> {
    return this.#writer.write(encodeCommand({ ...put, type: "put" }), this.#deadline(timeoutMs));
  }

  /** Deletes a key, if the conditions hold, and whether or not it is there. */
  delete(change: Omit<Delete, "type">, timeoutMs: number): Promise<KvResult> {
    const command = encodeCommand({ ...change, type: "delete" });
    return this.#writer.write(command, this.#deadline(timeoutMs));
  }

  /** Reads a key. */
  async get(key: Key, options: ReadOptions): Promise<Reading> {
    await this.#ready(options);
    return this.#reading(this.#deps.store.get(key), options);
  }

  /** Reads a key as it was at a revision. Rejects with what makes that impossible, too. */
  async getAt(key: Key, revision: number, options: ReadOptions): Promise<Reading> {
    await this.#ready(options);
    const { store } = this.#deps;
    const details = { oldest: store.compactRevision, current: store.revision };
    switch (store.checkRevision(revision)) {
      case "ok":
        return this.#reading(store.getAt(key, revision), options);
      case "compacted":
        throw new ServiceError("REVISION_COMPACTED", `revision ${revision} is forgotten`, {
          details,
        });
      case "future":
        throw new ServiceError("REVISION_IN_FUTURE", `revision ${revision} is not written yet`, {
          details,
        });
    }
  }

  /** Who leads, as far as this node knows. */
  get leadership(): Leadership {
    return this.#deps.leaders.now;
  }

  /** Where clients find the leader; null: not known. */
  get leaderUrl(): string | null {
    const { leader } = this.leadership;
    return leader === null ? null : this.#deps.clientUrlOf(leader);
  }

  raftStatus(): RaftStatus {
    return this.#deps.node.status();
  }

  storeStatus(): StoreStatus {
    const { revision, compactRevision, liveKeys, liveBytes, historyBytes } = this.#deps.store;
    return { revision, compactRevision, keys: liveKeys, keyBytes: liveBytes, historyBytes };
  }

  scrubStatus(): ScrubStatus {
    return this.#deps.scrubStatus();
  }

  /** Whether requests would be answered, rather than wait: all must be ok. */
  checks(): readonly Check[] {
    const { inDoubt, diskHangs } = this.raftStatus();
    return [
      { name: "leader", ok: this.leadership.leader !== null },
      { name: "caught-up", ok: this.#isCaughtUp },
      { name: "certain", ok: !inDoubt },
      { name: "disk", ok: !diskHangs },
    ];
  }

  #deadline(timeoutMs: number): Millis {
    return (this.#deps.clock.now() + timeoutMs) as Millis;
  }

  async #ready({ consistency, maxStaleMs, minRevision, timeoutMs }: ReadOptions): Promise<void> {
    const deadline = this.#deadline(timeoutMs);
    if (consistency === "linearizable") await caughtUp(this.#reader, deadline);
    else if (maxStaleMs !== null) this.#checkContact(maxStaleMs);
    if (minRevision !== null) await this.#reached(minRevision, deadline);
  }

  #checkContact(maxStaleMs: number): void {
    const { lastContactMs } = this.#deps.node.status();
    if (lastContactMs !== null && lastContactMs <= maxStaleMs) return;
    const when = lastContactMs === null ? "never" : `${Math.ceil(lastContactMs)} ms ago`;
    throw new ServiceError("TOO_STALE", `this node last heard of a leader ${when}`);
  }

  #reached(revision: number, deadline: Millis): Promise<void> {
    const { store, clock } = this.#deps;
    if (store.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stopTimer = clock.after(deadline - clock.now(), () => {
        stopWaiting();
        const text = `this node is at revision ${store.revision}, not yet at ${revision}`;
        reject(
          new ServiceError("REVISION_NOT_REACHED", text, { details: { current: store.revision } }),
        );
      });
      const stopWaiting = this.#revisions.whenReached(revision, () => {
        stopTimer();
        resolve();
      });
    });
  }

  #reading(found: KeyValue | null, { consistency }: ReadOptions): Reading {
    const { node, store } = this.#deps;
    const lastContactMs = consistency === "stale" ? node.status().lastContactMs : null;
    return { found, storeRevision: store.revision, lastContactMs };
  }

  /** Once everything acknowledged before the start is here, this node is as good as any. */
  async #catchUp(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#isStopped && !this.#isCaughtUp) {
      try {
        await caughtUp(this.#reader, (clock.now() + CATCH_UP_TRY_MS) as Millis);
        this.#isCaughtUp = true;
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
      }
    }
  }
}

/** Only for the loop to notice that it is to stop. */
const CATCH_UP_TRY_MS = 1_000;
