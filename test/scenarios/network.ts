/** The simulated network with the faults of the MIT labs, and with counters of what it carries. */
import type { Prng } from "../../src/lib/random.ts";
import type { Transport } from "../../src/node/ports.ts";
import type { Message } from "../../src/raft/message.ts";
import { encodeMessages } from "../../src/transport/codec.ts";
import type { EventQueue } from "../sim/events.ts";
import { SimNetwork, type Source } from "../sim/network.ts";
import type { SimOptions } from "../sim/options.ts";

/** What was sent so far. The labs count calls: of ours, a request is one, and its answer none. */
export interface Traffic {
  readonly requests: number;
  /** Of all messages, as they are encoded on the wire. */
  readonly bytes: number;
  readonly snapshots: number;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

const LOSS_PERCENT = 10;
const UNRELIABLE_DELAY_MS = 26;
/** At once, and so in order. */
const RELIABLE_DELAY_MS = 0;
const REORDERED_OF_THREE = 2;
const REORDERED_MS = { least: 200, most: 2_200 };

export class ScenarioNetwork extends SimNetwork {
  /** Two thirds of the answers come 200 ms to 2.2 s late. */
  longReordering = false;
  private readonly queue: EventQueue;
  private readonly chances: Prng;
  private readonly faults: Mutable<SimOptions>;
  private requests = 0;
  private bytes = 0;
  private snapshots = 0;

  constructor(queue: EventQueue, chances: Prng, options: SimOptions) {
    const faults = { ...options };
    super(queue, chances, { options: faults });
    this.queue = queue;
    this.chances = chances;
    this.faults = faults;
    this.setReliable(true);
  }

  /** Unreliable: messages take 0 to 26 ms, and one in ten is lost, requests and answers alike. */
  setReliable(reliable: boolean): void {
    this.faults.delayMaxMs = reliable ? RELIABLE_DELAY_MS : UNRELIABLE_DELAY_MS;
    this.faults.lossPercent = reliable ? 0 : LOSS_PERCENT;
  }

  get traffic(): Traffic {
    const { requests, bytes, snapshots } = this;
    return { requests, bytes, snapshots };
  }

  override transportOf(source: Source): Transport {
    const transport = super.transportOf(source);
    return {
      send: (to, messages) => {
        this.bytes += encodeMessages(messages).length;
        for (const message of messages) {
          if (isRequest(message)) this.requests += 1;
          const late = this.longReordering && !isRequest(message) && this.isReordered();
          const send = () => transport.send(to, [message]);
          if (late) this.queue.after(this.lateness(), send);
          else send();
        }
      },
      sendSnapshot: (to, snapshot, done) => {
        this.snapshots += 1;
        transport.sendSnapshot(to, snapshot, done);
      },
    };
  }

  private isReordered(): boolean {
    return this.chances.below(3) < REORDERED_OF_THREE;
  }

  private lateness(): number {
    return this.chances.between(REORDERED_MS.least, REORDERED_MS.most);
  }
}

const REQUESTS: readonly Message["type"][] = ["prevote", "vote", "append", "heartbeat", "commit"];

function isRequest({ type }: Message): boolean {
  return REQUESTS.includes(type);
}
