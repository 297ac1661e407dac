/**
 * A network that loses, repeats, delays and reorders, and whose links can be cut, clogged and full,
 * in either direction.
 */
import type { Transport } from "../../src/node/ports.ts";
import type { SnapshotChunk } from "../../src/node/incoming.ts";
import type { ChunkAnswer } from "../../src/node/snapshots.ts";
import type { Message } from "../../src/raft/message.ts";
import type { NodeId, Term } from "../../src/raft/types.ts";
import type { Sender } from "../../src/transport/identity.ts";
import type { Prng } from "../../src/lib/random.ts";
import type { EventQueue } from "./events.ts";
import type { SimOptions } from "./options.ts";
import type { Sometimes } from "./sometimes.ts";

/** Where messages arrive. */
export interface Receiver {
  /** `sender`: as it presented itself. */
  receive(message: Message, sender: Sender): void;
  receiveSnapshot(
    chunk: SnapshotChunk,
    sender: Sender,
    answer: (answer: ChunkAnswer) => void,
  ): void;
}

/** What a node needs besides the network, to send: its file to read snapshots from. */
export interface Source {
  readonly id: NodeId;
  /** How it presents itself now. */
  presents(): Sender;
  readAt(name: string, at: { offset: number; length: number }, done: ReadDone): void;
  /** The peer did not answer. */
  unreachable(peer: NodeId): void;
}

type ReadDone = (bytes: Uint8Array) => void;

const SNAPSHOT_TIMEOUT_MS = 500;
const SNAPSHOT_TRIES = 3;
const SNAPSHOT_REPEATS_MAX = 8;
const MINUTE_MS = 60_000;

export class SimNetwork {
  private readonly events: EventQueue;
  private readonly random: Prng;
  private readonly options: SimOptions;
  private readonly sometimes: Sometimes | null;
  private readonly receivers = new Map<NodeId, Receiver>();
  /** Counts the machines that have borne each name. */
  private readonly machines = new Map<NodeId, number>();
  private cut = new Set<string>();
  /** Until when each link holds back what is sent. */
  private clogs = new Map<string, number>();
  /** How many messages are under way on each link. */
  private readonly underWay = new Map<string, number>();
  private isHealed = false;

  constructor(
    events: EventQueue,
    random: Prng,
    { options, sometimes = null }: { options: SimOptions; sometimes?: Sometimes | null },
  ) {
    this.events = events;
    this.random = random;
    this.options = options;
    this.sometimes = sometimes;
  }

  get healed(): boolean {
    return this.isHealed;
  }

  /** From now on all links carry everything, once. What is under way may still be a repeat. */
  heal(): void {
    this.isHealed = true;
    this.cut = new Set();
    this.clogs = new Map();
  }

  /** Some links are cut. */
  get isCut(): boolean {
    return this.cut.size > 0;
  }

  isConnected(id: NodeId): boolean {
    return this.receivers.has(id);
  }

  connect(id: NodeId, receiver: Receiver | null): void {
    if (receiver === null) this.receivers.delete(id);
    else this.receivers.set(id, receiver);
  }

  /** Another machine takes the name: what is on its way to the one before arrives nowhere. */
  replace(id: NodeId): void {
    this.machines.set(id, this.machineOf(id) + 1);
  }

  private machineOf(id: NodeId): number {
    return this.machines.get(id) ?? 0;
  }

  /** Cuts these links, given as `from>to`, and mends all others. */
  partition(links: Iterable<string>): void {
    this.cut = new Set(links);
  }

  /** What is sent on the link until then arrives only afterwards. */
  clog(link: string, until: number): void {
    this.clogs.set(link, until);
  }

  transportOf(source: Source): Transport {
    const transfers = new Map<NodeId, Transfer>();
    return {
      send: (to, messages) => this.send(source, to, messages),
      sendSnapshot: (to, { name, bytes, term }, done) => {
        // As in production: one at a time to a peer, and the newer one counts.
        transfers.get(to)?.end(false);
        const transfer = new Transfer({ source, to, name, bytes, term: term as Term }, done);
        transfers.set(to, transfer);
        this.sendChunk(transfer, { offset: 0, triesLeft: SNAPSHOT_TRIES });
      },
    };
  }

  private send(source: Source, to: NodeId, messages: readonly Message[]): void {
    if (!this.receivers.has(to)) this.events.after(1, () => source.unreachable(to));
    const presented = source.presents();
    for (const message of messages) {
      this.deliver(source.id, to, (receiver) => receiver.receive(message, presented));
    }
  }

  /** Carries something once, not at all, or twice; `once`: not twice. */
  deliver(
    from: NodeId,
    to: NodeId,
    arrive: (receiver: Receiver) => void,
    { once = false }: { once?: boolean } = {},
  ): void {
    const { random, options } = this;
    const way = { from, to, arrive };
    if (this.isHealed || !random.chance(options.lossPercent)) this.carry(way, this.delay());
    if (this.isHealed || once || !random.chance(options.repeatPercent)) return;
    this.carry(way, random.between(1, options.repeatDelayMaxMs));
  }

  private carry({ from, to, arrive }: Way, delayMs: number): void {
    const link = `${from}>${to}`;
    const load = this.underWay.get(link) ?? 0;
    if (!this.isHealed && load >= this.options.linkMessagesMax) {
      this.sometimes?.saw("a link was full");
      return;
    }
    // A repeat that waits for long is in somebody's buffers, and takes no room on the link.
    const takesRoom = delayMs <= this.options.delayMaxMs;
    if (takesRoom) this.underWay.set(link, load + 1);
    const machine = this.machineOf(to);
    const clogged = Math.max(0, (this.clogs.get(link) ?? 0) - this.events.now);
    this.events.after(delayMs + clogged, () => {
      if (takesRoom) this.underWay.set(link, (this.underWay.get(link) ?? 1) - 1);
      const receiver = this.receivers.get(to);
      if (receiver === undefined || this.cut.has(link)) return;
      if (this.machineOf(to) !== machine) return;
      if (delayMs > MINUTE_MS) this.sometimes?.saw("a message arrived a minute late");
      arrive(receiver);
    });
  }

  private sendChunk(transfer: Transfer, at: Part): void {
    const { source, to, name, bytes, term } = transfer;
    if (at.triesLeft === 0 || transfer.repeats > SNAPSHOT_REPEATS_MAX) transfer.end(false);
    if (transfer.isOver) return;
    const length = Math.min(this.options.snapshotChunkBytes, bytes - at.offset);
    source.readAt(name, { offset: at.offset, length }, (data) => {
      let answered = false;
      const onAnswer = (answer: ChunkAnswer) => {
        if (answered) return;
        answered = true;
        if (answer.type === "refused") return transfer.end(false);
        if (answer.offset >= bytes) return transfer.end(true);
        if (answer.offset <= at.offset) transfer.repeats += 1;
        this.sendChunk(transfer, { offset: answer.offset, triesLeft: SNAPSHOT_TRIES });
      };
      this.events.after(SNAPSHOT_TIMEOUT_MS, () => {
        if (answered) return;
        answered = true;
        this.sendChunk(transfer, { offset: at.offset, triesLeft: at.triesLeft - 1 });
      });
      const chunk = { from: source.id, term, name, bytes, offset: at.offset, data };
      const presented = source.presents();
      this.deliver(source.id, to, (receiver) =>
        receiver.receiveSnapshot(chunk, presented, (answer) =>
          this.deliver(to, source.id, () => onAnswer(answer)),
        ),
      );
    });
  }

  private delay(): number {
    return this.random.between(0, this.options.delayMaxMs);
  }
}

/** Something on its way. */
interface Way {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly arrive: (receiver: Receiver) => void;
}

/** Where the next chunk begins, and how often it may still be sent without an answer. */
interface Part {
  readonly offset: number;
  readonly triesLeft: number;
}

interface TransferOptions {
  readonly source: Source;
  readonly to: NodeId;
  readonly name: string;
  readonly bytes: number;
  readonly term: Term;
}

/** A snapshot on its way. */
class Transfer implements TransferOptions {
  readonly source: Source;
  readonly to: NodeId;
  readonly name: string;
  readonly bytes: number;
  readonly term: Term;
  /** How often the receiver has asked again for what it was sent. */
  repeats = 0;
  isOver = false;
  private readonly done: (ok: boolean) => void;

  constructor(options: TransferOptions, done: (ok: boolean) => void) {
    this.source = options.source;
    this.to = options.to;
    this.name = options.name;
    this.bytes = options.bytes;
    this.term = options.term;
    this.done = done;
  }

  end(ok: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.done(ok);
  }
}
