/** A client that keeps a lease alive, and knows when it did so last. */
import { setTimeout as sleep } from "node:timers/promises";
import { settled } from "./retry.ts";

interface Node {
  readonly url: string;
}

export interface KeeperOptions {
  /** Who is asked, the first one first. */
  readonly nodes: readonly Node[];
  /** Of a key that hangs on the lease. */
  readonly key: string;
  readonly ttlMs: number;
}

/** Between two renewals: many in any ttl of the tests. */
const PAUSE_MS = 150;

/** Renews through nodes that may die, until it is stopped or the lease is gone. */
export class Keeper {
  /** How many renewals were confirmed. */
  renewals = 0;
  /** A node said that there is no such lease. */
  isLost = false;
  /** Of the last renewal that was confirmed: it took place between these two. */
  sentAt = 0;
  confirmedAt = 0;
  readonly #options: KeeperOptions;
  readonly #path: string;
  readonly #running: Promise<void>;
  #isStopping = false;

  private constructor(options: KeeperOptions, path: string) {
    this.#options = options;
    this.#path = path;
    this.#running = this.#run();
  }

  /** Has a lease granted, puts the key, and begins to renew. */
  static async start(options: KeeperOptions): Promise<Keeper> {
    const { nodes, key, ttlMs } = options;
    const body = { ttl: ttlMs / 1_000 };
    const granted = await settled(nodes, "/v1/leases", { method: "POST", body });
    const id = String(granted.body["id"]);
    const put = await settled(nodes, `/v1/kv/${key}?lease=${id}`, {
      method: "PUT",
      body: { value: "kept" },
    });
    if (put.status !== 201) throw new Error(`put ${key}: ${JSON.stringify(put.body)}`);
    return new Keeper(options, `/v1/leases/${id}`);
  }

  /** Lets go of it: when this resolves, no renewal is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping && !this.isLost) {
      const sentAt = performance.now();
      const reply = await settled(this.#options.nodes, this.#path, { method: "PUT" });
      if (reply.status === 200) {
        // Only of one that was sent once is it known when it was sent.
        this.sentAt = reply.attempts === 1 ? sentAt : this.sentAt;
        this.confirmedAt = performance.now();
        this.renewals += 1;
      } else {
        this.isLost = true;
      }
      await sleep(PAUSE_MS);
    }
  }
}
