/** A network that loses, repeats, delays and reorders, and that can be cut in either direction. */
import type { Transport } from "../../src/node/ports.ts";
import type { SnapshotChunk } from "../../src/node/incoming.ts";
import type { ChunkAnswer } from "../../src/node/snapshots.ts";
import type { Message } from "../../src/raft/message.ts";
import type { NodeId, Term } from "../../src/raft/types.ts";
import type { Prng } from "../../src/lib/random.ts";
import type { EventQueue } from "./events.ts";
import type { SimOptions } from "./options.ts";

/** Where messages arrive. */
export interface Receiver {
  receive(message: Message): void;
  receiveSnapshot(chunk: SnapshotChunk, answer: (answer: ChunkAnswer) => void): void;
}

/** What a sender needs besides the network: its file to read snapshots from. */
export interface Sender {
  readonly id: NodeId;
  readAt(name: string, at: { offset: number; length: number }, done: ReadDone): void;
  /** The peer did not answer. */
  unreachable(peer: NodeId): void;
}

type ReadDone = (bytes: Uint8Array) => void;

const SNAPSHOT_TIMEOUT_MS = 500;
const SNAPSHOT_TRIES = 3;

export class SimNetwork {
  private readonly events: EventQueue;
  private readonly random: Prng;
  private readonly options: SimOptions;
  private readonly receivers = new Map<NodeId, Receiver>();
  private cut = new Set<string>();
  /** Nothing is lost or repeated any more. */
  healed = false;

  constructor(events: EventQueue, random: Prng, options: SimOptions) {
    this.events = events;
    this.random = random;
    this.options = options;
  }

  connect(id: NodeId, receiver: Receiver | null): void {
    if (receiver === null) this.receivers.delete(id);
    else this.receivers.set(id, receiver);
  }

  /** Cuts these links, given as `from>to`, and mends all others. */
  partition(links: Iterable<string>): void {
    this.cut = new Set(links);
  }

  transportOf(sender: Sender): Transport {
    return {
      send: (to, messages) => this.send(sender, to, messages),
      sendSnapshot: (to, { name, bytes, term }, done) => {
        const transfer: Transfer = { sender, to, name, bytes, term: term as Term, done };
        this.sendChunk(transfer, { offset: 0, triesLeft: SNAPSHOT_TRIES });
      },
    };
  }

  private send(sender: Sender, to: NodeId, messages: readonly Message[]): void {
    if (!this.receivers.has(to)) this.events.after(1, () => sender.unreachable(to));
    for (const message of messages) {
      this.deliver(sender.id, to, (receiver) => receiver.receive(message));
    }
  }

  /** Carries something once, not at all, or twice. */
  deliver(from: NodeId, to: NodeId, arrive: (receiver: Receiver) => void): void {
    const { random, options } = this;
    const attempt = (delayMs: number) =>
      this.events.after(delayMs, () => {
        const receiver = this.receivers.get(to);
        if (receiver !== undefined && !this.cut.has(`${from}>${to}`)) arrive(receiver);
      });
    if (this.healed || !random.chance(options.lossPercent)) attempt(this.delay());
    if (!this.healed && random.chance(options.repeatPercent)) {
      attempt(random.between(1, options.repeatDelayMaxMs));
    }
  }

  private sendChunk(transfer: Transfer, at: { offset: number; triesLeft: number }): void {
    const { sender, to, name, bytes, term, done } = transfer;
    if (at.triesLeft === 0) return done(false);
    const length = Math.min(this.options.snapshotChunkBytes, bytes - at.offset);
    sender.readAt(name, { offset: at.offset, length }, (data) => {
      let answered = false;
      const onAnswer = (answer: ChunkAnswer) => {
        if (answered) return;
        answered = true;
        if (answer.type === "refused") return done(false);
        if (answer.offset >= bytes) return done(true);
        const triesLeft = answer.offset > at.offset ? SNAPSHOT_TRIES : at.triesLeft - 1;
        this.sendChunk(transfer, { offset: answer.offset, triesLeft });
      };
      this.events.after(SNAPSHOT_TIMEOUT_MS, () => {
        if (answered) return;
        answered = true;
        this.sendChunk(transfer, { offset: at.offset, triesLeft: at.triesLeft - 1 });
      });
      const chunk = { from: sender.id, term, name, bytes, offset: at.offset, data };
      this.deliver(sender.id, to, (receiver) =>
        receiver.receiveSnapshot(chunk, (answer) =>
          this.deliver(to, sender.id, () => onAnswer(answer)),
        ),
      );
    });
  }

  private delay(): number {
    return this.random.between(0, this.options.delayMaxMs);
  }
}

interface Transfer {
  readonly sender: Sender;
  readonly to: NodeId;
  readonly name: string;
  readonly bytes: number;
  readonly term: Term;
  readonly done: (ok: boolean) => void;
}
