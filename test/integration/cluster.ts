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
  /** Loaded into each node before the program, by names of files from the root. */
  readonly imports?: readonly string[];
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
  readonly voters: readonly string[];
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
  readonly #imports: readonly string[];

  constructor(about: {
    name: string;
    url: string;
    dataDir: string;
    proxy: PeerProxy | null;
    settings: Settings;
    imports: readonly string[];
  }) {
    this.name = about.name;
    this.url = about.url;
    this.dataDir = about.dataDir;
    this.proxy = about.proxy;
    this.#settings = about.settings;
    this.#imports = about.imports;
  }

  /** The process that was started last. */
  get process(): NodeProcess {
    if (this.#process === null) throw new Error(`${this.name} was never started`);
    return this.#process;
  }

  /** Where the other nodes are to reach it. */
  get peerUrl(): string {
    return String(this.#settings["peer-url"] ?? `http://${this.#settings["peer-listen"]}`);
  }

  get isRunning(): boolean {
    return this.#process !== null && this.#process.exit === null;
  }

  /** With other flags than before, or without some of them, if it says so. */
  start(settings: Settings = {}, without: readonly string[] = []): NodeProcess {
    if (this.isRunning) throw new Error(`${this.name} is running`);
    const all = Object.entries({ ...this.#settings, ...settings });
    const given = all.filter(([flag]) => !without.includes(flag));
    this.#process = serve(Object.fromEntries(given), this.#imports);
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
export function serve(settings: Settings, imports: readonly string[] = []): NodeProcess {
  const flags = Object.entries({ "log-format": "json", ...settings });
  const args = flags.flatMap(([flag, value]) => [`--${flag}`, `${value}`]);
  return new NodeProcess(["serve", ...args], imports);
}

/** A new directory for a test, removed with the cluster. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "quorate-test-"));
}

export class Cluster {
  /** All places that there ever were. */
  readonly members: Member[];
  readonly folder: string;
  /** The flag that made it. */
  readonly initialCluster: string;

  readonly #settings: Settings;

  private constructor(
    members: Member[],
    about: { folder: string; initialCluster: string; settings: Settings },
  ) {
    this.members = members;
    this.folder = about.folder;
    this.initialCluster = about.initialCluster;
    this.#settings = about.settings;
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
    const { size = 3, settings = {}, partitionable = false, imports = [] } = options;
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
      const all = { ...own, ...settings };
      return new Member({ name, url, dataDir, proxy, settings: all, imports });
    });
    return new Cluster(members, { folder, initialCluster, settings });
  }

  /** A place for one more node, which asks the others to let it join as soon as it is started. */
  async newcomer(name: string, settings: Settings = {}): Promise<Member> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const dataDir = String(settings["data-dir"] ?? join(this.folder, `${name}-new`));
    const own: Settings = {
      name,
      "data-dir": dataDir,
      "client-listen": `127.0.0.1:${clientPort}`,
      "peer-listen": `127.0.0.1:${peerPort}`,
      join: this.running.map(({ url }) => url).join(","),
      "election-ms": ELECTION_MS,
    };
    const url = `http://127.0.0.1:${clientPort}`;
    const all = { ...own, ...this.#settings, ...settings };
    const member = new Member({ name, url, dataDir, proxy: null, settings: all, imports: [] });
    this.members.push(member);
    return member;
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
    const found = this.members.findLast((member) => member.name === name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  /** Every node that runs is ready. */
  async ready(timeoutMs = 15_000): Promise<void> {
    for (const member of this.running) {
      await until(`${member.name} is ready`, () => member.isReady(), timeoutMs);
    }
  }

  /** The one who leads, when it and a majority of its voters agree on that. */
  async leader(timeoutMs?: number): Promise<Member> {
    const agreed = async () => {
      const statuses = await Promise.all(this.running.map((member) => member.status()));
      const term = Math.max(...statuses.map((status) => status?.term ?? 0));
      const current = statuses.filter((status) => status?.term === term);
      const leader = current.find((status) => status?.role === "leader");
      if (leader?.leader === undefined || leader.leader === null) return null;
      const votes = current.filter((status) => status?.leader === leader.leader).length;
      return votes > leader.voters.length / 2 ? this.member(leader.leader) : null;
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
