/** Clients that write without pause until the power fails, and afterwards look for their writes. */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { Prng } from "../../src/lib/random.ts";
import { until } from "../integration/until.ts";
import { type Ending, exchange, type Wish } from "./exchange.ts";
import { PowerLedger } from "./power-ledger.ts";
import { Recorder } from "./recorder.ts";

const WRITERS = 8;
const KEYS_EACH = 2;
/** Values of about a kilobyte, and now and then many pages, so that log files fill up soon. */
const VALUE_BYTES = [16, 300, 1_500, 2_000, 12_000] as const;
/** After a failure, so that a dead node is not asked in a busy loop. */
const PAUSE_MS = 5;
const WRITE_MS = 30_000;
const READ_MS = 20_000;

export class PowerWriters {
  /** Every write and every read that was answered in the end. */
  readonly recorder = new Recorder();
  /** Answers that no node may give. */
  readonly problems: string[] = [];
  readonly #ledger = new PowerLedger();
  readonly #urls: readonly string[];
  readonly #randoms: readonly Prng[];
  readonly #agent = new Agent({ connections: WRITERS, pipelining: 1 });
  #running: readonly Promise<void>[] = [];
  #isStopping = false;
  #values = 0;

  constructor(urls: readonly string[], seed: string) {
    this.#urls = urls;
    this.#randoms = Array.from({ length: WRITERS }, (_, at) => new Prng(`${seed}/writer ${at}`));
  }

  /** All keys that a write was tried of. */
  get keys(): readonly string[] {
    return this.#ledger.keys;
  }

  /** Begins to write, and resolves when something was acknowledged. */
  async start(cycle: number): Promise<void> {
    const { tally } = this.recorder;
    const before = tally.ok;
    this.#isStopping = false;
    this.#running = this.#randoms.map((random, at) =>
      this.#write(random, { at, cycle }).catch((error: unknown) => {
        this.problems.push(`a write of cycle ${cycle}: ${String(error)}`);
      }),
    );
    await until("a write is acknowledged", () => tally.ok > before, WRITE_MS);
  }

  /** Resolves when every write has ended, one way or another. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  /** Reads every key through a node. Returns what contradicts the answers to the writes. */
  async contradictions(url: string): Promise<readonly string[]> {
    const found = await Promise.all(
      this.keys.map(async (key) => {
        const client = this.recorder.newClient();
        const read = async () => {
          const ending = await this.#ask(client, url, { op: "get", key });
          return ending.outcome === "ok" ? ending : null;
        };
        const ending = await until(`${key} can be read`, read, READ_MS);
        return this.#ledger.contradictions(key, ending);
      }),
    );
    return [...new Set(found.flat())];
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#agent.destroy();
  }

  /** One client: it has one write under way at most, and goes to another node after a failure. */
  async #write(random: Prng, { at, cycle }: { at: number; cycle: number }): Promise<void> {
    let client = this.recorder.newClient();
    for (let node = at; !this.#isStopping; ) {
      const key = `power/${at}/${random.below(KEYS_EACH)}`;
      const length = random.below(random.pick(VALUE_BYTES));
      const value = `c${cycle}.${++this.#values}.${"x".repeat(length)}`;
      const url = this.#urls[node % this.#urls.length] ?? "";
      const ending = await this.#ask(client, url, { op: "put", key, value });
      this.#ledger.note(key, value, ending);
      if (ending.outcome === "ok") continue;
      if (ending.outcome === "unknown") client = this.recorder.newClient();
      node += 1;
      await sleep(PAUSE_MS);
    }
  }

  async #ask(client: number, url: string, wish: Wish): Promise<Ending> {
    const call = process.hrtime.bigint();
    const ending = await exchange(this.#agent, url, wish);
    this.recorder.record({ client, wish, ending, call, end: process.hrtime.bigint() });
    return ending;
  }
}
