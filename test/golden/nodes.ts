/** The nodes that the golden data directories belong to: where they are, and running them. */
import { join } from "node:path";
import { type Settings, serve } from "../integration/cluster.ts";
import { call } from "../integration/client.ts";
import type { NodeProcess } from "../integration/node-process.ts";
import { until } from "../integration/until.ts";

/**
 * A configuration in the log says where its members are, so their ports are fixed: below those
 * that other tests take, and above those of services.
 */
const PORTS = { n1: 11_901, n2: 11_903, n3: 11_905, n4: 11_907 } as const;

export type GoldenName = keyof typeof PORTS;

/** Who made the cluster. n4 took the place of n2 later on. */
export const FOUNDERS = ["n1", "n2", "n3"] as const satisfies readonly GoldenName[];
/** Whose directories are kept. */
export const KEPT = ["n1", "n3", "n4"] as const satisfies readonly GoldenName[];

export function clientUrl(name: GoldenName): string {
  return `http://127.0.0.1:${PORTS[name]}`;
}

export function peerUrl(name: GoldenName): string {
  return `http://127.0.0.1:${PORTS[name] + 1}`;
}

/** Nodes whose data directories are in one folder, each named as its node. */
export class GoldenNodes {
  readonly #folder: string;
  readonly #processes = new Map<GoldenName, NodeProcess>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts a node of the program, with more flags than it needs to find its data again. */
  start(name: GoldenName, settings: Settings = {}): void {
    const own: Settings = {
      name,
      "data-dir": join(this.#folder, name),
      "client-listen": clientUrl(name).slice("http://".length),
      "peer-listen": peerUrl(name).slice("http://".length),
    };
    this.#processes.set(name, serve({ ...own, ...settings }));
  }

  /** Every node that runs answers. Rejects with the log of one that has ended instead. */
  async ready(): Promise<void> {
    for (const [name, node] of this.#processes) {
      await until(`${name} is ready`, async () => {
        if (node.exit !== null) throw new Error(`${name} ended: ${node.lines.at(-1)?.msg}`);
        const ready = call(`${clientUrl(name)}/v1/status`, { timeoutMs: 1_000 });
        return ready.then(
          ({ body }) => body["ready"] === true,
          () => false,
        );
      });
    }
  }

  /** Lines of the logs that say that something is wrong. */
  complaints(): readonly string[] {
    return [...this.#processes.values()].flatMap((node) => {
      return [...node.messages("error"), ...node.messages("fatal")];
    });
  }

  /** In good order, and all at once: one that is left alone could not hand leadership over. */
  async stop(...names: readonly GoldenName[]): Promise<void> {
    await Promise.all(names.map((name) => this.#stop(name)));
  }

  /** Ends whatever runs. */
  async kill(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((node) => node.kill()));
  }
  async #stop(name: GoldenName): Promise<void> {
    const node = this.#processes.get(name);
    this.#processes.delete(name);
    node?.signal("SIGTERM");
    await node?.exited;
  }
}
