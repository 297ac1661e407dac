/** From a data directory to a node that runs: recovery, the state as of the snapshot, the log. */
import { NewerError } from "../lib/bytes.ts";
import type { Random } from "../lib/random.ts";
import type { RaftOptions } from "../raft/core.ts";
import { Raft, type RaftStatus } from "../raft/raft.ts";
import type { Disk } from "../storage/disk.ts";
import { openStorage } from "../storage/open.ts";
import { Scrub } from "../storage/scrub.ts";
import { readSnapshotChunks } from "../storage/snapshot-files.ts";
import { DamageError, StorageError } from "../storage/storage-error.ts";
import type { Wal } from "../storage/wal.ts";
import { type InForce, RaftNode } from "./node.ts";
import type { Runtime, StateMachine, Transport } from "./ports.ts";
import { type SnapshotEvent, type SnapshotLimits, Snapshots } from "./snapshots.ts";

/** What a node is opened with. */
export interface OpenNodeOptions<Result> {
  readonly raft: Omit<RaftOptions, "random">;
  readonly random: Random;
  readonly snapshots: SnapshotLimits;
  /** A log file that has grown beyond this is followed by a new one. */
  readonly segmentBytesMax: number;
  /** The incarnation of a node in doubt; null: it is certain of what it has promised. */
  readonly doubt: string | null;
  readonly disk: Disk;
  readonly runtime: Runtime;
  readonly transport: Transport;
  /** Empty; it is filled from the snapshot. */
  readonly machine: StateMachine<Result>;
  readonly onChange: (now: RaftStatus, before: RaftStatus) => void;
  readonly onConfiguration: (now: InForce) => void;
  readonly onSnapshot: (event: SnapshotEvent) => void;
}

/** A node that is ready to start. */
export interface OpenNode<Result> {
  readonly node: RaftNode<Result>;
  readonly raft: Raft;
  readonly wal: Wal;
  /** To be called every SCRUB_STEP_MS. */
  readonly scrub: Scrub;
  /** What recovery found and put right, each in one line for the operator. */
  readonly notes: readonly string[];
}

/**
 * Opens the data directory and calls `done` with a node that is ready to start, or with why it must
 * not. Throws StorageError too, where that is clear at once.
 */
export function openNode<Result>(
  options: OpenNodeOptions<Result>,
  done: (opened: OpenNode<Result> | StorageError) => void,
): void {
  const { disk, machine } = options;
  const storage = openStorage(disk, options);
  // What was read may not be durable yet: nobody hears of it, or builds on it, before.
  const finish = () => storage.wal.write(null, () => done(assemble(options, storage)));
  const { snapshotName } = storage;
  if (snapshotName === null) return finish();
  const restorer = machine.restorer();
  readSnapshotChunks(disk, snapshotName, {
    onChunk: (chunk) => restorer.feed(chunk),
    onEnd: (problem) => {
      if (problem instanceof NewerError) {
        return done(new StorageError(`${snapshotName}: ${problem.message}`));
      }
      if (problem !== null) {
        return done(new DamageError(`${snapshotName} cannot be read: ${problem.message}`));
      }
      restorer.commit();
      finish();
    },
  });
}

function assemble<Result>(
  options: OpenNodeOptions<Result>,
  storage: ReturnType<typeof openStorage>,
): OpenNode<Result> {
  const { runtime, transport, machine, disk } = options;
  const { wal } = storage;
  const raftOptions = { ...options.raft, random: options.random };
  const raft = new Raft(raftOptions, storage.saved, runtime.now());
  const snapshots = new Snapshots({
    id: raftOptions.id,
    disk,
    store: storage.snapshots,
    machine,
    transport,
    limits: options.snapshots,
    now: () => runtime.now(),
    wal,
    onEvent: options.onSnapshot,
    onNotTaken: (name) => scrub.suspect(name),
  });
  const scrub = new Scrub({
    disk,
    wal,
    snapshots: storage.snapshots,
    heal: (damage, done) => snapshots.healFromMemory(damage, done),
  });
  const { onChange, onConfiguration } = options;
  const told = { onChange, onConfiguration };
  const node = new RaftNode({ raft, log: wal, transport, runtime, machine, snapshots, ...told });
  return { node, raft, wal, scrub, notes: storage.notes };
}
