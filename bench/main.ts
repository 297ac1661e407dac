/**
 * `make bench`: what three nodes on this machine do, beside a bare Fastify in the same run. All
 * scenarios take turns, so that a busy moment of the machine hits all of them; reported are the
 * medians. Load, nodes and ceiling share the machine, so compare ratios, not absolute numbers.
 */
import { cpus, loadavg } from "node:os";
import { startServer } from "./child.ts";
import { type BenchCluster, residentMiB, startCluster } from "./cluster.ts";
import { syncMs } from "./disk.ts";
import { failover } from "./failover.ts";
import { writeLatency } from "./latency.ts";
import { leaseLines, leases } from "./leases.ts";
import { fillLists, lists, type ListRun, listTable } from "./lists.ts";
import { get, load, type LoadOptions, type LoadResult, put, txn } from "./load.ts";
import { median } from "./median.ts";
import { fanOut, type FanOutRun, fanOutTable } from "./watch.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 3);
const SECONDS = Number(process.env["SECONDS"] ?? 5);
const PORT = 24_001;
const ONE_CLIENT_WRITES = 1_000;
const FAILOVERS = 5;
/** What transactions are compared with. */
const WRITES = "writes, leader, 64";

interface Scenario {
  readonly name: string;
  readonly options: Omit<LoadOptions, "seconds">;
}

function scenarios(cluster: BenchCluster, echo: string): readonly Scenario[] {
  const leader = [cluster.urls[0] as string];
  const all = cluster.urls;
  const of = (urls: readonly string[], connections: number, request: LoadOptions["request"]) => ({
    urls,
    connections,
    request,
  });
  return [
    { name: "ceiling: echo of 256 connections", options: of([echo], 256, put) },
    ...[1, 64, 256].map((count) => ({
      name: `writes, leader, ${count}`,
      options: of(leader, count, put),
    })),
    ...[64, 256].map((count) => ({
      name: `writes, all nodes, ${count}`,
      options: of(all, count, put),
    })),
    { name: "transactions of 4, leader, 64", options: of(leader, 64, txn) },
    { name: "reads, leader, 64", options: of(leader, 64, get) },
    { name: "reads, all nodes, 64", options: of(all, 64, get) },
  ];
}

async function loopDelay(url: string): Promise<string> {
  const status = (await (await fetch(`${url}/v1/status`)).json()) as {
    loop_delay_ms: Record<string, number>;
  };
  return JSON.stringify(status.loop_delay_ms);
}

async function measure(cluster: BenchCluster, echo: string): Promise<void> {
  const results = new Map<string, LoadResult[]>();
  const plan = scenarios(cluster, echo);
  // The first seconds only warm everything up.
  await load({ urls: cluster.urls, connections: 256, request: put, seconds: 2 });
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { name, options } of plan) {
      process.stderr.write(`round ${round} of ${ROUNDS}: ${name}\n`);
      const list = results.get(name) ?? [];
      list.push(await load({ ...options, seconds: SECONDS }));
      results.set(name, list);
    }
  }
  console.table(loadTable(plan, results));
}

function loadTable(plan: readonly Scenario[], results: ReadonlyMap<string, readonly LoadResult[]>) {
  const rate = (list: readonly LoadResult[]) => median(list.map(({ perSecond }) => perSecond));
  const ceiling = rate(results.get((plan[0] as Scenario).name) ?? []);
  const writes = rate(results.get(WRITES) ?? []);
  const percent = (part: number, whole: number) => `${Math.round((100 * part) / whole)} %`;
  return [...results].map(([scenario, list]) => ({
    scenario,
    "per second": Math.round(rate(list)),
    "of ceiling": percent(rate(list), ceiling),
    "of writes": percent(rate(list), writes),
    "p50 ms": median(list.map(({ p50 }) => p50)),
    "p99 ms": median(list.map(({ p99 }) => p99)),
    errors: list.reduce((sum, { errors }) => sum + errors, 0),
  }));
}

/** Lists and watches take turns as well. */
async function measureMany(cluster: BenchCluster, echo: string): Promise<void> {
  const listRuns: ListRun[] = [];
  const fanOutRuns: FanOutRun[] = [];
  await fillLists(cluster);
  for (let round = 1; round <= ROUNDS; round++) {
    process.stderr.write(`round ${round} of ${ROUNDS}: lists, watches\n`);
    listRuns.push(await lists(cluster, echo, SECONDS));
    fanOutRuns.push(await fanOut(cluster, SECONDS));
  }
  console.table(listTable(listRuns));
  for (const row of fanOutTable(fanOutRuns)) console.table(row);
}

console.info(
  `${cpus().length} cores, load ${loadavg()[0]?.toFixed(2)}, fsync ${syncMs().toFixed(2)} ms`,
);
const cluster = await startCluster(PORT);
const echo = await startServer("echo.ts");
try {
  const one = await writeLatency(cluster.urls[0] as string, ONE_CLIENT_WRITES);
  console.info(`one client: p50 ${one.p50.toFixed(2)} ms, p99 ${one.p99.toFixed(2)} ms`);
  await measure(cluster, echo.url);
  await measureMany(cluster, echo.url);
  console.info(`resident memory, MiB: ${cluster.pids.map(residentMiB).join(", ")}`);
  for (const url of cluster.urls) console.info(`event loop held, ms: ${await loopDelay(url)}`);
} finally {
  echo.child.kill();
  await cluster.stop();
}
const { median: typical, longest } = await failover(PORT, FAILOVERS);
console.info(`failover: median ${typical?.toFixed(0)} ms, longest ${longest?.toFixed(0)} ms`);
for (const line of leaseLines(await leases(PORT))) console.info(line);
