/** When to take a snapshot, how snapshots travel between nodes, and how they heal a disk. */
import { assert, must } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { Core } from "../raft/core.ts";
import type { Input, SnapshotTransfer } from "../raft/message.ts";
import type { Raft } from "../raft/raft.ts";
import type { Index, Millis, NodeId, SnapshotMeta, Term } from "../raft/types.ts";
import type { Disk } from "../storage/disk.ts";
import type { Damage } from "../storage/scrub.ts";
import { snapshotName } from "../storage/snapshot-files.ts";
import type { SnapshotStore } from "../storage/snapshots.ts";
import type { Wal } from "../storage/wal.ts";
import { IncomingSnapshot, type SnapshotChunk } from "./incoming.ts";
import type { Restorer, StateMachine, Transport } from "./ports.ts";

/** When to take a snapshot, and how much of the log to keep behind it. */
export interface SnapshotLimits {
  /** After so many applied entries, … */
  readonly entries: number;
  /** … or when the log in memory is so large. */
  readonly logBytes: number;
  /** Entries kept behind a snapshot, so that a node that is only a little behind needs none. */
  readonly trailingEntries: number;
}

/** `want`: send on from here; the size of the whole means that it is complete and durable. */
export type ChunkAnswer =
  | { readonly type: "want"; readonly offset: number }
  | { readonly type: "refused"; readonly reason: "stale_term" | "not_wanted" };

/** A snapshot of this node that is on its disk. */
export interface SavedSnapshot {
  readonly index: Index;
  /** How long its file is. */
  readonly bytes: number;
}

/** For the log of the operator. */
export type SnapshotEvent =
  | { readonly type: "saved"; readonly index: Index; readonly bytes: number; readonly ms: number }
  | { readonly type: "sending"; readonly index: Index; readonly to: NodeId }
  | { readonly type: "sent"; readonly to: NodeId; readonly ok: boolean }
  | { readonly type: "received"; readonly index: Index; readonly from: NodeId }
  | { readonly type: "installed"; readonly index: Index }
  | { readonly type: "damaged"; readonly file: string; readonly what: string }
  | { readonly type: "healed"; readonly file: string };

/** What it takes to keep the snapshots of the node `id`. */
export interface SnapshotDeps {
  readonly id: NodeId;
  readonly disk: Disk;
  readonly store: SnapshotStore;
  readonly machine: Pick<StateMachine<unknown>, "freeze" | "restorer">;
  readonly transport: Transport;
  readonly limits: SnapshotLimits;
  readonly now: () => Millis;
  readonly wal: Pick<Wal, "release" | "write">;
  readonly onEvent: (event: SnapshotEvent) => void;
  /** A peer did not take this snapshot to its end: the file may be damaged. */
  readonly onNotTaken: (name: string) => void;
}

/** Damage on disk that waits for a snapshot, and who wants to know that it is healed. */
interface Healing {
  readonly damage: Damage;
  readonly done: () => void;
}

const EVERYTHING = { bytes: Number.POSITIVE_INFINITY, entries: Number.POSITIVE_INFINITY };

/** A received snapshot that is durable and read, waiting for Raft to want it. */
interface Prepared {
  readonly meta: SnapshotMeta;
  readonly restorer: Restorer;
}

/** The snapshots of one node: saves, sends, receives and installs them. */
export class Snapshots {
  private readonly deps: SnapshotDeps;
  private enqueue: (input: Input) => void = () => {};
  private saving: { readonly abort: () => void } | null = null;
  private healing: Healing | null = null;
  /** Who has asked for a snapshot. */
  private requests: ((saved: SavedSnapshot) => void)[] = [];
  private incoming: IncomingSnapshot | null = null;
  private incomingCount = 0;
  private prepared: Prepared[] = [];

  constructor(deps: SnapshotDeps) {
    this.deps = deps;
  }

  /** Where results go. Called once, before anything else. */
  attach(enqueue: (input: Input) => void): void {
    this.enqueue = enqueue;
  }

  /** Looks after every turn whether the log has grown enough. */
  afterTurn(raft: Raft): void {
    // The turn has offered it to Raft, which either took it or never will.
    this.prepared = [];
    const arriving = this.incoming?.meta ?? null;
    if (arriving !== null && arriving.index <= raft.core.log.committed) this.stopReceiving();
    if (this.saving !== null) return;
    if (this.healing !== null) this.heal(raft, this.healing);
    else if (this.requests.length > 0) this.saveRequested(raft);
    else this.saveIfDue(raft);
  }

  /**
   * Wants a snapshot, after the next turn or after one that is being taken: there are never two at
   * a time. `done` when one is durable that has all that is applied now. Not called where nothing
   * ever is.
   */
  request(done: (saved: SavedSnapshot) => void): void {
    this.requests.push(done);
  }

  /**
   * A file has changed on disk. What is in memory is whole: so a snapshot of the state as it is now
   * is taken, and for damage of the log a new one begins behind it. `done` when that is durable and
   * the damaged file of no use any more. One at a time.
   */
  healFromMemory(damage: Damage, done: () => void): void {
    assert(this.healing === null, "one damage at a time");
    this.deps.onEvent({ type: "damaged", file: damage.name, what: damage.what });
    this.healing = { damage, done };
  }

  private saveRequested(raft: Raft): void {
    const { store } = this.deps;
    // Who comes while it is written wants a newer one.
    const count = this.requests.length;
    const tell = () => {
      const { meta, bytes } = must(store.newest, "a snapshot was saved");
      for (const done of this.requests.splice(0, count)) done({ index: meta.index, bytes });
    };
    const meta = raft.snapshotMeta();
    if (meta !== null) this.save(meta, tell);
    else if (store.newest !== null) tell();
  }

  private saveIfDue(raft: Raft): void {
    const { limits } = this.deps;
    const { log, snapshot } = raft.core;
    const isLarge = log.bytes >= limits.logBytes;
    if (isLarge && snapshot !== null && snapshot.index > log.base.index) {
      // The snapshot there is covers more than was forgotten for its sake.
      const compactTo = snapshot.index;
      this.enqueue({ type: "snapshotSaved", meta: snapshot, compactTo, isUrgent: true });
      return;
    }
    if (!isLarge && !this.isDue(raft)) return;
    const meta = raft.snapshotMeta();
    if (meta !== null) this.save(meta, () => {});
  }

  /** Not before the log is half as large as what a snapshot would write: state can be large. */
  private isDue({ core: { log, snapshot } }: Raft): boolean {
    const { limits, store } = this.deps;
    if (log.applied - (snapshot?.index ?? 0) < limits.entries) return false;
    return log.bytes >= (store.newest?.bytes ?? 0) / 2;
  }

  /** Streams the newest snapshot to a peer. Ends with the input `snapshotSent`. */
  sendTo({ peer, transfer }: SnapshotTransfer, term: Term): void {
    const { store, transport, onEvent } = this.deps;
    const file = store.newest;
    const ended = (ok: boolean) => this.enqueue({ type: "snapshotSent", peer, transfer, ok });
    if (file === null) return ended(false);
    const unpin = store.pin(file.name);
    onEvent({ type: "sending", index: file.meta.index, to: peer });
    transport.sendSnapshot(peer, { name: file.name, bytes: file.bytes, term }, (ok) => {
      unpin();
      if (!ok) this.deps.onNotTaken(file.name);
      onEvent({ type: "sent", to: peer, ok });
      ended(ok);
    });
  }

  /** Takes a part of another node's snapshot, and answers, once, what to send next. */
  receive(chunk: SnapshotChunk, core: Core, answer: (answer: ChunkAnswer) => void): void {
    if (chunk.term < core.term) return answer({ type: "refused", reason: "stale_term" });
    if (this.incoming === null || !this.incoming.isOf(chunk)) this.beginReceiving(chunk);
    const { incoming } = this;
    if (incoming === null || chunk.offset !== incoming.received || chunk.data.length === 0) {
      return answer({ type: "want", offset: incoming?.received ?? 0 });
    }
    const data = chunk.data.slice();
    try {
      incoming.read(data);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.stopReceiving();
      return answer({ type: "want", offset: 0 });
    }
    if (incoming.meta !== null && incoming.meta.index <= core.log.committed) {
      // The sender would offer it for ever if it were told no: what it lacks is our answer.
      this.stopReceiving();
      return answer({ type: "want", offset: chunk.bytes });
    }
    const { isComplete, received } = incoming;
    incoming.write(data, (wanted) => {
      const reply = () => answer({ type: "want", offset: received });
      if (wanted && isComplete) this.adopt(incoming, chunk, reply);
      else reply();
    });
  }

  /** Raft has taken the prepared snapshot: it becomes the state. */
  install(meta: SnapshotMeta): void {
    const prepared = this.prepared.find((each) => each.meta === meta);
    must(prepared, `snapshot ${meta.index} is not ready`).restorer.commit();
    this.stopSaving();
    this.deps.onEvent({ type: "installed", index: meta.index });
  }

  /** `done` when the snapshot is durable; not called if another node's is installed meanwhile. */
  private save(meta: SnapshotMeta, done: () => void): void {
    const { store, machine, limits, now, onEvent, wal } = this.deps;
    const startedAt = now();
    const frozen = machine.freeze();
    let isFrozen = true;
    const thaw = () => {
      if (isFrozen) frozen.release();
      isFrozen = false;
    };
    const writer = store.save({ meta, chunks: frozen.chunks() }, ({ bytes }) => {
      const isWanted = this.saving === saving;
      if (isWanted) this.saving = null;
      thaw();
      wal.release(store.releasable);
      onEvent({ type: "saved", index: meta.index, bytes, ms: now() - startedAt });
      const compactTo = Math.max(0, meta.index - limits.trailingEntries) as Index;
      this.enqueue({ type: "snapshotSaved", meta, compactTo, isUrgent: false });
      if (isWanted) done();
    });
    const saving = {
      abort: () => {
        writer.abort();
        thaw();
      },
    };
    this.saving = saving;
  }

  /** Where nothing was applied there is nothing to take a snapshot of: that is tried again. */
  private heal(raft: Raft, { damage, done }: Healing): void {
    const { store, wal, onEvent } = this.deps;
    const { core } = raft;
    const meta = raft.snapshotMeta() ?? core.snapshot;
    if (meta === null) return;
    const healed = () => {
      onEvent({ type: "healed", file: damage.name });
      done();
    };
    this.save(meta, () => {
      this.healing = null;
      if (damage.of === "snapshot") {
        if (damage.name !== snapshotName(meta)) store.discard(damage.name);
        return healed();
      }
      // All entries in memory were handed to the log, so these replace themselves.
      const entries = core.log.batchFrom((meta.index + 1) as Index, EVERYTHING);
      wal.write({ number: 0, hardState: null, reset: meta, entries }, healed);
    });
  }

  private stopSaving(): void {
    this.saving?.abort();
    this.saving = null;
  }

  private beginReceiving(chunk: SnapshotChunk): void {
    this.stopReceiving();
    if (chunk.offset !== 0) return;
    const { disk, machine } = this.deps;
    this.incomingCount += 1;
    const fileName = `incoming-${this.incomingCount}`;
    const restorer = machine.restorer();
    this.incoming = new IncomingSnapshot({ disk, fileName, first: chunk, restorer });
  }

  private stopReceiving(): void {
    this.incoming?.discard();
    this.incoming = null;
  }

  /** Complete, checked and on disk: under its final name first, and only then to Raft. */
  private adopt(
    incoming: IncomingSnapshot,
    { from, term, bytes }: SnapshotChunk,
    done: () => void,
  ): void {
    const { id, store, onEvent } = this.deps;
    const meta = must(incoming.meta, "a complete snapshot says what it is");
    if (this.incoming === incoming) this.incoming = null;
    store.adopt(incoming.fileName, { meta, bytes }, () => {
      onEvent({ type: "received", index: meta.index, from });
      this.prepared.push({ meta, restorer: incoming.restorer });
      this.enqueue({
        type: "message",
        message: { type: "snapshot", from, to: id, term, meta },
      });
      done();
    });
  }
}
