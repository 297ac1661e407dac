/** A client of the simple routes, for tests. */
import { type Dispatcher, request } from "undici";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The JSON object that came, or an empty one. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface CallOptions {
  readonly method?: Dispatcher.HttpMethod;
  readonly body?: unknown;
  readonly dispatcher?: Dispatcher;
  readonly headers?: Record<string, string>;
  /** Ten seconds, unless it says otherwise. */
  readonly timeoutMs?: number;
}

/** The answer, whatever its status. Rejects where there is none in time. */
export async function call(url: string, options: CallOptions = {}): Promise<Reply> {
  const { method = "GET", body, dispatcher, headers = {}, timeoutMs = 10_000 } = options;
  const response = await request(url, {
    method,
    headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
    ...(dispatcher !== undefined && { dispatcher }),
  });
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers,
    body: text === "" ? {} : (JSON.parse(text) as Reply["body"]),
  };
}

/** The URL of a key on a node. */
export function keyUrl(node: { readonly url: string }, key: string): string {
  return `${node.url}/keys/${encodeURIComponent(key)}/`;
}

/** Writes, and throws unless that was acknowledged. */
export async function put(node: { url: string }, key: string, value: string): Promise<Reply> {
  const reply = await call(keyUrl(node, key), { method: "POST", body: { value } });
  if (reply.status !== 200) throw new Error(`put ${key}: ${JSON.stringify(reply.body)}`);
  return reply;
}

/** The value by a linearizable read. */
export async function get(node: { url: string }, key: string): Promise<string> {
  const reply = await call(keyUrl(node, key));
  if (reply.status !== 200) throw new Error(`get ${key}: ${JSON.stringify(reply.body)}`);
  return String(reply.body["value"]);
}
