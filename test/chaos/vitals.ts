/** How much memory and how many files the nodes use, from time to time. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosNode } from "./chaos-node.ts";

const INTERVAL_MS = 1_000;

export interface Peaks {
  readonly rssMb: number;
  readonly files: number;
}

/** Watches until it is stopped. */
export class Vitals {
  rssMb = 0;
  files = 0;
  readonly #nodes: readonly ChaosNode[];
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(nodes: readonly ChaosNode[]) {
    this.#nodes = nodes;
    this.#running = this.#run();
  }

  async stop(): Promise<Peaks> {
    this.#end.abort();
    await this.#running;
    return { rssMb: Math.round(this.rssMb), files: this.files };
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      for (const node of this.#nodes) {
        const vitals = node.vitals();
        if (vitals === null) continue;
        this.rssMb = Math.max(this.rssMb, vitals.rssMb);
        this.files = Math.max(this.files, vitals.files);
      }
      await sleep(INTERVAL_MS, undefined, { signal }).catch((error: Error) => {
        if (error.name !== "AbortError") throw error;
      });
    }
  }
}
