/** The store as clients use it, on any node: promises with deadlines, and one way to fail. */
import { type Command, encodeCommand, type PlainCommand } from "../kv/command.ts";
import type { Key } from "../kv/key.ts";
import type { KeyPage, KeyPageLimits } from "../kv/leased-keys.ts";
import type { Lease } from "../kv/leases.ts";
import type { Txn } from "../kv/operation.ts";
import type { Page, PageLimits } from "../kv/range.ts";
import type { KvResult, KvStore } from "../kv/store.ts";
import type { KeyValue, Metadata } from "../kv/version.ts";
import type { RaftNode, ReadProof } from "../node/node.ts";
import type { SavedSnapshot } from "../node/snapshots.ts";
import type { RaftStatus } from "../raft/raft.ts";
import type { Millis, NodeId } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import { WatchHub } from "../watch/hub.ts";
import { type Backup, Backups } from "./backups.ts";
import type { Clock } from "./clock.ts";
import { startCompaction } from "./compaction.ts";
import { Examinee } from "./examinee.ts";
import { Renewals, startExpiry } from "./leases.ts";
import type { ServiceLimits } from "./limits.ts";
import { Locks, type LockState } from "./locks.ts";
import { ServiceError } from "./errors.ts";
import { Forwarder } from "./forward.ts";
import type { Leadership, LeaderWatch } from "./leader-watch.ts";
import { type KeysAt, ManyReads, type ManyReading, mustHave, type RangeAt } from "./many-reads.ts";
import { type MemberChanges, Members } from "./members.ts";
import { ReadCalls } from "./read-calls.ts";
import type { Consistency, Life, Listing, Reading, ReadOptions } from "./reading.ts";
import { caughtUp, type ReaderDeps } from "./reads.ts";
import { RevisionWaits } from "./revision-waits.ts";
import { Writer } from "./writes.ts";

/** The node, as far as the service needs it. */
export type ServedNode = Pick<
  RaftNode<KvResult>,
  | "submit"
  | "whenApplied"
  | "readIndex"
  | "whenReached"
  | "status"
  | "change"
  | "transfer"
  | "inForce"
  | "fateOf"
  | "awaitCommit"
  | "freeze"
  | "saveSnapshot"
>;

/** What the service is made of. */
export interface KvServiceDeps {
  readonly node: ServedNode;
  readonly store: KvStore;
  readonly calls: Pick<PeerCalls, "forward" | "readIndex" | "members">;
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

/** How the store is doing. */
export interface StoreStatus {
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly keyBytes: number;
  readonly historyBytes: number;
  /** How many commands have made it, … */
  readonly commands: number;
  /** … their digest, and after how many of them a majority was last known to have the same. */
  readonly digest: string;
  readonly agreed: number | null;
}

/** The state of this node, new enough for a read. */
export interface Reached {
  readonly revision: number;
  /** How that is known. */
  readonly consistency: Consistency;
}

/** A lease, and some of the keys that hang on it. */
export interface LeaseReading extends KeyPage {
  readonly lease: Lease;
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
  /** Watches of this node's own state, which may be behind others. */
  readonly watches: WatchHub;
  readonly #deps: KvServiceDeps;
  readonly #writer: Writer;
  readonly #reader: ReaderDeps;
  readonly #revisions: RevisionWaits;
  readonly #renewals: Renewals;
  /** See there. */
  readonly locks: Locks;
  /** See there. */
  readonly members: Members;
  /** See there. */
  readonly examinee: Examinee;
  readonly #many: ManyReads;
  readonly #backups: Backups;
  #isCaughtUp = false;
  #isStopped = false;

  constructor(deps: KvServiceDeps) {
    const { node, store, calls, leaders, clock, limits } = deps;
    const { callTimeoutMs } = limits;
    this.#deps = deps;
    const hasLeader = () => leaders.leader !== null;
    this.watches = new WatchHub({ store, clock, hasLeader, limits: limits.watches });
    leaders.update(node.status());
    const forwarder = new Forwarder({ calls, leaders, clock, callTimeoutMs });
    this.#writer = new Writer({ node, leaders, forwarder, clock, limits: limits.writes });
    const readCalls = new ReadCalls({ calls, leaders, clock, callTimeoutMs });
    this.#reader = { node, leaders, readCalls, clock };
    this.#revisions = new RevisionWaits({ node, store });
    this.#renewals = new Renewals({ writer: this.#writer, clock });
    this.locks = new Locks({
      store,
      writer: this.#writer,
      revisions: this.#revisions,
      clock,
      caughtUp: async (deadline) => void (await caughtUp(this.#reader, deadline)),
    });
    const clientUrlOf = (id: NodeId) => deps.clientUrlOf(id);
    this.members = new Members({ node, leaders, calls, clock, callTimeoutMs, clientUrlOf });
    this.#many = new ManyReads(store, clock);
    this.#backups = new Backups({ node, store, clock });
    this.examinee = new Examinee({ store, clock, term: () => node.status().term });
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
    const stopExpiry = startExpiry({ node, store, leaders, clock });
    void this.#catchUp();
    return () => {
      this.#isStopped = true;
      stopCompaction();
      stopExpiry();
    };
  }

  /** The cluster has removed this node: what its clients wait for ends. */
  depart(): void {
    this.members.depart();
    this.#writer.depart();
  }

  /**
   * Has a command carried out; under an idempotency key, once, however often it is asked for. Other
   * than by ServiceError, its result may say that nothing was changed.
   */
  write(
    command: PlainCommand,
    timeoutMs: number,
    idempotencyKey: string | null = null,
  ): Promise<KvResult> {
    const whole: Command =
      idempotencyKey === null ? command : { type: "once", key: idempotencyKey, command };
    return this.#writer.write(encodeCommand(whole), this.#deadline(timeoutMs));
  }

  /** Lets a lease begin anew. Null: there is no such lease. */
  renew(id: number, timeoutMs: number): Promise<Lease | null> {
    return this.#renewals.renew(id, this.#deadline(timeoutMs));
  }

  /** A lease and some of its keys, as they are when it is asked for; null: it is not there. */
  async lease(id: number, keys: KeyPageLimits, timeoutMs: number): Promise<LeaseReading | null> {
    await caughtUp(this.#reader, this.#deadline(timeoutMs));
    const { store } = this.#deps;
    const lease = store.lease(id);
    return lease === null ? null : { lease, ...store.keysOfLease(id, keys) };
  }

  /** Who holds a lock. */
  lockState(name: string, timeoutMs: number): Promise<LockState> {
    return this.locks.state(name, this.#deadline(timeoutMs));
  }

  /** A transaction that writes nothing whichever way it goes, of the state as it is then. */
  async readTxn(txn: Txn, timeoutMs: number): Promise<KvResult> {
    await caughtUp(this.#reader, this.#deadline(timeoutMs));
    return this.#deps.store.readTxn(txn);
  }

  /** How long a key lives that was just read: as far as this node knows. */
  lifeOf(found: Metadata): Life {
    const { store, node } = this.#deps;
    const lease = found.lease === undefined ? null : store.anyLease(found.lease);
    if (lease === null) return { lease: null, ttlMs: null };
    const ttlMs = Math.max(0, lease.deadline - node.status().clusterTime);
    return { lease: lease.isOwn ? null : lease.id, ttlMs };
  }

  /** Reads a key. */
  async get(key: Key, options: ReadOptions): Promise<Reading> {
    const consistency = await this.#ready(options);
    return this.#reading(this.#deps.store.get(key), consistency);
  }

  /** Reads a key as it was at a revision. Rejects with what makes that impossible, too. */
  async getAt(key: Key, revision: number, options: ReadOptions): Promise<Reading> {
    const consistency = await this.#ready(options);
    const { store } = this.#deps;
    mustHave(store, revision);
    return this.#reading(store.getAt(key, revision), consistency);
  }

  /** Reads a part of a range, at one revision. */
  list(
    range: RangeAt & { readonly limits: PageLimits },
    options: ReadOptions,
  ): Promise<Listing<Page>> {
    return this.#readMany(options, (deadline) =>
      this.#many.readPage(range, range.limits, deadline),
    );
  }

  /** Counts the keys of a range, or its entries where it is grouped; at one revision. */
  count(range: RangeAt, options: ReadOptions): Promise<Listing<number>> {
    return this.#readMany(options, (deadline) => this.#many.countRange(range, deadline));
  }

  /** Reads keys, at one revision: a result for each, in their order; null: it is not there. */
  getMany(keys: KeysAt, options: ReadOptions): Promise<Listing<readonly (KeyValue | null)[]>> {
    return this.#readMany(options, (deadline) => this.#many.readKeys(keys, deadline));
  }

  /** A number for all that is there at a revision, null: now; the same on every node. */
  hash(revision: number | null, options: ReadOptions): Promise<Listing<string>> {
    return this.#readMany(options, (deadline) => this.#many.hash(revision, deadline));
  }

  /** A copy of the whole state at one moment. It must be ended. */
  backup(options: ReadOptions): Promise<Backup> {
    return this.#backups.begin(async () => {
      const consistency = await this.#ready(options);
      return { consistency, lastContactMs: this.#lastContactMs(consistency) };
    });
  }

  /** Writes all that is applied here to this node's disk, as a snapshot. */
  saveSnapshot(timeoutMs: number): Promise<SavedSnapshot> {
    return this.#backups.save(this.#deadline(timeoutMs));
  }

  /** Waits until this node's state is as new as a read wants it. */
  async reached(options: ReadOptions): Promise<Reached> {
    const consistency = await this.#ready(options);
    return { revision: this.#deps.store.revision, consistency };
  }

  /**
   * Makes all the changes of the members or none, in one step: resolves when they are through.
   * True: there was nothing to do, as far as this node knows.
   */
  async changeMembers(changes: MemberChanges, timeoutMs: number): Promise<boolean> {
    const wasSo = this.members.areDone(changes);
    await this.members.change(changes, this.#deadline(timeoutMs));
    return wasSo;
  }

  /** Hands leadership over, to whoever is furthest where `target` is null; resolves when it is. */
  async transferLeadership(target: NodeId | null, timeoutMs: number): Promise<void> {
    await this.members.transfer(target, this.#deadline(timeoutMs));
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
    const { store } = this.#deps;
    const { revision, compactRevision, historyBytes, commands, digest } = store;
    const { liveKeys: keys, liveBytes: keyBytes } = store;
    const { agreed } = this.examinee;
    return { revision, compactRevision, keys, keyBytes, historyBytes, commands, digest, agreed };
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

  async #readMany<Found>(
    options: ReadOptions,
    read: (deadline: Millis) => Promise<ManyReading<Found>>,
  ): Promise<Listing<Found>> {
    const deadline = this.#deadline(options.timeoutMs);
    const consistency = await this.#ready(options);
    const lastContactMs = this.#lastContactMs(consistency);
    return { ...(await read(deadline)), lastContactMs, consistency };
  }

  #deadline(timeoutMs: number): Millis {
    return (this.#deps.clock.now() + timeoutMs) as Millis;
  }

  /** Waits until the read can be answered. Returns how it is. */
  async #ready(options: ReadOptions): Promise<Consistency> {
    const { consistency, maxStaleMs, minRevision, timeoutMs } = options;
    const deadline = this.#deadline(timeoutMs);
    let proof: ReadProof | null = null;
    if (consistency !== "stale") {
      const wanted = consistency === "lease" ? "lease" : "quorum";
      proof = await caughtUp(this.#reader, deadline, wanted);
    } else if (maxStaleMs !== null) {
      this.#checkContact(maxStaleMs);
    }
    if (minRevision !== null) await this.#reached(minRevision, deadline);
    if (proof === null) return "stale";
    return proof === "lease" ? "lease" : "linearizable";
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

  #reading(found: KeyValue | null, consistency: Consistency): Reading {
    const { revision: storeRevision } = this.#deps.store;
    return { found, storeRevision, lastContactMs: this.#lastContactMs(consistency), consistency };
  }

  #lastContactMs(consistency: Consistency): number | null {
    return consistency === "stale" ? this.#deps.node.status().lastContactMs : null;
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
