/** The nodes of `make run`: those that have a directory in its folder. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DevNode } from "./dev-node.ts";

/** Whoever founds the cluster, where there is none yet. */
const FOUNDERS = ["n1", "n2", "n3"];
/** So many names there are: each has its ports. */
const NODES_MAX = 9;
/** For the cluster to agree on who is a member. */
const CHANGE_MS = 10_000;

export interface DevClusterOptions {
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Prints one line of a node. */
  readonly print: (name: string, line: string) => void;
  /** A node has ended, and nobody here wanted that. */
  readonly onLost: (name: string, how: string) => void;
}

/** A cluster on this machine that grows and shrinks. Methods for people answer in one line. */
export class DevCluster {
  readonly #options: DevClusterOptions;
  readonly #nodes = new Map<string, DevNode>();

  constructor(options: DevClusterOptions) {
    this.#options = options;
    const { folder } = options;
    mkdirSync(folder, { recursive: true });
    const known = readdirSync(folder).filter((name) => numberOf(name) !== null);
    for (const name of known.length > 0 ? known.sort() : FOUNDERS) {
      mkdirSync(join(folder, name), { recursive: true });
      this.#nodes.set(name, this.#nodeOf(name));
    }
  }

  get nodes(): readonly DevNode[] {
    return [...this.#nodes.values()];
  }

  /** Throws, in one line, where one cannot. */
  async start(): Promise<void> {
    for (const node of this.nodes) await node.start(this.#membershipOf(node.name));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async areAllReady(): Promise<boolean> {
    const answers = await Promise.all(this.nodes.map(({ url }) => ask(`${url}/readyz`)));
    return answers.every((response) => response?.ok === true);
  }

  /** The running node that says it leads. */
  async leader(): Promise<DevNode | null> {
    for (const node of this.nodes) {
      if (!node.isRunning) continue;
      const status = (await (await ask(`${node.url}/v1/status`))?.json()) as
        | { role?: string }
        | undefined;
      if (status?.role === "leader") return node;
    }
    return null;
  }

  async killLeader(): Promise<string> {
    const leader = await this.leader();
    if (leader === null) return "no: nobody leads now; try again in a second";
    await leader.kill();
    const { name } = leader;
    return `${name} led, and was killed with kill -9. Bring it back: make start NODE=${name}`;
  }

  async startAgain(name: string): Promise<string> {
    const node = this.#nodes.get(name);
    if (node === undefined) return `no: NODE must be one of ${[...this.#nodes.keys()].join(", ")}`;
    if (node.isRunning) return `no: ${name} is running`;
    try {
      await node.start(this.#membershipOf(name));
    } catch (error) {
      return `no: ${(error as Error).message}`;
    }
    return `${name} is starting again, with the data it had`;
  }

  /** A new node, which joins by itself. */
  async add(): Promise<string> {
    const free = Array.from({ length: NODES_MAX }, (_, at) => `n${at + 1}`);
    const name = free.find((candidate) => !this.#nodes.has(candidate));
    if (name === undefined) return `no: ${NODES_MAX} nodes are enough for one machine`;
    const node = this.#nodeOf(name);
    try {
      await node.start({ join: this.#urls() });
    } catch (error) {
      return `no: ${(error as Error).message}`;
    }
    this.#nodes.set(name, node);
    return `${name} joins at ${node.url}: it votes as soon as it has caught up`;
  }

  /** Takes a node out of the cluster, ends it, and removes its data, which is of no more use. */
  async remove(name: string): Promise<string> {
    const node = this.#nodes.get(name);
    if (node === undefined) return `no: NODE must be one of ${[...this.#nodes.keys()].join(", ")}`;
    const complaint = await this.#takeOut(node);
    if (complaint !== null) return `no: ${complaint}`;
    await node.stop();
    this.#nodes.delete(name);
    rmSync(join(this.#options.folder, name), { recursive: true, force: true });
    return `${name} is no member any more, and its data is removed`;
  }

  /** Asks the others, as some may be joining or gone. Null: it is no member any more. */
  async #takeOut(node: DevNode): Promise<string | null> {
    const others = this.nodes.filter((other) => other !== node && other.isRunning);
    let complaint = "no other node is running";
    for (const { name, url } of others) {
      const response = await ask(`${url}/v1/cluster/members/${node.name}`, "DELETE");
      // One that was asked before may have done it, and not have said so.
      if (response?.ok === true || response?.status === 404) return null;
      const said = (await response?.json()) as { error: string; retryable: boolean } | undefined;
      complaint = said?.error ?? `${name} does not answer`;
      if (said?.retryable === false) break;
    }
    return complaint;
  }

  #nodeOf(name: string): DevNode {
    const { folder, clientPort, peerPort, print, onLost } = this.#options;
    const at = (numberOf(name) ?? 1) - 1;
    return new DevNode({
      name,
      clientPort: clientPort + at,
      peerPort: peerPort + at,
      dataDir: `${folder}/${name}`,
      print: (line) => print(name, line),
      onLost: (how) => onLost(name, how),
    });
  }

  /**
   * Whoever has data knows from it who the members are; a founder is told who the first ones were
   * all the same, so that it says so where its data is of another cluster.
   */
  #membershipOf(name: string): { join: string } | { founders: string } | null {
    const { folder, peerPort } = this.#options;
    const files = readdirSync(join(folder, name));
    const isNew = !files.includes("identity.json");
    if (isNew && files.includes("joining.txt")) return { join: this.#urls() };
    if (!FOUNDERS.includes(name)) return isNew ? { join: this.#urls() } : null;
    const url = (at: number) => `http://127.0.0.1:${peerPort + at}`;
    return { founders: FOUNDERS.map((founder, at) => `${founder}=${url(at)}`).join(",") };
  }

  #urls(): string {
    return this.nodes.map(({ url }) => url).join(",");
  }
}

/** The 3 of n3; null: not the name of such a node. */
function numberOf(name: string): number | null {
  const found = /^n([1-9])$/.exec(name)?.[1];
  return found === undefined ? null : Number(found);
}

/** Null: there was no answer. */
function ask(url: string, method: "GET" | "DELETE" = "GET"): Promise<Response | null> {
  const signal = AbortSignal.timeout(method === "GET" ? 1_000 : CHANGE_MS);
  return fetch(url, { method, signal }).catch(() => null);
}
