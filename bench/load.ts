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
  /** What a connection sends again and again. Called once for each. */
  readonly request: () => autocannon.Request;
}

const VALUE = "x".repeat(256);

/** Runs the load and adds up what all connections saw. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { urls, connections, seconds, request } = options;
  const used = urls.slice(0, connections);
  const results = await Promise.all(
    used.map((url, at) =>
      autocannon({
        url,
        connections: Math.floor((connections + used.length - 1 - at) / used.length),
        duration: seconds,
        setupClient: (client) => client.setRequests([request()]),
      }),
    ),
  );
  const errors = results.reduce((sum, each) => sum + each.errors + each.non2xx, 0);
  const perSecond = results.reduce((sum, each) => sum + each.requests.average, 0);
  const p50 = Math.max(...results.map((each) => each.latency.p50));
  const p99 = Math.max(...results.map((each) => each.latency.p99));
  return { perSecond: Math.round(perSecond), p50, p99, errors };
}

/** Reads a key of its own. */
export function get(): autocannon.Request {
  return { method: "GET", path: `/v1/kv/bench/${nextKey()}` };
}

/** Writes a key of its own. */
export function put(): autocannon.Request {
  return putOf(`bench/${nextKey()}`, VALUE);
}

/** Writes one key. */
export function putOf(key: string, value: string): autocannon.Request {
  const headers = { "content-type": "application/octet-stream" };
  return { method: "PUT", path: `/v1/kv/${key}`, body: value, headers };
}

/** A transaction of a compare and four operations, with keys of its own. */
export function txn(): autocannon.Request {
  const [one, other] = [`bench/${nextKey()}`, `bench/${nextKey()}/other`];
  const body = {
    compare: [{ key: one, op: ">", version: 0 }],
    success: [
      { put: { key: one, value: VALUE } },
      { put: { key: other, value: VALUE } },
      { get: { key: `${one}/none` } },
      { increment: { key: `${one}/count` } },
    ],
    failure: [{ put: { key: one, value: VALUE } }],
  };
  return postOf("/v1/txn", body);
}

/** A POST of JSON. */
export function postOf(path: string, body: unknown): autocannon.Request {
  const headers = { "content-type": "application/json" };
  return { method: "POST", path, body: JSON.stringify(body), headers };
}

const KEYS = 256;
let keys = 0;

function nextKey(): string {
  keys = (keys + 1) % KEYS;
  return `key-${keys}`;
}
