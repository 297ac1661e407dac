/** Containers killed, paused and unplugged under load, judged as any other history (A10, A13). */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { quiet } from "../chaos/agreement.ts";
import { judge } from "../chaos/judge.ts";
import { Load } from "../chaos/load.ts";
import { Workloads } from "../chaos/workloads.ts";
import { until } from "../integration/until.ts";
import { DockerCluster, type DockerNode } from "./docker-cluster.ts";
import { engineMissing } from "./engine.ts";

const SECONDS = 40;
const CLIENTS = 16;
const RATE = 800;
/** Engines are slow: less than from processes, but under load all the same. */
const OPERATIONS_MIN = 2_000;

describe.skipIf(engineMissing !== null)(engineMissing ?? "three containers", () => {
  let cluster: DockerCluster;
  beforeAll(async () => {
    cluster = await DockerCluster.start();
    await cluster.healthy();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  /** What can happen to one container; each ends what it began. */
  const faults: Readonly<Record<string, (node: DockerNode) => Promise<void>>> = {
    kill: async (node) => {
      await node.kill();
      await sleep(500);
      await node.start();
    },
    pause: async ({ container }) => {
      await container.pause();
      await sleep(1_500);
      await container.unpause();
    },
    unplug: async (node) => {
      await cluster.unplug(node);
      await sleep(2_000);
      await cluster.plug(node);
    },
  };

  async function leader(): Promise<DockerNode> {
    const leads = async ({ url }: DockerNode) => {
      const signal = AbortSignal.timeout(1_000);
      const answer = await fetch(`${url}/v1/status`, { signal }).catch(() => null);
      return ((await answer?.json()) as { role?: string } | undefined)?.role === "leader";
    };
    return until("there is a leader", async () => {
      const leading = await Promise.all(cluster.nodes.map(leads));
      return cluster.nodes[leading.indexOf(true)] ?? null;
    });
  }

  test("tell no client anything that is not so, whatever happens to them", async () => {
    const random = new Prng("containers");
    const urls = cluster.nodes.map(({ url }) => url);
    const load = new Load({ urls, clients: CLIENTS, rate: RATE, random });
    const workloads = new Workloads({ urls, random });
    const end = performance.now() + SECONDS * 1_000;
    for (let round = 0; performance.now() < end; round++) {
      const [, strike] = Object.entries(faults)[round % 3] ?? [];
      // The leader every other time: the others hardly notice the loss of a follower.
      const node = round % 2 === 0 ? await leader() : random.pick(cluster.nodes);
      await strike?.(node);
      await sleep(1_000);
    }
    await cluster.healthy();
    await load.stop();
    await workloads.finish();
    const serves = async () => (await load.readAll()).length === 0;
    await until("every key can be read", serves, 30_000);
    await load.close();
    const { revision } = await quiet(cluster.nodes);
    await workloads.finishWatches(revision);
    const { operations, tally, acknowledged } = load.recorder;
    expect(workloads.problems({ onDisk: null, acknowledged, seconds: SECONDS })).toEqual([]);
    const verdicts = judge(operations, operations);
    expect(new Set(Object.values(verdicts)), JSON.stringify(verdicts)).toEqual(new Set(["ok"]));
    expect(tally.ok).toBeGreaterThan(OPERATIONS_MIN);
  });
});
