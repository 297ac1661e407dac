/** One client, one request at a time: what a single caller waits for. */
import { Client } from "undici";
import { percentile } from "./median.ts";

/** Milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

const VALUE = "x".repeat(256);
/** Until the compilers have seen it all. */
const WARM_UP = 2_000;

/** Writes `count` times, one after another, and measures each. */
export async function writeLatency(url: string, count: number): Promise<Latency> {
  const client = new Client(url);
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + count; i++) {
    const startedAt = performance.now();
    const { statusCode, body } = await client.request({
      method: "PUT",
      path: `/v1/kv/bench/one-${i % 100}`,
      headers: { "content-type": "application/octet-stream" },
      body: VALUE,
    });
    await body.dump();
    if (statusCode >= 300) throw new Error(`a write was answered ${statusCode}`);
    if (i >= WARM_UP) times.push(performance.now() - startedAt);
  }
  await client.close();
  return { p50: percentile(times, 50), p99: percentile(times, 99) };
}
