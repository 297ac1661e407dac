/** The image, as three containers: killed, cut off, replaced. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../integration/until.ts";
import { DockerCluster, type DockerNode } from "./docker-cluster.ts";
import { engineMissing } from "./engine.ts";

describe.skipIf(engineMissing !== null)(engineMissing ?? "three containers", () => {
  let cluster: DockerCluster;
  beforeAll(async () => {
    cluster = await DockerCluster.start();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  function others(node: DockerNode): readonly DockerNode[] {
    return cluster.nodes.filter((other) => other !== node);
  }

  test("become healthy, and what one writes the others read", async () => {
    await cluster.healthy();
    for (const node of cluster.nodes) {
      await node.put("written by", node.name);
      for (const other of others(node)) expect(await other.get("written by")).toBe(node.name);
    }
  });

  test("the leader's container is killed: another one leads, and it comes back", async () => {
    const old = await cluster.leader();
    await old.put("k", "before");
    await old.kill();
    const next = await cluster.leader(others(old));
    expect(await next.get("k")).toBe("before");
    await next.put("k", "after");

    await old.start();
    const reads = async () => (await old.get("k")) === "after";
    await until("the killed one reads what it missed", reads, 30_000);
    expect(await old.status()).toMatchObject({ role: "follower", leader: next.name });
  });

  test("the leader is cut off: the others go on, and it follows when it is back", async () => {
    const old = await cluster.leader();
    await cluster.unplug(old);
    const next = await cluster.leader(others(old));
    await next.put("k", "while it was away");
    const hasSteppedDown = async () => (await old.status()).role !== "leader";
    await until("it no longer thinks that it leads", hasSteppedDown, 30_000);
    expect(await old.get("k")).toBeNull();

    await cluster.plug(old);
    const reads = async () => (await old.get("k")) === "while it was away";
    await until("it reads what it missed", reads, 30_000);
    expect(await old.status()).toMatchObject({ role: "follower", leader: next.name });
  });

  test("new containers with the old volumes have the old data", async () => {
    const [first] = cluster.nodes;
    if (first === undefined) throw new Error("no nodes");
    await first.put("durable", "yes");
    expect(await Promise.all(cluster.nodes.map((node) => node.stop()))).toEqual([0, 0, 0]);
    await cluster.removeContainers();
    await cluster.startContainers();
    for (const node of cluster.nodes) {
      const reads = async () => (await node.get("durable")) === "yes";
      await until(`${node.name} has its data`, reads, 30_000);
    }
  });

  test("from three to five and back, with the leader among those who go (M4, M9)", async () => {
    const founders = cluster.nodes;
    const five = ["n1", "n2", "n3", "n4", "n5"];
    const votersAre = (node: DockerNode, names: readonly string[]) => {
      const areThese = async () => (await node.voters()).join() === names.join();
      return until(`${node.name} knows ${names.join()} as voters`, areThese, 60_000);
    };
    await cluster.nodes[0]?.put("k", "of three");
    const joined = [await cluster.join("n4"), await cluster.join("n5")];
    for (const node of joined) {
      await votersAre(node, five);
      expect(await node.get("k")).toBe("of three");
    }
    await joined[1]?.put("k", "of five");

    const old = await cluster.leader(founders);
    const names = five.filter((name) => name !== old.name);
    const [stays = old] = joined;
    expect(await stays.quorate("member", "remove", old.name)).toMatchObject({ code: 0 });
    for (const node of others(old)) await votersAre(node, names);
    const isTold = async () => (await old.quorate("get", "k")).code !== 0;
    await until("the removed one is told so, and answers no more", isTold, 30_000);
    await cluster.remove(old);
    expect(await stays.quorate("member", "remove", "n5")).toMatchObject({ code: 0 });
    await votersAre(
      stays,
      names.filter((name) => name !== "n5"),
    );
    expect(await stays.get("k")).toBe("of five");
  });
});
