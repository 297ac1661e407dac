/** HTTP requests: valid ones, put together at random from what matters to this server, damaged. */
import type { Prng } from "../../src/lib/random.ts";
import type { Mutator } from "./mutator.ts";

export interface RandomRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "QUERY"];
const PATHS = [
  "/keys/",
  "/v1/kv/",
  "/livez",
  "/readyz",
  "/version",
  "/v1/status",
  "/",
  "*",
  "/v1/",
];
const KEYS = [
  ["k", "a/b", "k/", "//", "..", "%2e%2e/", "%2F", "%00", "%ff", "%C3%A9", "%zz", "%", "%4"],
  ["__proto__", "constructor", "k;x=1", "k#f", "k".repeat(1_025), "%41".repeat(2_600), "", "*"],
].flat();
const PARAMS = [
  ["version", "timeout", "prev", "strict", "raw", "revision", "consistency", "max_stale"],
  ["min_revision", "wait", "verbose", "ttl", "__proto__", "constructor", "x", ""],
].flat();
const VALUES = [
  ["0", "1", "2", "-1", "1e3", "9007199254740991", "9007199254740992", "1".repeat(40), "0x1"],
  ["true", "false", "stale", "linearizable", "5s", "1ms", "0s", "1h", "", "%ff", "+1", "NaN"],
].flat();
const HEADERS = [
  ["content-type", "content-encoding", "content-length", "transfer-encoding", "accept", "te"],
  ["if-match", "if-none-match", "if-modified-since", "range", "expect", "connection", "upgrade"],
  ["request-id", "idempotency-key", "quorate-consistency", "quorate-timeout", "cookie", "host"],
  ["quorate-min-revision", "quorate-max-stale", "__proto__", "constructor", "x-http-method"],
].flat();
const HEADER_VALUES = [
  ["application/json", "application/json\t; charset=utf-8", "application/json;charset=utf-16"],
  ["text/plain", "application/octet-stream", "*/*", "multipart/form-data; boundary=x", "gzip"],
  ['"1"', 'W/"2"', '"1", "2"', "*", '""', '"', "100-continue", "chunked", "identity, chunked"],
  ["bytes=0-1", "close", "keep-alive, Upgrade", "h2c", "websocket", "x".repeat(300), "a\u00ffb"],
  ["0", "5", "-1", "1e9", "99999999999999999999", "0x10", "+5", "5, 5"],
].flat();
const BODIES = [
  ['{"value":"v"}', '{"value":"dg==","encoding":"base64"}', '{"value":"v","version":1}'],
  ['{"value":1}', "{}", "[]", "null", '"v"', "", " ", "{", '{"value":"v"}{"value":"w"}'],
  ['{"__proto__":{"value":"v"}}', '{"constructor":{"prototype":{"x":1}},"value":"v"}'],
  ['{"value":"\\ud800"}', '{"value":"v","ttl":1}', '{"value":"v","version":1e400}'],
  ['{"value":"v","value":"w"}', `${"[".repeat(5_000)}`, `{"value":${'{"a":'.repeat(2_000)}`],
].flat();

export function randomRequest(mutator: Mutator): RandomRequest {
  const { random } = mutator;
  const body = random.chance(60) ? random.pick(BODIES) : "";
  return {
    method: random.pick(random.chance(80) ? METHODS.slice(0, 4) : METHODS),
    path: randomPath(random),
    headers: randomHeaders(random),
    body: random.chance(30) ? mutated(mutator, body) : body,
  };
}

function randomPath(random: Prng): string {
  const place = random.pick(random.chance(75) ? PATHS.slice(0, 2) : PATHS);
  const key = random.pick(random.chance(80) ? KEYS.slice(0, 3) : KEYS);
  const count = random.chance(80) ? 0 : random.between(1, 3);
  const query = Array.from(
    { length: count },
    () => `${random.pick(PARAMS)}=${random.pick(VALUES)}`,
  );
  return `${place}${key}${query.length > 0 ? "?" : ""}${query.join("&")}`;
}

function randomHeaders(random: Prng): (readonly [string, string])[] {
  const count = random.chance(70) ? 0 : random.between(1, 4);
  const headers = Array.from(
    { length: count },
    () => [random.pick(HEADERS), random.pick(HEADER_VALUES)] as const,
  );
  return random.chance(60) ? [["content-type", "application/json"], ...headers] : headers;
}

function mutated(mutator: Mutator, text: string): string {
  const other = Buffer.from(mutator.random.pick(BODIES), "latin1");
  return Buffer.from(mutator.bytes(Buffer.from(text, "latin1"), other)).toString("latin1");
}

/** The request as bytes, its body whole or in chunks, and then perhaps damaged. */
export function rawRequest(mutator: Mutator, request: RandomRequest): Uint8Array {
  const { random } = mutator;
  const { method, path, body } = request;
  const isChunked = random.chance(30);
  const framing = isChunked ? "transfer-encoding: chunked" : `content-length: ${body.length}`;
  const lines = request.headers.map(([name, value]) => `${name}: ${value}`);
  const head = [
    `${method} ${path} HTTP/1.${random.pick([1, 1, 1, 0])}`,
    "host: x",
    framing,
    ...lines,
  ];
  const text = `${head.join("\r\n")}\r\n\r\n${isChunked ? chunked(random, body) : body}`;
  const bytes = Buffer.from(text, "latin1");
  return random.chance(50)
    ? mutator.bytes(bytes, Buffer.from("GET /livez HTTP/1.1\r\n\r\n"))
    : bytes;
}

function chunked(random: Prng, body: string): string {
  const parts: string[] = [];
  for (let at = 0; at < body.length; ) {
    const part = body.slice(at, at + random.between(1, 40));
    const extension = random.chance(10) ? ";x=1" : "";
    parts.push(`${part.length.toString(16)}${extension}\r\n${part}\r\n`);
    at += part.length;
  }
  const trailer = random.chance(10) ? "content-type: text/plain\r\n" : "";
  const last = random.pick(["0", "0", "0", "-1", "ffffffffffffffff"]);
  return `${parts.join("")}${last}\r\n${trailer}\r\n`;
}
