/**
 * Writes at a fixed pace, whether or not the ones before are answered: what waits behind a slow one
 * is measured, too.
 */
import { Pool } from "undici";
import { monotonicMs } from "./clock.ts";
import { percentile } from "./median.ts";

export interface PaceOptions {
  readonly url: string;
  readonly key: string;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Times in milliseconds. */
export interface PaceResult {
  /** Answered with 2xx. */
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  readonly errors: number;
  /** When each was answered, by the revision that it made, on the clock of `monotonicMs`. */
  readonly answeredAt: ReadonlyMap<number, number>;
}

/** So many may be under way at once. */
const CONNECTIONS = 128;

/** Writes for so many seconds, and waits for all answers. A value says when it was due. */
export async function writeAtPace(options: PaceOptions): Promise<PaceResult> {
  const { url, key, perSecond, seconds } = options;
  const pool = new Pool(url, { connections: CONNECTIONS });
  const answeredAt = new Map<number, number>();
  const times: number[] = [];
  let errors = 0;
  const write = async (dueAt: number): Promise<void> => {
    const { statusCode, headers, body } = await pool.request({
      method: "PUT",
      path: `/v1/kv/${key}`,
      headers: { "content-type": "text/plain" },
      body: dueAt.toFixed(3),
    });
    const now = monotonicMs();
    await body.dump();
    if (statusCode >= 300) errors += 1;
    else answeredAt.set(Number(headers["quorate-revision"]), now);
    times.push(now - dueAt);
  };
  const startedAt = monotonicMs();
  const total = perSecond * seconds;
  const writes: Promise<void>[] = [];
  while (writes.length < total) {
    const due = Math.min(total, ((monotonicMs() - startedAt) * perSecond) / 1_000);
    while (writes.length < due) writes.push(write(startedAt + (writes.length * 1_000) / perSecond));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(writes);
  const elapsed = (monotonicMs() - startedAt) / 1_000;
  await pool.close();
  return {
    perSecond: Math.round(answeredAt.size / elapsed),
    p50: percentile(times, 50),
    p99: percentile(times, 99),
    longest: Math.max(...times),
    errors,
    answeredAt,
  };
}
