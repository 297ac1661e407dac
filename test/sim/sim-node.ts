/** One machine: the production node on a simulated disk, network and clock. */
import { assert, must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { KvStore, type KvResult } from "../../src/kv/store.ts";
import type { RaftNode } from "../../src/node/node.ts";
import { join, type NodeIdentity, writeIdentity } from "../../src/node/identity.ts";
import {
  inDoubt,
  openOrRepair,
  recoverIdentity,
  type Repaired,
  type RepairOptions,
} from "../../src/node/repair.ts";
import type { SnapshotEvent } from "../../src/node/snapshots.ts";
import type { Runtime, Transport } from "../../src/node/ports.ts";
import type { Message } from "../../src/raft/message.ts";
import type { Raft, RaftStatus } from "../../src/raft/raft.ts";
import { simpleConfiguration } from "../../src/raft/membership.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { type Scrub, SCRUB_STEP_MS } from "../../src/storage/scrub.ts";
import type { Wal } from "../../src/storage/wal.ts";
import { type Complete, type Operation, SimDisk } from "./disk.ts";
import type { EventQueue } from "./events.ts";
import type { Receiver, SimNetwork } from "./network.ts";
import type { SimOptions } from "./options.ts";
import type { Sometimes } from "./sometimes.ts";

const HEARTBEAT_MS = 50;
export const ELECTION_MS = 300;
const TICK_MS = 10;

export interface SimNodeDeps {
  readonly id: NodeId;
  readonly ids: readonly NodeId[];
  readonly seed: string;
  readonly options: SimOptions;
  readonly events: EventQueue;
  readonly network: SimNetwork;
  /** Called after everything that may have changed the node. */
  readonly onEvent: (node: SimNode) => void;
  /** The node is about to send this. */
  readonly onSend?: (node: SimNode, message: Message) => void;
  /** The process has read its disk, and runs from now on. */
  readonly onStart?: (node: SimNode, life: Life) => void;
  /** Role, term or leader have changed. */
  readonly onChange?: (node: SimNode, now: RaftStatus) => void;
  /** A write, an fsync or a read has failed, and the process has ended itself. */
  readonly onDeath?: (node: SimNode) => void;
  readonly sometimes?: Sometimes;
  readonly trace: (line: string) => void;
}

/** A process that runs, from one start to its end. */
export interface Life {
  readonly node: RaftNode<KvResult>;
  readonly raft: Raft;
  readonly store: KvStore;
  readonly wal: Wal;
  readonly scrub: Scrub;
}

export class SimNode {
  readonly id: NodeId;
  readonly disk: SimDisk;
  /** Null: the process does not run, or still reads its disk. */
  life: Life | null = null;
  /** From the start of the process to its end. */
  isRunning = false;
  /** Counts starts, so that what belongs to an earlier one is told apart. */
  generation = 0;
  /** Milliseconds on the node's clock for each that passes. */
  clockRate = 1;
  diskHangs = false;
  /** The next operation of this kind fails; "write": also an fsync. */
  failing: "write" | "read" | null = null;
  /** What it has promised may be lost, and it has not found out that all is well. */
  hasLost = false;
  /** Bits of its disk have flipped behind its back. */
  hasFlipped = false;
  private identity: NodeIdentity | null = null;
  /** Its peers have heard of it. */
  private hasRun = false;
  /** Its disk was lost as a whole. */
  private isWiped = false;
  private pausedUntil = 0;
  private wokeAt = Number.NEGATIVE_INFINITY;
  private held: (() => void)[] = [];
  private readonly deps: SimNodeDeps;
  private readonly random: Prng;
  private readonly heldDisk: (() => void)[] = [];

  constructor(deps: SimNodeDeps) {
    this.deps = deps;
    this.id = deps.id;
    this.random = new Prng(`${deps.seed}/node/${deps.id}`);
    this.disk = new SimDisk((operation, complete) => this.diskOperation(operation, complete));
  }

  /** It has read its disk, and takes part. */
  get isUp(): boolean {
    return this.life !== null;
  }

  start(): void {
    assert(!this.isRunning, "started twice");
    this.isRunning = true;
    const { deps } = this;
    this.generation += 1;
    const { generation } = this;
    const store = new KvStore();
    const transport = deps.network.transportOf({
      id: this.id,
      readAt: (name, at, done) => {
        if (generation === this.generation) this.disk.readAt(name, at, done);
      },
      unreachable: (peer) => this.run(generation, () => this.life?.node.unreachable(peer)),
    });
    const options = {
      raft: this.raftOptions(),
      random: new Prng(`${deps.seed}/raft/${this.id}/${generation}`),
      snapshots: {
        entries: deps.options.snapshotEntries,
        logBytes: 1_000_000,
        trailingEntries: deps.options.trailingEntries,
      },
      segmentBytesMax: deps.options.segmentBytesMax,
      disk: this.disk,
      runtime: this.runtime(generation),
      transport: this.watched(transport),
      machine: store,
      onChange: (now: RaftStatus, before: RaftStatus) => this.onChange(now, before),
      onSnapshot: (event: SnapshotEvent) => {
        deps.trace(`${this.id} snapshot ${JSON.stringify(event)}`);
        if (event.type === "installed") deps.sometimes?.saw("a snapshot was installed");
        assert(event.type !== "damaged" || this.hasFlipped, "a whole file is taken for damaged");
      },
    };
    this.open(options, ({ opened, identity }) => {
      if (generation !== this.generation) return;
      const { node, raft, wal, scrub } = opened;
      this.identity = identity;
      this.hasLost = identity.since === null;
      this.life = { node, raft, store, wal, scrub };
      this.noteStart(opened);
      deps.onStart?.(this, this.life);
      node.start();
      options.runtime.every(SCRUB_STEP_MS, () => scrub.step());
      deps.network.connect(this.id, this.receiver(generation));
      deps.onEvent(this);
    });
  }

  private watched(transport: Transport): Transport {
    return {
      ...transport,
      send: (to, messages) => {
        for (const message of messages) this.deps.onSend?.(this, message);
        transport.send(to, messages);
      },
    };
  }

  private noteStart({ raft, notes }: Repaired<KvResult>["opened"]): void {
    const { sometimes } = this.deps;
    if (raft.core.snapshot !== null) sometimes?.saw("a node began with a snapshot");
    if (notes.some((note) => note.includes("ended in an append that never finished"))) {
      sometimes?.saw("a start cut off a torn append");
    }
  }

  /** As a program does it: who the node is, what it has, and that it takes part from now on. */
  private open(
    options: Omit<RepairOptions<KvResult>, "identity" | "newIncarnation">,
    done: (repaired: Repaired<KvResult>) => void,
  ): void {
    const { disk, id } = this;
    const newIncarnation = () => `${id}.${this.generation}`;
    const fresh = { cluster: "sim", id, incarnation: newIncarnation(), joined: false, since: 0 };
    recoverIdentity(disk, fresh, (found) => {
      // Its peers would know that it had another data directory.
      const unknown = this.hasRun ? inDoubt(fresh, fresh.incarnation) : fresh;
      openOrRepair({ ...options, identity: found ?? unknown, newIncarnation }, (repaired) => {
        if (repaired instanceof StorageError) throw repaired;
        const { opened, identity, damage } = repaired;
        if (damage !== null) this.deps.trace(`${id} is damaged: ${damage}`);
        assert(damage === null || this.hasFlipped || this.hasLost, "a whole disk looks damaged");
        join(disk, { identity, wal: opened.wal }, () => {
          this.hasRun = true;
          done({ ...repaired, identity: { ...identity, joined: true } });
        });
      });
    });
  }

  private onChange(now: RaftStatus, before: RaftStatus): void {
    const doubt = now.inDoubt ? " in doubt" : "";
    this.deps.trace(`${now.id} ${now.role} term=${now.term} of ${now.leader}${doubt}`);
    this.deps.onChange?.(this, now);
    if (before.role === "leader" && now.role !== "leader") this.noteDeposed(before, now);
    if (!before.inDoubt || now.inDoubt) return;
    const { life, identity, disk } = this;
    const certain = { ...must(identity, "it runs"), since: must(now.rejoined, "by an entry") };
    must(life, "it runs").wal.write(null, () =>
      writeIdentity(disk, certain, () => {
        this.identity = certain;
        this.hasLost = false;
        const how = this.isWiped ? "a wiped" : "a damaged";
        this.isWiped = false;
        this.deps.sometimes?.saw(`${how} node counted again`);
      }),
    );
  }

  private noteDeposed(before: RaftStatus, now: RaftStatus): void {
    const { sometimes, events } = this.deps;
    if (this.diskHangs) sometimes?.saw("a hung disk deposed its leader");
    else if (now.term === before.term) sometimes?.saw("a leader without a quorum stepped down");
    if (events.now - this.wokeAt < TICK_MS) sometimes?.saw("a paused leader woke up deposed");
  }

  /** While it does not run: its disk is lost, or one bit of it flips. */
  lose(how: "disk" | "bit"): void {
    assert(!this.isRunning, "it runs");
    this.hasLost = true;
    if (how === "disk") {
      this.isWiped = true;
      this.deps.trace(`${this.id} is wiped`);
      this.disk.wipe();
      return;
    }
    const names = this.disk.list().filter((name) => this.disk.read(name).length > 0);
    if (names.length === 0) return;
    const name = this.random.pick(names);
    const bytes = this.disk.read(name);
    const bit = this.random.below(8 * bytes.length);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    this.deps.trace(`${this.id} ${name}: bit ${bit} flips`);
    this.hasFlipped = true;
    this.disk.corrupt(name, bytes);
  }

  /** The process dies. `power`: and with it everything that was not synced. */
  stop(how: "kill" | "power"): void {
    this.deps.trace(`${this.id} ${how}`);
    this.life = null;
    this.isRunning = false;
    this.generation += 1;
    this.held = [];
    this.heldDisk.length = 0;
    this.diskHangs = false;
    this.pausedUntil = 0;
    this.deps.network.connect(this.id, null);
    if (how === "power") this.disk.powerCut(this.random);
    else this.disk.kill(this.random);
  }

  /** The process stands still; what arrives meanwhile is delivered all at once afterwards. */
  pause(ms: number): void {
    if (this.life === null) return;
    this.deps.trace(`${this.id} pause ${ms}`);
    this.pausedUntil = this.deps.events.now + ms;
    const { generation } = this;
    this.deps.events.after(ms, () => {
      if (generation !== this.generation) return;
      this.wokeAt = this.deps.events.now;
      const held = this.held;
      this.held = [];
      for (const run of held) run();
    });
  }

  hangDisk(): void {
    this.deps.trace(`${this.id} disk hangs`);
    this.diskHangs = true;
  }

  releaseDisk(): void {
    this.diskHangs = false;
    for (const complete of this.heldDisk.splice(0)) complete();
  }

  /** Runs now, or after the pause, unless the process has ended by then. */
  run(generation: number, action: () => void): void {
    if (generation !== this.generation) return;
    if (this.deps.events.now < this.pausedUntil) {
      this.held.push(() => this.run(generation, action));
      return;
    }
    action();
    if (this.life !== null) this.deps.onEvent(this);
  }

  private receiver(generation: number): Receiver {
    return {
      receive: (message) => this.run(generation, () => this.life?.node.receive([message])),
      receiveSnapshot: (chunk, answer) =>
        this.run(generation, () => this.life?.node.receiveSnapshot(chunk, answer)),
    };
  }

  private runtime(generation: number): Runtime {
    const { events } = this.deps;
    return {
      now: () => (events.now * this.clockRate) as Millis,
      defer: (turn) => events.after(0, () => this.run(generation, turn)),
      every: (ms, run) => {
        const again = () => {
          if (generation !== this.generation) return;
          events.after(ms / this.clockRate, again);
          // Timers that were due several times during a pause fire once.
          if (events.now >= this.pausedUntil) this.run(generation, run);
        };
        events.after(this.random.below(ms), again);
        return () => {};
      },
    };
  }

  private diskOperation({ kind }: Operation, complete: Complete): void {
    const { options, events } = this.deps;
    const { generation } = this;
    const wasLeader = this.leads;
    const slow = this.random.chance(options.slowDiskPercent);
    const ms = this.random.between(0, slow ? options.diskMaxMs * 20 : options.diskMaxMs);
    events.after(ms, () => {
      if (generation !== this.generation) return;
      if (this.failing === (kind === "read" ? "read" : "write")) return this.failDisk(complete);
      const finish = () =>
        this.run(generation, () => {
          if (kind === "append" && wasLeader && !this.leads) {
            this.deps.sometimes?.saw("a write ended after its leader had stepped down");
          }
          complete();
        });
      if (this.diskHangs) this.heldDisk.push(finish);
      else finish();
    });
  }

  /** As a program does it: it ends at once, and says nothing more to anybody. */
  private failDisk(complete: Complete): void {
    this.deps.trace(`${this.id} a disk operation fails`);
    const log = this.life?.raft.core.log;
    if (this.leads && log !== undefined && log.lastIndex > log.durable) {
      this.deps.sometimes?.saw("a write failed on a leader with entries under way");
    }
    complete("failed");
    this.failing = null;
    this.stop("kill");
    this.deps.onDeath?.(this);
  }

  private get leads(): boolean {
    return this.life?.raft.core.role.kind === "leader";
  }

  private raftOptions() {
    const { options, ids } = this.deps;
    return {
      id: this.id,
      bootstrap: simpleConfiguration(ids),
      heartbeatMs: HEARTBEAT_MS,
      electionMs: ELECTION_MS,
      tickMs: TICK_MS,
      appendEntriesMax: options.appendEntriesMax,
      appendBytesMax: options.appendBytesMax,
      applyEntriesMax: 3,
      window: { bytes: 2_000, messages: options.windowMessages },
      logBytesMax: 2_000_000,
      unappliedEntriesMax: 50,
      unappliedBytesMax: 1_000_000,
    };
  }
}

/** The Raft core of a node that runs. */
export function coreOf(node: SimNode) {
  return must(node.life, "running").raft.core;
}
