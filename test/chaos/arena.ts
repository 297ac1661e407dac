/** A cluster made for chaos: real processes, proxies between them, and disks of their own. */
import { join } from "node:path";
import { Cluster } from "../integration/cluster.ts";
import { ChaosNode } from "./chaos-node.ts";
import { Volume, volumesMissing } from "./volume.ts";

/** Everything that is rare happens all the time: snapshots, new log files, lost followers. */
const SETTINGS = { "snapshot-entries": 50, "snapshot-bytes": 1024 * 1024 };
const START_MS = 60_000;

export class Arena {
  readonly cluster: Cluster;
  readonly nodes: readonly ChaosNode[];
  /** Why the nodes have no disks of their own; null: they have. */
  readonly volumesMissing: string | null;

  private constructor(cluster: Cluster, nodes: readonly ChaosNode[], missing: string | null) {
    this.cluster = cluster;
    this.nodes = nodes;
    this.volumesMissing = missing;
  }

  /** Starts so many nodes, and waits until they are ready. */
  static async open(size: number): Promise<Arena> {
    const cluster = await Cluster.start({ size, partitionable: true, stopped: true });
    const scratch = join(cluster.folder, "volumes");
    const missing = await volumesMissing(scratch);
    const nodes: ChaosNode[] = [];
    const arena = new Arena(cluster, nodes, missing);
    try {
      for (const member of cluster.members) {
        const volume = missing === null ? await Volume.make(join(scratch, member.name)) : null;
        nodes.push(new ChaosNode(member, volume, SETTINGS));
      }
      for (const node of nodes) node.start();
      await cluster.ready(START_MS);
    } catch (error) {
      await arena.close();
      throw error;
    }
    return arena;
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Ends every process, and removes all data. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    for (const { volume } of this.nodes) await volume?.remove();
    await this.cluster[Symbol.asyncDispose]();
  }
}
