/** What nemeses act on: the nodes, the network between them, and time. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Prng } from "../../src/lib/random.ts";
import type { PeerProxy } from "../integration/peer-proxy.ts";
import type { ChaosNode } from "./chaos-node.ts";
import { Claims } from "./claims.ts";
import type { Replayer } from "./replayer.ts";

export interface FieldParts {
  readonly nodes: readonly ChaosNode[];
  readonly replayers: readonly Replayer[];
  readonly random: Prng;
}

export class Field {
  readonly nodes: readonly ChaosNode[];
  readonly replayers: readonly Replayer[];
  readonly random: Prng;
  readonly #end = new AbortController();
  readonly #claims: Claims;

  constructor({ nodes, replayers, random }: FieldParts) {
    this.nodes = nodes;
    this.replayers = replayers;
    this.random = random;
    this.#claims = new Claims(nodes.map(({ name }) => name));
  }

  /** All faults must end. */
  stop(): void {
    this.#end.abort();
  }

  get isOver(): boolean {
    return this.#end.signal.aborted;
  }

  /** Lets a fault last: between so many milliseconds and so many, or until all must end. */
  async hold(minMs: number, maxMs: number): Promise<void> {
    const ms = this.random.between(minMs, maxMs);
    await sleep(ms, undefined, { signal: this.#end.signal }).catch((error: Error) => {
      if (error.name !== "AbortError") throw error;
    });
  }

  /** Does something to so many nodes that nothing else happens to: any, or the leader first. */
  async strike(
    count: number,
    which: "any" | "leader",
    act: (nodes: readonly ChaosNode[]) => Promise<void>,
  ): Promise<void> {
    const leader = which === "leader" ? await this.leader() : null;
    const names = await this.#claims.take(count, (free) => {
      const first = free.filter((name) => name === leader);
      const others = this.shuffled(free.filter((name) => name !== leader));
      return [...first, ...others].slice(0, count);
    });
    try {
      if (this.isOver) return;
      await act(names.map((name) => this.node(name)));
    } finally {
      this.#claims.giveBack(names);
    }
  }

  /** Who says of itself that it leads, in the highest term; null: nobody does. */
  async leader(): Promise<string | null> {
    const statuses = await Promise.all(this.nodes.map(({ member }) => member.status()));
    let leader: string | null = null;
    let highest = 0;
    for (const [at, status] of statuses.entries()) {
      if (status?.role !== "leader" || status.term <= highest) continue;
      highest = status.term;
      leader = this.nodes[at]?.name ?? null;
    }
    return leader;
  }

  node(name: string): ChaosNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  /** The network before a node. */
  proxyOf(node: ChaosNode): PeerProxy {
    const { proxy } = node.member;
    if (proxy === null) throw new Error(`${node.name} has no proxy`);
    return proxy;
  }

  heal(): void {
    for (const node of this.nodes) this.proxyOf(node).heal();
  }

  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    const shuffled: T[] = [];
    while (left.length > 0) shuffled.push(...left.splice(this.random.below(left.length), 1));
    return shuffled;
  }
}
