/** Many clients that write without pause, and know what they were promised. */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { call, get, keyUrl } from "./client.ts";

interface Node {
  readonly url: string;
}

/** A moment at which a write was acknowledged. */
interface Acknowledged {
  readonly at: number;
  readonly node: Node;
}

/** After a failure, so that a dead node is not asked in a busy loop. */
const PAUSE_MS = 5;

/**
 * Each writer counts upwards in a key of its own, through one node after another where one fails.
 * So what a key must hold in the end is the last number acknowledged, or a later one that it tried.
 */
export class Writers {
  readonly acknowledged: Acknowledged[] = [];
  /** Statuses of failed writes, and how often they came. */
  readonly failures = new Map<string, number>();
  readonly #nodes: readonly Node[];
  readonly #agent: Agent;
  readonly #last: number[];
  readonly #tried: number[];
  readonly #running: Promise<void>[];
  #isStopping = false;

  constructor(nodes: readonly Node[], count: number) {
    this.#nodes = nodes;
    this.#agent = new Agent({ connections: count });
    this.#last = Array.from({ length: count }, () => 0);
    this.#tried = Array.from({ length: count }, () => 0);
    this.#running = this.#last.map((_, writer) => this.#run(writer));
  }

  get count(): number {
    return this.acknowledged.length;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    await this.#agent.destroy();
  }

  /** The longest time without an acknowledgement between two moments. */
  longestGapMs(from: number, to: number): number {
    const times = this.acknowledged.map(({ at }) => at).filter((at) => at >= from && at <= to);
    const all = [from, ...times, to];
    return Math.max(...all.slice(1).map((at, i) => at - (all[i] ?? at)));
  }

  /** What was acknowledged and is not there, as the node says. Empty, if all is well. */
  async missing(node: Node): Promise<string[]> {
    const found = await Promise.all(this.#last.map((_, writer) => get(node, keyOf(writer))));
    return found.flatMap((text, writer) => {
      const value = Number(text);
      const last = this.#last[writer] ?? 0;
      const tried = this.#tried[writer] ?? 0;
      const isRight = value >= last && value <= tried;
      return isRight ? [] : [`${keyOf(writer)} is ${text}, after ${last} was acknowledged`];
    });
  }

  async #run(writer: number): Promise<void> {
    let at = writer;
    while (!this.#isStopping) {
      const node = this.#nodes[at % this.#nodes.length];
      if (node === undefined) throw new Error("no nodes");
      const value = (this.#tried[writer] ?? 0) + 1;
      this.#tried[writer] = value;
      if (await this.#write(node, writer, value)) {
        this.#last[writer] = value;
        this.acknowledged.push({ at: performance.now(), node });
      } else {
        at += 1;
        await sleep(PAUSE_MS);
      }
    }
  }

  async #write(node: Node, writer: number, value: number): Promise<boolean> {
    try {
      const body = { value: String(value) };
      const url = keyUrl(node, keyOf(writer));
      const reply = await call(url, { method: "POST", body, dispatcher: this.#agent });
      if (reply.status === 200) return true;
      this.#failed(`${reply.status} ${String(reply.body["code"])}`);
    } catch (error) {
      this.#failed((error as NodeJS.ErrnoException).code ?? String(error));
    }
    return false;
  }

  #failed(what: string): void {
    this.failures.set(what, (this.failures.get(what) ?? 0) + 1);
  }
}

function keyOf(writer: number): string {
  return `writer/${writer}`;
}
