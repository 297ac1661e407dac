/** From kill -9 of the leader to the next write that another node accepts. */
import { startCluster } from "./cluster.ts";
import { median } from "./median.ts";

const WRITE_TIMEOUT_MS = 200;

/** The median of `rounds` failovers, and the longest, in milliseconds. */
export async function failover(port: number, rounds: number): Promise<Record<string, number>> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const cluster = await startCluster(port);
    const survivor = cluster.urls[1] as string;
    await accepted(survivor);
    await cluster.killLeader();
    const killedAt = performance.now();
    while (!(await accepted(survivor))) {
      if (performance.now() - killedAt > 30_000) throw new Error("no new leader in 30 s");
    }
    times.push(performance.now() - killedAt);
    await cluster.stop();
  }
  return { median: median(times), longest: Math.max(...times) };
}

async function accepted(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v1/kv/bench/failover?timeout=${WRITE_TIMEOUT_MS}ms`, {
    method: "PUT",
    headers: { "content-type": "application/octet-stream" },
    body: "x",
  });
  await response.text();
  return response.ok;
}
