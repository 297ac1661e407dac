/** Where clients find each node. */
import type { NodeId } from "../../raft/types.ts";

/**
 * What the nodes say of themselves when asked: only each node knows its own client URL. They are
 * asked again and again, as a node may come back with another one.
 */
export class ClientUrls {
  readonly #urls = new Map<NodeId, string>();
  readonly #asking = new Set<NodeId>();
  readonly #ask: (peer: NodeId) => Promise<string | null>;

  /** `ask` resolves to null where there is no answer. */
  constructor(ask: (peer: NodeId) => Promise<string | null>) {
    this.#ask = ask;
  }

  /** Null: not known, yet. */
  of(id: NodeId): string | null {
    return this.#urls.get(id) ?? null;
  }

  set(id: NodeId, url: string): void {
    this.#urls.set(id, url);
  }

  /** Asks a node, unless an answer of it is awaited. */
  async refresh(peer: NodeId): Promise<void> {
    if (this.#asking.has(peer)) return;
    this.#asking.add(peer);
    const url = await this.#ask(peer);
    this.#asking.delete(peer);
    if (url !== null) this.#urls.set(peer, url);
  }
}
