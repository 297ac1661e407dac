/**
 * `make bench`: what three nodes on this machine do, beside a bare Fastify in the same run. All
 * scenarios take turns, so that a busy moment of the machine hits all of them; reported are the
 * medians. Load, nodes and ceiling share the machine, so compare ratios, not absolute numbers.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type BenchCluster, residentMiB, startCluster } from "./cluster.ts";
import { syncMs } from "./disk.ts";
import { failover } from "./failover.ts";
import { writeLatency } from "./latency.ts";
import { load, type LoadOptions, type LoadResult } from "./load.ts";
import { median } from "./median.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 3);
const SECONDS = Number(process.env["SECONDS"] ?? 5);
const PORT = 24_001;
const ONE_CLIENT_WRITES = 1_000;
const FAILOVERS = 5;

interface Scenario {
  readonly name: string;
  readonly options: Omit<LoadOptions, "seconds">;
}

function scenarios(cluster: BenchCluster, echo: string): readonly Scenario[] {
  const leader = [cluster.urls[0] as string];
  const all = cluster.urls;
  const put = (name: string, urls: readonly string[], connections: number): Scenario => ({
    name,
    options: { urls, connections, method: "PUT" },
  });
  const get = (name: string, urls: readonly string[], connections: number): Scenario => ({
    name,
    options: { urls, connections, method: "GET" },
  });
  return [
    put("ceiling: echo of 256 connections", [echo], 256),
    ...[1, 64, 256].map((count) => put(`writes, leader, ${count}`, leader, count)),
    ...[64, 256].map((count) => put(`writes, all nodes, ${count}`, all, count)),
    get("reads, leader, 64", leader, 64),
    get("reads, all nodes, 64", all, 64),
  ];
}

async function loopDelay(url: string): Promise<string> {
  const status = (await (await fetch(`${url}/v1/status`)).json()) as {
    loop_delay_ms: Record<string, number>;
  };
  return JSON.stringify(status.loop_delay_ms);
}

async function startEcho(): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "echo.ts")]);
  if (child.stdout === null) throw new Error("no pipe");
  const [url] = (await once(createInterface(child.stdout), "line")) as [string];
  return { url, child };
}

async function measure(cluster: BenchCluster, echo: string): Promise<void> {
  const results = new Map<string, LoadResult[]>();
  const plan = scenarios(cluster, echo);
  // The first seconds only warm everything up.
  await load({ urls: cluster.urls, connections: 256, method: "PUT", seconds: 2 });
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { name, options } of plan) {
      process.stderr.write(`round ${round} of ${ROUNDS}: ${name}\n`);
      const list = results.get(name) ?? [];
      list.push(await load({ ...options, seconds: SECONDS }));
      results.set(name, list);
    }
  }
  const rate = (list: readonly LoadResult[]) => median(list.map(({ perSecond }) => perSecond));
  const ceiling = rate(results.get((plan[0] as Scenario).name) ?? []);
  console.table(
    [...results].map(([scenario, list]) => ({
      scenario,
      "per second": Math.round(rate(list)),
      "of ceiling": `${Math.round((100 * rate(list)) / ceiling)} %`,
      "p50 ms": median(list.map(({ p50 }) => p50)),
      "p99 ms": median(list.map(({ p99 }) => p99)),
      errors: list.reduce((sum, { errors }) => sum + errors, 0),
    })),
  );
}

console.info(
  `${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, fsync ${syncMs().toFixed(2)} ms`,
);
const cluster = await startCluster(PORT);
const echo = await startEcho();
try {
  const one = await writeLatency(cluster.urls[0] as string, ONE_CLIENT_WRITES);
  console.info(`one client: p50 ${one.p50.toFixed(2)} ms, p99 ${one.p99.toFixed(2)} ms`);
  await measure(cluster, echo.url);
  console.info(`resident memory, MiB: ${cluster.pids.map(residentMiB).join(", ")}`);
  for (const url of cluster.urls) console.info(`event loop held, ms: ${await loopDelay(url)}`);
} finally {
  echo.child.kill();
  await cluster.stop();
}
const { median: typical, longest } = await failover(PORT, FAILOVERS);
console.info(`failover: median ${typical?.toFixed(0)} ms, longest ${longest?.toFixed(0)} ms`);
