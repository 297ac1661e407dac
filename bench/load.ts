/** Closed-loop load: so many connections, each with one request at a time. */
import autocannon from "autocannon";

/** What one run measured. Times in milliseconds. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
}

export interface LoadOptions {
  /** The connections are spread over these evenly. */
  readonly urls: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  readonly method: "GET" | "PUT";
}

const VALUE = "x".repeat(256);

/** Runs the load and adds up what all connections saw. Every connection has a key of its own. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { urls, connections, seconds, method } = options;
  const used = urls.slice(0, connections);
  const results = await Promise.all(
    used.map((url, at) =>
      autocannon({
        url,
        connections: Math.floor((connections + used.length - 1 - at) / used.length),
        duration: seconds,
        setupClient: (client) => client.setRequests([requestFor(method, nextKey())]),
      }),
    ),
  );
  const errors = results.reduce((sum, each) => sum + each.errors + each.non2xx, 0);
  const perSecond = results.reduce((sum, each) => sum + each.requests.average, 0);
  const p50 = Math.max(...results.map((each) => each.latency.p50));
  const p99 = Math.max(...results.map((each) => each.latency.p99));
  return { perSecond: Math.round(perSecond), p50, p99, errors };
}

function requestFor(method: "GET" | "PUT", key: string): autocannon.Request {
  const request = { method, path: `/v1/kv/bench/${key}` };
  if (method === "GET") return request;
  return { ...request, body: VALUE, headers: { "content-type": "application/octet-stream" } };
}

const KEYS = 256;
let keys = 0;

function nextKey(): string {
  keys = (keys + 1) % KEYS;
  return `key-${keys}`;
}
