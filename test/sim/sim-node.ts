/**
 * One name, and the machine that bears it: the production node on a simulated disk, network and
 * clock. A machine that has left for good can be followed by another one of the same name.
 */
import { assert, must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { KvStore, type KvResult } from "../../src/kv/store.ts";
import type { RaftNode } from "../../src/node/node.ts";
import { join, type NodeIdentity, PeerBook, writeIdentity } from "../../src/node/identity.ts";
import {
  canBeHelped,
  inDoubt,
  openOrRepair,
  recoverIdentity,
  type Repaired,
  type RepairOptions,
} from "../../src/node/repair.ts";
import { admission } from "../../src/program/members/admission.ts";
import type { SnapshotEvent } from "../../src/node/snapshots.ts";
import type { Runtime, Transport } from "../../src/node/ports.ts";
import type { Message } from "../../src/raft/message.ts";
import type { Raft, RaftStatus } from "../../src/raft/raft.ts";
import { configurationOf, isJoint, isVoter, memberOf } from "../../src/raft/membership.ts";
import {
  asIndex,
  type Configuration,
  type Index,
  type Millis,
  type NodeId,
} from "../../src/raft/types.ts";
import { DamageError, StorageError } from "../../src/storage/storage-error.ts";
import { type Scrub, SCRUB_STEP_MS } from "../../src/storage/scrub.ts";
import type { Wal } from "../../src/storage/wal.ts";
import type { Sender } from "../../src/transport/identity.ts";
import { type Complete, type Operation, SimDisk } from "./disk.ts";
import type { EventQueue } from "./events.ts";
import type { Receiver, SimNetwork } from "./network.ts";
import { ELECTION_MS, type SimOptions } from "./options.ts";
import type { Sometimes } from "./sometimes.ts";

const HEARTBEAT_MS = 50;
const TICK_MS = 10;

export interface SimNodeDeps {
  readonly id: NodeId;
  /** The founders. Under another name there is no machine before one joins. */
  readonly ids: readonly NodeId[];
  /** See RaftOptions; without it, 0. */
  readonly leaseMs?: number;
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
  /** A machine bears the name, whether it runs or not. */
  isPresent: boolean;
  /** Counts the machines that have borne the name. */
  machine: number;
  /** Whom the machine was told of as members when it came. */
  private bootstrap: Configuration;
  private identity: NodeIdentity | null = null;
  /** Its peers have heard of it. */
  private hasRun = false;
  /** Its disk was lost as a whole. */
  private isWiped = false;
  private pausedUntil = 0;
  /** For how long the machine has slept: its monotonic clock does not know of that (R10). */
  private sleptMs = 0;
  /** Since when it sleeps; null: it does not. */
  private asleepFrom: number | null = null;
  private wokeAt = Number.NEGATIVE_INFINITY;
  private held: (() => void)[] = [];
  private readonly deps: SimNodeDeps;
  private readonly random: Prng;
  private readonly heldDisk: (() => void)[] = [];

  constructor(deps: SimNodeDeps) {
    this.deps = deps;
    this.id = deps.id;
    this.isPresent = deps.ids.includes(deps.id);
    this.machine = this.isPresent ? 1 : 0;
    this.bootstrap = configurationOf({ voters: deps.ids });
    this.random = new Prng(`${deps.seed}/node/${deps.id}`);
    this.disk = new SimDisk((operation, complete) => this.diskOperation(operation, complete));
  }

  /** It has read its disk, and takes part. */
  get isUp(): boolean {
    return this.life !== null;
  }

  /** Which entry has made the machine a member; 0: it is a founder. */
  get since(): Index {
    return memberOf(this.bootstrap, this.id)?.since ?? asIndex(0);
  }

  /** The data directory that a machine of this name has, or that the next one will have. */
  get incarnation(): string {
    return `${this.id}-${this.isPresent ? this.machine : this.machine + 1}`;
  }

  /** What its disk loses can be made good, as far as it knows itself. */
  get canBeHelped(): boolean {
    return canBeHelped(this.bootstrap.voters.length);
  }

  /** A new machine takes the name, and begins with what a member has told it. */
  join(bootstrap: Configuration): void {
    assert(!this.isPresent, "the name is in use");
    this.deps.trace(`${this.id} joins as ${this.incarnation}`);
    this.isPresent = true;
    this.machine += 1;
    this.bootstrap = bootstrap;
    this.deps.network.replace(this.id);
    this.start();
  }

  /** The machine is shut down for good, and nothing is left of it. */
  leave(): void {
    this.deps.trace(`${this.id} leaves`);
    if (this.isRunning) this.stop("kill");
    this.disk.wipe();
    this.isPresent = false;
    this.identity = null;
    this.hasRun = false;
    this.hasLost = false;
    this.hasFlipped = false;
    this.isWiped = false;
    this.failing = null;
  }

  start(): void {
    assert(this.isPresent && !this.isRunning, "there is nothing to start");
    this.isRunning = true;
    const { deps } = this;
    this.generation += 1;
    const { generation } = this;
    const store = new KvStore();
    const transport = deps.network.transportOf({
      id: this.id,
      presents: () => this.presents(),
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
      onConfiguration: () => {},
      onChange: (now: RaftStatus, before: RaftStatus) => this.onChange(now, before),
      onSnapshot: (event: SnapshotEvent) => {
        deps.trace(`${this.id} snapshot ${JSON.stringify(event)}`);
        if (event.type === "installed") this.noteInstalled();
        assert(event.type !== "damaged" || this.hasFlipped, "a whole file is taken for damaged");
      },
    };
    this.open(options, ({ opened, identity }, book) => {
      if (generation !== this.generation) return;
      const { node, raft, wal, scrub } = opened;
      this.identity = identity;
      this.hasLost = identity.since === null;
      this.life = { node, raft, store, wal, scrub };
      this.noteStart(opened);
      deps.onStart?.(this, this.life);
      node.start();
      options.runtime.every(SCRUB_STEP_MS, () => scrub.step());
      deps.network.connect(this.id, this.receiver(generation, book));
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

  private noteInstalled(): void {
    const { sometimes } = this.deps;
    sometimes?.saw("a snapshot was installed");
    const { configuration } = must(coreOf(this).snapshot, "it was installed");
    if (isJoint(configuration)) sometimes?.saw("a snapshot carried a joint configuration");
    if (this.since > 0 && !isVoter(configuration, this.id)) {
      sometimes?.saw("a joining node got a snapshot");
    }
  }

  /** As a program does it: who the node is, what it has, and that it takes part from now on. */
  private open(
    options: Omit<RepairOptions<KvResult>, "identity" | "newIncarnation">,
    done: (repaired: Repaired<KvResult>, book: PeerBook) => void,
  ): void {
    const { disk, id } = this;
    const newIncarnation = () => `${id}.${this.generation}`;
    const { bootstrap } = options.raft;
    const { incarnation, since } = this;
    const voters = bootstrap.voters.length;
    const fresh = { cluster: "sim", id, incarnation, joined: false, since, voters, bootstrap };
    recoverIdentity(disk, { ...fresh, incarnation: newIncarnation() }, (found) => {
      // Its peers would know that it had another data directory.
      const unknown = this.hasRun ? inDoubt(fresh, newIncarnation()) : fresh;
      openOrRepair({ ...options, identity: found ?? unknown, newIncarnation }, (repaired) => {
        if (repaired instanceof StorageError) throw repaired;
        const { opened, identity, damage } = repaired;
        if (damage !== null) this.deps.trace(`${id} is damaged: ${damage}`);
        assert(damage === null || this.hasFlipped || this.hasLost, "a whole disk looks damaged");
        join(disk, { identity, wal: opened.wal }, () => {
          this.hasRun = true;
          this.openBook((book) =>
            done({ ...repaired, identity: { ...identity, joined: true } }, book),
          );
        });
      });
    });
  }

  private openBook(done: (book: PeerBook) => void): void {
    const { disk } = this;
    try {
      done(new PeerBook(disk));
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      assert(this.hasFlipped, "a whole file is taken for damaged");
      PeerBook.setAside(disk, () => done(new PeerBook(disk)));
    }
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
    this.wake();
    this.deps.network.connect(this.id, null);
    if (how === "power") this.disk.powerCut(this.random);
    else this.disk.kill(this.random);
  }

  /**
   * The process stands still, or the whole machine sleeps; what arrives meanwhile is delivered all
   * at once afterwards.
   */
  pause(ms: number, isAsleep: boolean): void {
    const { now } = this.deps.events;
    if (this.life === null || now < this.pausedUntil) return;
    this.deps.trace(`${this.id} ${isAsleep ? "sleep" : "pause"} ${ms}`);
    if (isAsleep) this.asleepFrom = now;
    this.pausedUntil = this.deps.events.now + ms;
    const { generation } = this;
    this.deps.events.after(ms, () => {
      if (generation !== this.generation) return;
      this.wake();
      this.wokeAt = this.deps.events.now;
      const held = this.held;
      this.held = [];
      for (const run of held) run();
    });
  }

  private wake(): void {
    if (this.asleepFrom !== null) this.sleptMs += this.deps.events.now - this.asleepFrom;
    this.asleepFrom = null;
  }

  /** What its monotonic clock shows. */
  private get clockMs(): number {
    return ((this.asleepFrom ?? this.deps.events.now) - this.sleptMs) * this.clockRate;
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

  /** As a program does it: whoever has left, or is not who it was, is not heard (M8, M13). */
  private receiver(generation: number, book: PeerBook): Receiver {
    const { node } = must(this.life, "it hears");
    const admitted = admission({ node, book, meet: () => {}, note: () => {} });
    const hear = (sender: Sender, receive: () => void) =>
      this.run(generation, () => {
        const answer = admitted.admit(sender);
        if (answer === "yes") receive();
        // It would be asked again at once.
        if (answer === "later") book.record(sender.from, sender, () => hear(sender, receive));
      });
    return {
      receive: (message, sender) => hear(sender, () => this.life?.node.receive([message])),
      receiveSnapshot: (chunk, sender, answer) =>
        hear(sender, () => this.life?.node.receiveSnapshot(chunk, answer)),
    };
  }

  private presents(): Sender {
    const { incarnation, since } = must(this.identity, "it runs");
    const { id: from, since: life } = this;
    return { from, incarnation, since, life, peerUrl: `http://${from}.test` };
  }

  private runtime(generation: number): Runtime {
    const { events } = this.deps;
    return {
      now: () => this.clockMs as Millis,
      awakeAndAsleep: () => events.now * this.clockRate,
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
    const { options, leaseMs = 0 } = this.deps;
    return {
      id: this.id,
      bootstrap: this.bootstrap,
      heartbeatMs: HEARTBEAT_MS,
      electionMs: ELECTION_MS,
      leaseMs,
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

/** Who leads the newest term that anybody leads; null: nobody. */
export function leaderOf(nodes: readonly SimNode[]): SimNode | null {
  let leader: SimNode | null = null;
  for (const node of nodes) {
    if (!node.isUp || coreOf(node).role.kind !== "leader") continue;
    if (leader === null || coreOf(node).term > coreOf(leader).term) leader = node;
  }
  return leader;
}

/** The Raft core of a node that runs. */
export function coreOf(node: SimNode) {
  return must(node.life, "running").raft.core;
}
