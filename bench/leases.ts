/** Many leases at once: to grant, to hold, to renew, and all to end within the same second. */
import { Pool } from "undici";
import { residentMiB, startCluster } from "./cluster.ts";
import { load } from "./load.ts";
import { median } from "./median.ts";
import { type PaceResult, writeAtPace } from "./pace.ts";

const LEASES = 100_000;
const CONNECTIONS = 64;
/** Renewals wait for others to share an entry with, so that few connections measure the wait. */
const RENEWING_CONNECTIONS = 256;
/** From the first grant to the end of all leases: time to grant and to measure. */
const LIVE_MS = 120_000;
/** The deadlines are spread over this, as those of clients are. */
const SPREAD_MS = 1_000;
const RENEWED = 1_024;
const RENEWED_TTL_SECONDS = 600;
const WRITES_PER_SECOND = 500;
const CALM_SECONDS = 5;
const KEYS_PER_TXN = 128;
const POLL_MS = 100;

export interface LeaseResult {
  readonly grantsPerSecond: number;
  /** Resident memory of each node, in MiB. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** With a key on each lease. */
  readonly withKeys: readonly number[];
  readonly renewalsPerSecond: number;
  /** Writes at a fixed pace, while all leases are there. */
  readonly calm: PaceResult;
  /** The same while they end. */
  readonly ending: PaceResult;
  /** From the first deadline until no key of a lease is there any more. */
  readonly endedMs: number;
}

/** Measures on a cluster of its own. Uses `port` to `port + 5`. */
export async function leases(port: number): Promise<LeaseResult> {
  const cluster = await startCluster(port);
  const [url = ""] = cluster.urls;
  const pool = new Pool(url, { connections: CONNECTIONS });
  try {
    const renewed = await grantAll(pool, RENEWED, () => RENEWED_TTL_SECONDS);
    // What the compilers and the collector take for themselves is not the leases'.
    await renewals(url, renewed, 2);
    const before = cluster.pids.map(residentMiB);
    const startedAt = performance.now();
    const endsAt = startedAt + LIVE_MS;
    const ttl = (at: number) => {
      if (performance.now() > endsAt - 1_000) throw new Error("granting took too long");
      return (endsAt + (at / LEASES) * SPREAD_MS - performance.now()) / 1_000;
    };
    const ids = await grantAll(pool, LEASES, ttl);
    const grantsPerSecond = Math.round((1_000 * LEASES) / (performance.now() - startedAt));
    const after = cluster.pids.map(residentMiB);
    await attachAll(pool, ids);
    const withKeys = cluster.pids.map(residentMiB);
    const renewalsPerSecond = await renewals(url, renewed, CALM_SECONDS);
    const pace = { url, key: "bench/calm", perSecond: WRITES_PER_SECOND };
    const calm = await writeAtPace({ ...pace, seconds: CALM_SECONDS });
    if (performance.now() > endsAt - 1_000)
      throw new Error("this took longer than the leases live");
    await until(endsAt - 500);
    const [ending, endedMs] = await Promise.all([
      writeAtPace({ ...pace, seconds: CALM_SECONDS + 2 }),
      allEnded(url, endsAt),
    ]);
    const memory = { before, after, withKeys };
    return { grantsPerSecond, ...memory, renewalsPerSecond, calm, ending, endedMs };
  } finally {
    await pool.destroy();
    await cluster.stop();
  }
}

/** Lines for people. */
export function leaseLines(result: LeaseResult): readonly string[] {
  const { before, after, withKeys, calm, ending } = result;
  const middle = (list: readonly number[]) => median(list);
  const bytes = (from: readonly number[], to: readonly number[]) =>
    Math.round(((middle(to) - middle(from)) * 1024 * 1024) / LEASES);
  const times = ({ p50, p99, longest }: PaceResult) =>
    `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, longest ${longest.toFixed(0)} ms`;
  return [
    `${LEASES} leases: ${result.grantsPerSecond} grants/s`,
    `resident MiB: ${before.join(", ")} before, ${after.join(", ")} with them` +
      ` (${bytes(before, after)} bytes each), ${withKeys.join(", ")} with a key on each` +
      ` (${bytes(after, withKeys)} more); the log in memory is part of it`,
    `${result.renewalsPerSecond} renewals/s of ${RENEWING_CONNECTIONS} connections`,
    `${WRITES_PER_SECOND} writes/s beside them: ${times(calm)}`,
    `while all end: ${times(ending)}, ${ending.errors} errors;` +
      ` all gone ${Math.round(result.endedMs)} ms after the first deadline`,
  ];
}

/** Grants so many, and returns their ids. `ttl` says how long the one with that number lives. */
async function grantAll(
  pool: Pool,
  count: number,
  ttl: (at: number) => number,
): Promise<readonly number[]> {
  const ids: number[] = [];
  await inParallel(count, async (at) => {
    const text = await post(pool, "/v1/leases", { ttl: ttl(at) });
    ids.push((JSON.parse(text) as { id: number }).id);
  });
  return ids;
}

/** Puts a key on each. */
async function attachAll(pool: Pool, ids: readonly number[]): Promise<void> {
  await inParallel(Math.ceil(ids.length / KEYS_PER_TXN), async (at) => {
    const some = ids.slice(at * KEYS_PER_TXN, (at + 1) * KEYS_PER_TXN);
    const success = some.map((lease) => ({
      put: { key: `bench/lease/${lease}`, value: "x", lease },
    }));
    await post(pool, "/v1/txn", { success });
  });
}

/** Does `each` for 0 to `count - 1`, as many at once as there are connections. */
async function inParallel(count: number, each: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await each(next++);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
}

async function post(pool: Pool, path: string, body: unknown): Promise<string> {
  const headers = { "content-type": "application/json" };
  const response = await pool.request({
    method: "POST",
    path,
    headers,
    body: JSON.stringify(body),
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) throw new Error(`${path} was answered ${text}`);
  return text;
}

/** How many a second, each connection with a lease of its own. */
async function renewals(url: string, ids: readonly number[], seconds: number): Promise<number> {
  let next = 0;
  const request = () => {
    next += 1;
    return { method: "PUT", path: `/v1/leases/${ids[next % ids.length]}` } as const;
  };
  const { perSecond, errors } = await load({
    urls: [url],
    connections: RENEWING_CONNECTIONS,
    seconds,
    request,
  });
  if (errors > 0) throw new Error(`${errors} renewals failed`);
  return perSecond;
}

async function allEnded(url: string, endsAt: number): Promise<number> {
  // The one that is left is what the writes beside it write.
  while ((await keysOf(url)) > 1) {
    if (performance.now() > endsAt + 60_000) throw new Error("leases did not end within a minute");
    await until(performance.now() + POLL_MS);
  }
  return performance.now() - endsAt;
}

async function keysOf(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/status`);
  return ((await response.json()) as { keys: number }).keys;
}

async function until(at: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
}
