/** Many clients over all nodes at once, and the history of what they were told. */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import type { Prng } from "../../src/lib/random.ts";
import { type Ending, exchange, type Wish } from "./exchange.ts";
import { Keys, type LoadedKey } from "./keys.ts";
import { Recorder } from "./recorder.ts";

export interface LoadOptions {
  /** Where the nodes serve clients. */
  readonly urls: readonly string[];
  readonly clients: number;
  /** All clients together begin at most so many operations a second. */
  readonly rate: number;
  readonly random: Prng;
}

/** Few enough that clients meet at each of them. */
const KEYS = 10;
/** Another node, now and then, though this one serves well: in percent. */
const WANDER = 5;

/** Each client has one operation under way at most, and asks another node after a failure. */
export class Load {
  readonly recorder = new Recorder();
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #keys: Keys;
  readonly #running: Promise<void>[];
  #values = 0;
  #isStopping = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#agent = new Agent({ connections: options.clients, pipelining: 1 });
    this.#keys = new Keys(KEYS, options.random);
    this.#running = Array.from({ length: options.clients }, (_, at) => this.#client(at));
  }

  get keys(): readonly string[] {
    return this.#keys.names;
  }

  /** Resolves when all clients have ended; rejects if one was answered against the contract. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  /**
   * Reads every key once more, through one node after another. Returns those that could not be
   * read. Call it after `stop`.
   */
  async readAll(): Promise<readonly string[]> {
    const { urls, clients } = this.#options;
    const left = [...this.#keys.names];
    const unread: string[] = [];
    const reader = async (at: number): Promise<void> => {
      for (let key = left.pop(), i = at; key !== undefined; key = left.pop(), i++) {
        const url = urls[i % urls.length] ?? "";
        const ending = await this.#ask(this.recorder.newClient(), {
          url,
          wish: { op: "get", key },
        });
        if (ending.outcome !== "ok") unread.push(`${key} at ${url}: ${ending.outcome}`);
      }
    };
    await Promise.all(Array.from({ length: clients }, (_, at) => reader(at)));
    return unread;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #client(at: number): Promise<void> {
    const { urls, clients, rate, random } = this.#options;
    const paceMs = (clients * 1_000) / rate;
    let client = this.recorder.newClient();
    let url = urls[at % urls.length] ?? "";
    while (!this.#isStopping) {
      const nextAt = performance.now() + paceMs * (0.5 + random.below(1_000) / 1_000);
      const key = this.#keys.next();
      const wish = this.#wish(key);
      const ending = await this.#ask(client, { url, wish });
      learn(key, wish, ending);
      const isServed = ending.outcome === "ok" || ending.outcome === "refused";
      if (!isServed || random.chance(WANDER)) url = random.pick(urls);
      // Whoever does not know what became of his request may still be in the middle of it.
      if (ending.outcome === "unknown") client = this.recorder.newClient();
      await sleep(Math.max(0, nextAt - performance.now()));
    }
  }

  #wish({ name, version }: LoadedKey): Wish {
    const { random } = this.#options;
    const dice = random.below(100);
    if (dice < 40) return { op: "get", key: name };
    const condition = random.chance(40) ? { ifVersion: version } : {};
    if (dice < 92) return { op: "put", key: name, value: `v${++this.#values}`, ...condition };
    return { op: "delete", key: name, ...(random.chance(30) ? condition : {}) };
  }

  /** The interval is as narrow as can be: waiting for a connection is inside. */
  async #ask(client: number, { url, wish }: { url: string; wish: Wish }): Promise<Ending> {
    const call = process.hrtime.bigint();
    const ending = await exchange(this.#agent, url, wish);
    this.recorder.record({ client, wish, ending, call, end: process.hrtime.bigint() });
    return ending;
  }
}

function learn(key: LoadedKey, wish: Wish, ending: Ending): void {
  if (ending.outcome === "unknown" && wish.op !== "get") key.unknown += 1;
  if ("version" in ending) key.version = ending.version;
}
