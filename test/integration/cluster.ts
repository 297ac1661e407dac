/** A cluster of real processes on loopback, and what tests do to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Exit, NodeProcess } from "./node-process.ts";
import { PeerProxy } from "./peer-proxy.ts";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

/** Flags for every node, without their dashes. */
export type Settings = Readonly<Record<string, string | number>>;

export interface ClusterOptions {
  /** Three, unless it says otherwise. */
  readonly size?: number;
  readonly settings?: Settings;
  /** Nodes talk through proxies, so that they can be cut off from each other. */
  readonly partitionable?: boolean;
  /** Not all at once, but when the test says so. */
  readonly stopped?: boolean;
}

/** Elections of the tests: long enough for a busy machine of two cores. */
export const ELECTION_MS = 500;
/** The last of the randomised election timeouts. */
export const ELECTION_MAX_MS = 2 * ELECTION_MS;

/** What `/v1/status` says, as far as tests look. */
export interface Status {
  readonly role: string;
  readonly term: number;
  readonly leader: string | null;
  readonly log: { readonly last: number };
}

/** One place in a cluster: its ports and its data, whether a process is there or not. */
export class Member {
  readonly name: string;
  readonly url: string;
  readonly dataDir: string;
  readonly proxy: PeerProxy | null;
  #process: NodeProcess | null = null;
  readonly #settings: Settings;

  constructor(about: {
    name: string;
    url: string;
    dataDir: string;
    proxy: PeerProxy | null;
    settings: Settings;
  }) {
    this.name = about.name;
    this.url = about.url;
    this.dataDir = about.dataDir;
    this.proxy = about.proxy;
    this.#settings = about.settings;
  }

  /** The process that was started last. */
  get process(): NodeProcess {
    if (this.#process === null) throw new Error(`${this.name} was never started`);
    return this.#process;
  }

  get isRunning(): boolean {
    return this.#process !== null && this.#process.exit === null;
  }

  start(settings: Settings = {}): NodeProcess {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    this.#process = serve({ ...this.#settings, ...settings });
    return this.#process;
  }

  async kill(): Promise<void> {
    if (this.isRunning) await this.process.kill();
  }

  /** SIGTERM, and how it ended. */
  async stop(): Promise<Exit> {
    this.process.signal("SIGTERM");
    return this.process.exited;
  }

  /** Its data is lost. */
  wipe(): void {
    rmSync(this.dataDir, { recursive: true });
  }

  /** Null: it does not answer. */
  async status(): Promise<Status | null> {
    try {
      const response = await fetch(`${this.url}/v1/status`, { signal: AbortSignal.timeout(1_000) });
      return (await response.json()) as Status;
    } catch {
      return null;
    }
  }

  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1_000) });
      await response.text();
      return response.ok;
    } catch {
      return false;
    }
  }
}

/** Starts `quorate serve` with these flags, and JSON in its log. */
export function serve(settings: Settings): NodeProcess {
  const flags = Object.entries({ "log-format": "json", ...settings });
  return new NodeProcess(["serve", ...flags.flatMap(([flag, value]) => [`--${flag}`, `${value}`])]);
}

/** A new directory for a test, removed with the cluster. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "quorate-test-"));
}

export class Cluster {
  readonly members: readonly Member[];
  readonly folder: string;
  /** The flag that made it. */
  readonly initialCluster: string;

  private constructor(members: readonly Member[], folder: string, initialCluster: string) {
    this.members = members;
    this.folder = folder;
    this.initialCluster = initialCluster;
  }

  /** Starts it, and waits until every node is ready. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.make(options);
    if (options.stopped === true) return cluster;
    for (const member of cluster.members) member.start();
    try {
      await cluster.ready();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  private static async make(options: ClusterOptions): Promise<Cluster> {
    const { size = 3, settings = {}, partitionable = false } = options;
    const folder = temporaryDirectory();
    const ports = await freePorts(2 * size);
    const seats = Array.from({ length: size }, (_, at) => ({
      name: `n${at + 1}`,
      clientPort: ports[2 * at] ?? 0,
      peerPort: ports[2 * at + 1] ?? 0,
    }));
    const proxies = seats.map(({ peerPort }) => (partitionable ? new PeerProxy(peerPort) : null));
    const peerPorts = await Promise.all(
      seats.map(async ({ peerPort }, at) => (await proxies[at]?.listen()) ?? peerPort),
    );
    const initialCluster = seats
      .map(({ name }, at) => `${name}=http://127.0.0.1:${peerPorts[at]}`)
      .join(",");
    const members = seats.map(({ name, clientPort, peerPort }, at) => {
      const dataDir = join(folder, name);
      const own: Settings = {
        name,
        "data-dir": dataDir,
        "client-listen": `127.0.0.1:${clientPort}`,
        "peer-listen": `127.0.0.1:${peerPort}`,
        "initial-cluster": initialCluster,
        "election-ms": ELECTION_MS,
      };
      const url = `http://127.0.0.1:${clientPort}`;
      const proxy = proxies[at] ?? null;
      return new Member({ name, url, dataDir, proxy, settings: { ...own, ...settings } });
    });
    return new Cluster(members, folder, initialCluster);
  }

  /** Ends every process, closes every proxy, and removes all data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    for (const member of this.members) member.proxy?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get running(): readonly Member[] {
    return this.members.filter((member) => member.isRunning);
  }

  member(name: string): Member {
    const found = this.members.find((member) => member.name === name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  /** Every node that runs is ready. */
  async ready(timeoutMs = 15_000): Promise<void> {
    for (const member of this.running) {
      await until(`${member.name} is ready`, () => member.isReady(), timeoutMs);
    }
  }

  /** The one who leads, when a majority of those that run, and it itself, agree on that. */
  async leader(timeoutMs?: number): Promise<Member> {
    const agreed = async () => {
      const statuses = await Promise.all(this.running.map((member) => member.status()));
      const term = Math.max(...statuses.map((status) => status?.term ?? 0));
      const current = statuses.filter((status) => status?.term === term);
      const name = current.find((status) => status?.role === "leader")?.leader;
      if (name === undefined || name === null) return null;
      const votes = current.filter((status) => status?.leader === name).length;
      return votes > this.members.length / 2 ? this.member(name) : null;
    };
    return until("a majority agrees on a leader", agreed, timeoutMs);
  }

  async followers(): Promise<readonly Member[]> {
    const leader = await this.leader();
    return this.running.filter((member) => member !== leader);
  }

  /** Cuts a node off from all others, in both directions. */
  isolate(member: Member): void {
    for (const other of this.members) {
      if (other === member) continue;
      other.proxy?.cut(member.name);
      member.proxy?.cut(other.name);
    }
  }

  heal(): void {
    for (const { proxy } of this.members) proxy?.heal();
  }
}
