/** Lists: 10,000 keys in pages, by cursor, and counted. One client, one request at a time. */
import { Client } from "undici";
import type { BenchCluster } from "./cluster.ts";
import { median, percentile } from "./median.ts";

const KEYS = 10_000;
const PAGE = 1_000;
const VALUE = "x".repeat(64);
const PREFIX = "bench/list/";
/** As many as a transaction may have. */
const KEYS_PER_TXN = 128;

/** What a list was measured to take. Times in milliseconds. */
export interface ListResult {
  readonly itemsPerSecond: number;
  /** Of a request. */
  readonly p50: number;
  readonly p99: number;
}

export interface ListRun {
  readonly ceiling: ListResult;
  readonly leader: ListResult;
  readonly follower: ListResult;
  readonly counts: ListResult;
}

/** Writes the keys. */
export async function fillLists({ urls }: BenchCluster): Promise<void> {
  const client = new Client(urls[0] as string);
  for (let from = 0; from < KEYS; from += KEYS_PER_TXN) {
    const count = Math.min(KEYS_PER_TXN, KEYS - from);
    const success = Array.from({ length: count }, (_, at) => {
      return { put: { key: `${PREFIX}${10_000 + from + at}`, value: VALUE } };
    });
    const { statusCode, body } = await client.request({
      method: "POST",
      path: "/v1/txn",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ success }),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`a transaction was answered ${statusCode}`);
  }
  await client.close();
}

/** Measures each for so many seconds, one after another. `echo` answers with pages as well. */
export async function lists(
  { urls }: BenchCluster,
  echo: string,
  seconds: number,
): Promise<ListRun> {
  const [leader = "", follower = ""] = urls;
  return {
    ceiling: await during(echo, seconds, pages),
    leader: await during(leader, seconds, pages),
    follower: await during(follower, seconds, pages),
    counts: await during(leader, seconds, count),
  };
}

/** Reads something once, notes how long each request took, and returns how many items came. */
type Reading = (client: Client, times: number[]) => Promise<number>;

async function during(url: string, seconds: number, read: Reading): Promise<ListResult> {
  const client = new Client(url);
  const times: number[] = [];
  const startedAt = performance.now();
  let items = 0;
  while (performance.now() - startedAt < seconds * 1_000) items += await read(client, times);
  const elapsed = (performance.now() - startedAt) / 1_000;
  await client.close();
  return {
    itemsPerSecond: Math.round(items / elapsed),
    p50: percentile(times, 50),
    p99: percentile(times, 99),
  };
}

/** All pages, each with the cursor of the one before. */
async function pages(client: Client, times: number[]): Promise<number> {
  let cursor: string | null = "";
  let items = 0;
  for (let page = 0; page < KEYS / PAGE; page++) {
    if (cursor === null) throw new Error(`the list ended after ${items} of ${KEYS} keys`);
    const rest: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const text = await timed(client, `/v1/kv?prefix=${PREFIX}&limit=${PAGE}${rest}`, times);
    // Parsing a page would take as long as the node needs for it.
    cursor = /"cursor":"([^"]*)"/.exec(text.slice(-1_024))?.[1] ?? null;
    items += PAGE;
  }
  return items;
}

async function count(client: Client, times: number[]): Promise<number> {
  const text = await timed(client, `/v1/kv?prefix=${PREFIX}&count_only=true`, times);
  if (!text.includes(`"count":${KEYS}`)) throw new Error(`not ${KEYS} keys were counted: ${text}`);
  return KEYS;
}

async function timed(client: Client, path: string, times: number[]): Promise<string> {
  const startedAt = performance.now();
  const { statusCode, body } = await client.request({ method: "GET", path });
  const text = await body.text();
  times.push(performance.now() - startedAt);
  if (statusCode !== 200) throw new Error(`a list was answered ${statusCode}: ${text}`);
  return text;
}

/** A row for each, of the medians of all runs. */
export function listTable(runs: readonly ListRun[]): Record<string, unknown>[] {
  const ceiling = median(runs.map((run) => run.ceiling.itemsPerSecond));
  const row = (scenario: string, list: readonly ListResult[]) => {
    const rate = median(list.map(({ itemsPerSecond }) => itemsPerSecond));
    return {
      scenario,
      "items/s": rate,
      "of ceiling": `${Math.round((100 * rate) / ceiling)} %`,
      "p50 ms": median(list.map(({ p50 }) => p50)).toFixed(2),
      "p99 ms": median(list.map(({ p99 }) => p99)).toFixed(2),
    };
  };
  return [
    row(
      `ceiling: echo of pages of ${PAGE}`,
      runs.map((run) => run.ceiling),
    ),
    row(
      "pages, leader",
      runs.map((run) => run.leader),
    ),
    row(
      "pages, follower",
      runs.map((run) => run.follower),
    ),
    row(
      `count_only of ${KEYS}`,
      runs.map((run) => run.counts),
    ),
  ];
}
