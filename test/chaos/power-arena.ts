/** One node or three on disks of their own, whose power is cut; and what a start must not say. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Cluster } from "../integration/cluster.ts";
import { until } from "../integration/until.ts";
import { ChaosNode } from "./chaos-node.ts";
import { Volume } from "./volume.ts";

/** Snapshots, new log files and the removal of old ones all the time. */
const SETTINGS = { "snapshot-entries": 40, "snapshot-bytes": 1024 * 1024 };
/** Elections as short as can be: every start of a node by itself waits for one, … */
const ALONE = { ...SETTINGS, "heartbeat-ms": 10, "election-ms": 50 };
/** … and where there are several, a busy machine must not make one after another of it. */
const TOGETHER = { ...SETTINGS, "heartbeat-ms": 25, "election-ms": 200 };
const READY_MS = 60_000;
/** Errors, and talk or traces of damage and of what was lost. None of that is for a power cut. */
const BAD = /^error|damage|set aside|does not know what it has promised/;
const TORN = /never finished, so never acknowledged/g;
const SNAPSHOT = /"snapshot \d+ saved/g;

export class PowerArena {
  readonly nodes: ChaosNode[] = [];
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Starts so many nodes on new disks, and waits until they are ready. */
  static async open(size: number): Promise<PowerArena> {
    const cluster = await Cluster.start({ size, stopped: true });
    const arena = new PowerArena(cluster);
    const settings = size === 1 ? ALONE : TOGETHER;
    try {
      for (const member of cluster.members) {
        const volume = await Volume.make(join(cluster.folder, "volumes", member.name));
        arena.nodes.push(new ChaosNode(member, volume, settings));
      }
      for (const node of arena.nodes) node.start();
      await arena.ready();
    } catch (error) {
      await arena.close();
      throw error;
    }
    return arena;
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** The power of these fails at the same moment, and their processes are gone. */
  async cutPower(nodes: readonly ChaosNode[]): Promise<void> {
    const pids = nodes.flatMap((node) => (node.isRunning ? [node.pid] : []));
    for (const node of nodes) node.hurtDisk();
    await Volume.cutPowerOf(volumesOf(nodes), pids);
    await Promise.all(nodes.map((node) => node.kill()));
  }

  /** The power of these is back, and they start. */
  async restorePower(nodes: readonly ChaosNode[]): Promise<void> {
    await Promise.all(volumesOf(nodes).map((volume) => volume.restorePower()));
    for (const node of nodes) node.start();
  }

  /** Every node is ready. Rejects as soon as one has ended instead, with its reason. */
  async ready(): Promise<void> {
    for (const node of this.nodes) {
      const isSettled = async () => !node.isRunning || (await node.member.isReady());
      await until(`${node.name} is ready`, isSettled, READY_MS);
      if (node.isRunning) continue;
      const { exit } = node.member.process;
      throw new Error(
        `${node.name} did not start: ${JSON.stringify(exit)} ${said(node).join("; ")}`,
      );
    }
  }

  /** What the nodes said that a power cut does not explain. */
  complaints(): readonly string[] {
    return this.nodes.flatMap((node) => {
      const bad = [...said(node), ...node.warnings].filter((what) => BAD.test(what));
      return [...node.problems, ...bad.map((what) => `${node.name}: ${what}`)];
    });
  }

  /** Files that were set aside as damaged. To be asked while there is power. */
  damaged(): readonly string[] {
    return this.nodes.flatMap(({ name, dataDir }) =>
      readdirSync(dataDir).flatMap((file) => (BAD.test(file) ? [`${name} has ${file}`] : [])),
    );
  }

  /** How often a node found an append that had not finished, and wrote a snapshot. */
  counts(): { readonly torn: number; readonly snapshots: number } {
    const text = this.nodes.map(({ log }) => log).join("\n");
    const count = (pattern: RegExp) => [...text.matchAll(pattern)].length;
    return { torn: count(TORN), snapshots: count(SNAPSHOT) };
  }

  /** Ends every process, unmounts every disk, and removes all data. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    const removed = await Promise.allSettled(
      this.nodes.map(async ({ volume }) => volume?.remove()),
    );
    const reasons = removed.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    if (reasons.length > 0) throw new AggregateError(reasons, `still in ${this.#cluster.folder}`);
    await this.#cluster[Symbol.asyncDispose]();
  }
}

/** What the process that runs now, or ran last, said beyond what is usual. */
function said({ member: { process } }: ChaosNode): readonly string[] {
  const errors = ["fatal", "error"].flatMap((level) => process.messages(level));
  return [...errors.map((line) => `error: ${line}`), ...process.messages("warn")];
}

function volumesOf(nodes: readonly ChaosNode[]): readonly Volume[] {
  return nodes.flatMap(({ volume }) => (volume === null ? [] : [volume]));
}
