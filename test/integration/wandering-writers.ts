/** Clients that write without pause through every node that they know, and remember every write. */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { QuorateClient } from "../../src/client/index.ts";
import { percentile } from "../../bench/median.ts";
import { call } from "./client.ts";

interface Node {
  readonly name: string;
  readonly url: string;
}

/** An acknowledged write. Times in milliseconds, of `performance.now()`. */
interface Written {
  readonly key: string;
  readonly from: number;
  readonly to: number;
}

/** A write that nobody acknowledged. */
export interface Failure {
  readonly node: string;
  /** When it was given up. */
  readonly at: number;
  readonly what: string;
}

/** After a failure, so that a dead node is not asked in a busy loop. */
const PAUSE_MS = 5;

/**
 * Each writer makes one new key after another, and goes to another node with each. A node that was
 * removed says `MEMBER_REMOVED`, which is certain never to be applied: as the API says, the same is
 * asked of the next one, and all that counts as one write. Whatever else goes wrong is a failure.
 */
export class WanderingWriters {
  readonly written: Written[] = [];
  readonly failures: Failure[] = [];
  /** How often `MEMBER_REMOVED` was the answer. */
  sentOn = 0;
  #known: readonly Node[];
  readonly #agent: Agent;
  readonly #running: readonly Promise<void>[];
  #isStopping = false;

  /** So many, who know these nodes. */
  constructor(nodes: readonly Node[], count: number) {
    this.#known = nodes;
    this.#agent = new Agent({ connections: count });
    this.#running = Array.from({ length: count }, (_, writer) => this.#run(writer));
  }

  /** Replaces the nodes that they know. */
  know(nodes: readonly Node[]): void {
    this.#known = nodes;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    await this.#agent.destroy();
  }

  /**
   * The 99th percentiles of the writes that ended in each whole window between two moments;
   * infinite, where none did.
   */
  p99s({ from, to, windowMs }: { from: number; to: number; windowMs: number }): number[] {
    const count = Math.floor((to - from) / windowMs);
    const windows: number[][] = Array.from({ length: count }, () => []);
    for (const one of this.written) {
      windows[Math.floor((one.to - from) / windowMs)]?.push(one.to - one.from);
    }
    return windows.map((times) => (times.length === 0 ? Infinity : percentile(times, 99)));
  }

  /** Keys that were acknowledged and are not there, as the node says. */
  async missing(node: Node): Promise<string[]> {
    const client = new QuorateClient({ endpoints: [node.url] });
    const found = new Set<string>();
    for await (const { key } of client.listAll({ prefix: "w/", keysOnly: true })) found.add(key);
    await client.close();
    return this.written.map(({ key }) => key).filter((key) => !found.has(key));
  }

  async #run(writer: number): Promise<void> {
    let at = writer;
    for (let count = 0; !this.#isStopping; count++) {
      const key = `w/${writer}/${count}`;
      const from = performance.now();
      let answer: "written" | "failed" | "removed";
      do answer = await this.#write(key, at++);
      while (answer === "removed");
      if (answer === "written") this.written.push({ key, from, to: performance.now() });
      else await sleep(PAUSE_MS);
    }
  }

  async #write(key: string, at: number): Promise<"written" | "failed" | "removed"> {
    const node = this.#known[at % this.#known.length];
    if (node === undefined) throw new Error("no nodes");
    try {
      const options = { method: "PUT", body: { value: key }, dispatcher: this.#agent } as const;
      const reply = await call(`${node.url}/v1/kv/${key}`, options);
      if (reply.status === 201) return "written";
      const { code, outcome } = reply.body;
      if (code === "MEMBER_REMOVED" && outcome === "not_applied") {
        this.sentOn += 1;
        return "removed";
      }
      this.#failed(node, `${reply.status} ${String(code)}`);
    } catch (error) {
      this.#failed(node, (error as NodeJS.ErrnoException).code ?? String(error));
    }
    return "failed";
  }

  #failed({ name }: Node, what: string): void {
    this.failures.push({ node: name, at: performance.now(), what });
  }
}
