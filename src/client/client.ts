/** The client of a cluster: what it can do, in one place. */
import { type Backup, openBackup } from "./backup.ts";
import { Caller, type CallOptions } from "./caller.ts";
import { Cluster } from "./cluster.ts";
import { Leases } from "./leases.ts";
import {
  type CountOptions,
  countKeys,
  getMany,
  listAll,
  type ListAllOptions,
  type ListOptions,
  listPage,
  type Page,
} from "./lists.ts";
import { acquireLock, type Lock, type LockOptions, withLock } from "./locks.ts";
import {
  deleteKey,
  deleteMany,
  type DeleteOptions,
  type DeleteResult,
  getKey,
  incrementKey,
  type IncrementOptions,
  type IncrementResult,
  putKey,
  type PutOptions,
  type PutResult,
  type ReadOptions,
} from "./single-keys.ts";
import { type EndpointStatus, type NodeStatus, statusOf, statusOfAll } from "./status.ts";
import { runTxn, type Txn, type TxnResult } from "./txn.ts";
import type { Entry, Value } from "./values.ts";
import { watch, type WatchOptions } from "./watch.ts";
import type { WatchEvent } from "./watch-stream.ts";

export interface ClientOptions {
  /** The client URLs of some nodes, better of all. Others are not looked for. */
  readonly endpoints: readonly string[];
  /** For each request with all its retries: 5 seconds by default, five minutes at most. */
  readonly timeoutMs?: number | undefined;
}

const TIMEOUT_DEFAULT_MS = 5_000;

/**
 * A client of one cluster, for a whole program: it keeps connections, which do not keep the process
 * alive. Every method throws or rejects with a TypeError where it is used wrongly, and else with
 * QuorateError, which says whether anything was changed. Writes are applied once, however often the
 * client has to send them.
 */
export class QuorateClient {
  /** Keys that live as long as somebody renews. */
  readonly leases: Leases;
  /** Members and leadership. */
  readonly cluster: Cluster;
  readonly #caller: Caller;

  /** Connects to nobody yet. Throws TypeError where an endpoint is no URL. */
  constructor({ endpoints, timeoutMs = TIMEOUT_DEFAULT_MS }: ClientOptions) {
    this.#caller = new Caller({ endpoints, timeoutMs });
    this.leases = new Leases(this.#caller);
    this.cluster = new Cluster(this.#caller);
  }

  get endpoints(): readonly string[] {
    return this.#caller.endpoints;
  }

  /** Null: there is no such key. */
  async get(key: string, options: ReadOptions = {}): Promise<Entry | null> {
    return getKey(this.#caller, key, options);
  }

  /** The keys in the order of their names, in one view; null: there is none. At most 1000. */
  async getMany(keys: readonly string[], options: ReadOptions = {}): Promise<(Entry | null)[]> {
    return getMany(this.#caller, keys, options);
  }

  /** Writes a key. */
  async put(key: string, value: Value, options: PutOptions = {}): Promise<PutResult> {
    return putKey(this.#caller, { key, value }, options);
  }

  /** Deletes a key, if it is there. */
  async delete(key: string, options: DeleteOptions = {}): Promise<DeleteResult> {
    return deleteKey(this.#caller, key, options);
  }

  /** Deletes all keys that begin with a prefix that is not empty, under one revision. */
  async deletePrefix(prefix: string, options: CallOptions = {}): Promise<DeleteResult> {
    return deleteMany(this.#caller, prefix, options);
  }

  /** Deletes every key there is. */
  async deleteAll(options: CallOptions = {}): Promise<DeleteResult> {
    return deleteMany(this.#caller, null, options);
  }

  /** Adds to a counter: a key whose value is a whole number, as text. Else NOT_A_NUMBER. */
  async increment(key: string, by = 1, options: IncrementOptions = {}): Promise<IncrementResult> {
    return incrementKey(this.#caller, key, { ...options, by });
  }

  /** A page of keys in the order of their bytes. */
  async list(options: ListOptions = {}): Promise<Page> {
    return listPage(this.#caller, options);
  }

  async count(options: CountOptions = {}): Promise<number> {
    return countKeys(this.#caller, options);
  }

  /** All keys, of one revision, page by page as they are asked for. */
  listAll(options: ListAllOptions = {}): AsyncIterableIterator<Entry> {
    return listAll(this.#caller, options);
  }

  /** Compares and operations, all or nothing, under one revision. */
  async txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    return runTxn(this.#caller, txn, options);
  }

  /**
   * Every change of a key or of those of a prefix, in order and once, whatever happens to the
   * nodes. Nothing is read ahead of whoever asks for the next event.
   */
  watch(options: WatchOptions): AsyncIterableIterator<WatchEvent> {
    return watch(this.#caller, options);
  }

  /** Takes a lock. Rejects with LOCK_HELD when the wait is over. It must be released. */
  async lock(name: string, options: LockOptions = {}): Promise<Lock> {
    return acquireLock(this.#caller, name, options);
  }

  /**
   * Does something while it holds a lock, and releases it. Rejects with LOCK_LOST where that was
   * done, but the lock may have been lost in between.
   */
  async withLock<T>(
    name: string,
    options: LockOptions,
    work: (lock: Lock) => Promise<T> | T,
  ): Promise<T> {
    return withLock(await acquireLock(this.#caller, name, options), work);
  }

  /**
   * A copy of the whole state at one revision, of the first node that gives one; `timeoutMs` is for
   * that to begin. The bytes must be read to their end, or given up by `return` or the signal.
   */
  async backup(options: CallOptions = {}): Promise<Backup> {
    return openBackup(this.#caller, options);
  }

  /** How each node is doing, or why it does not say. */
  async status(options: CallOptions = {}): Promise<EndpointStatus[]> {
    return statusOfAll(this.#caller, options);
  }

  /** How one node is doing. */
  async statusOf(endpoint: string, options: CallOptions = {}): Promise<NodeStatus> {
    return statusOf(this.#caller, endpoint, options);
  }

  /** Ends all that is under way, which rejects with CLOSED. Locks are not released. */
  async close(): Promise<void> {
    await this.#caller.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
