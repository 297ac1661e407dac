/** HTTP requests: valid ones, put together at random from what matters to this server, damaged. */
import type { Prng } from "../../src/lib/random.ts";
import type { Mutator } from "./mutator.ts";

export interface RandomRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Where a request goes, what it may say there, and whether that begins a stream of events. */
interface Route {
  readonly methods: readonly string[];
  /** A key, an id or a name follows where it ends with a slash. */
  readonly path: string;
  readonly params: readonly string[];
  readonly bodies: readonly string[];
}

const ANY_METHOD = ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "QUERY"];
const READ = ["consistency", "max_stale", "min_revision", "timeout"];
const WAIT = ["wait", "since"];
const WRITE = ["version", "ttl", "lease", "prev", "timeout"];
const LIST = [
  ["prefix", "start", "end", "limit", "cursor", "reverse", "delimiter", "keys_only", "count_only"],
  ["since", "revision", "wait"],
].flat();
const WATCH = ["key", "prefix", "since", "initial", "events", "prev"];
const VALUE_BODIES = [
  ['{"value":"v"}', '{"value":"dg==","encoding":"base64"}', '{"value":"v","version":1}'],
  ['{"value":"\\ud800"}', '{"value":"v","ttl":1}', '{"value":"v","version":1e400}'],
  ['{"value":"v","lease":7}', '{"value":"v","ttl":"keep"}', '{"value":"7"}'],
].flat();
const TXN_BODIES = [
  '{"compare":[{"key":"k","version":1}],"success":[{"put":{"key":"k","value":"v"}}]}',
  '{"compare":[{"key":"k","value":"v","op":"<"}],"success":[{"get":{"prefix":"a"}}]}',
  '{"success":[{"delete":{"key":"k","prev":true}},{"delete_prefix":{"prefix":"a"}}]}',
  '{"success":[{"increment":{"key":"n","by":2}}],"failure":[{"get":{"key":"k"}}]}',
  '{"compare":[{"key":"aw==","key_encoding":"base64","exists":true}],"success":[]}',
  '{"success":[{"put":{"key":"a","value":"v","lease":7}},{"put":{"key":"a","value":"v"}}]}',
];
const ROUTES: readonly Route[] = [
  {
    methods: ["GET", "GET", "PUT", "POST", "DELETE", "HEAD"],
    path: "/keys/",
    params: [...READ, ...WAIT, ...WRITE, "strict"],
    bodies: VALUE_BODIES,
  },
  {
    methods: ["GET", "GET", "PUT", "POST", "DELETE", "HEAD"],
    path: "/v1/kv/",
    params: [...READ, ...WAIT, ...WRITE, "raw", "revision"],
    bodies: VALUE_BODIES,
  },
  {
    methods: ["POST"],
    path: "/v1/kv/n/increment",
    params: ["timeout"],
    bodies: ["{}", '{"by":2}', '{"by":-1,"initial":5}', '{"by":9007199254740991}'],
  },
  {
    methods: ["GET", "GET", "GET", "DELETE", "HEAD"],
    path: "/v1/kv",
    params: [...READ, ...LIST, "all"],
    bodies: [""],
  },
  { methods: ["POST"], path: "/v1/txn", params: ["timeout", "fail"], bodies: TXN_BODIES },
  {
    methods: ["POST"],
    path: "/v1/batch/get",
    params: [...READ, "revision"],
    bodies: ['{"keys":["k","a/b"]}', '{"keys":[{"key":"aw==","encoding":"base64"}]}'],
  },
  {
    methods: ["POST"],
    path: "/v1/leases",
    params: ["timeout"],
    bodies: ['{"ttl":0.1}', '{"ttl":"0.5","id":7}', '{"ttl":1e300}'],
  },
  {
    methods: ["GET", "PUT", "DELETE"],
    path: "/v1/leases/",
    params: ["timeout", "keys"],
    bodies: [""],
  },
  {
    methods: ["GET", "POST", "PUT", "DELETE"],
    path: "/v1/locks/",
    params: ["timeout", "token"],
    bodies: [
      '{"owner":"a","ttl":0.1}',
      '{"owner":"b","ttl":0.2,"wait":0.01}',
      '{"token":3,"ttl":1}',
    ],
  },
  {
    methods: ["GET"],
    path: "/livez",
    params: ["verbose"],
    bodies: [""],
  },
  { methods: ["GET"], path: "/readyz", params: ["verbose"], bodies: [""] },
  { methods: ["GET"], path: "/v1/status", params: [], bodies: [""] },
  { methods: ANY_METHOD, path: "/", params: ["x"], bodies: [""] },
  { methods: ["OPTIONS", "GET"], path: "*", params: [], bodies: [""] },
];
/** Their answers have no end: only for who goes away. */
const STREAMS: readonly Route[] = [
  { methods: ["GET"], path: "/v1/watch", params: [...READ, ...WATCH], bodies: [""] },
];
const NAMES = [
  ["k", "a/b", "n", "k/", "7", "//", "..", "%2e%2e/", "%2F", "%00", "%ff", "%C3%A9", "%zz", "%"],
  ["__proto__", "constructor", "k;x=1", "k#f", "k".repeat(1_025), "%41".repeat(2_600), "", "*"],
].flat();
const VALUES = [
  ["0", "1", "2", "-1", "1e3", "9007199254740991", "9007199254740992", "1".repeat(40), "0x1"],
  ["true", "false", "stale", "linearizable", "20ms", "1ms", "0s", "1h", "", "%ff", "+1", "NaN"],
  ["k", "a", "%2F", "put,delete", "expire", "keep", "0.1", "409", "AQAAAAAA", "%ED%A0%80"],
].flat();
/** What is right for a parameter, so that not everything is refused by its parameters. */
const FITTING: Readonly<Record<string, readonly string[]>> = {
  consistency: ["stale", "linearizable"],
  max_stale: ["20ms", "1h"],
  timeout: ["20ms", "1s"],
  wait: ["0s", "5ms"],
  ttl: ["0.1", "keep"],
  delimiter: ["%2F"],
  events: ["put", "put,delete,expire"],
  key: ["k", "%FF", "%00"],
  prefix: ["", "a", "k"],
  start: ["a"],
  end: ["z"],
  fail: ["409"],
  lease: ["7"],
};
const HEADERS = [
  ["content-type", "content-encoding", "content-length", "transfer-encoding", "te", "prefer"],
  ["if-match", "if-none-match", "if-modified-since", "range", "expect", "connection", "upgrade"],
  ["request-id", "idempotency-key", "quorate-forward", "cookie", "host", "last-event-id"],
  ["quorate-timeout-ms", "__proto__", "constructor", "x-http-method"],
].flat();
const HEADER_VALUES = [
  ["application/json", "application/json\t; charset=utf-8", "application/json;charset=utf-16"],
  ["text/plain", "application/octet-stream", "*/*", "multipart/form-data; boundary=x", "gzip"],
  ['"1"', 'W/"2"', '"1", "2"', "*", '""', '"', "100-continue", "chunked", "identity, chunked"],
  ["bytes=0-1", "close", "keep-alive, Upgrade", "h2c", "websocket", "x".repeat(300), "a\u00ffb"],
  ["0", "5", "-1", "1e9", "99999999999999999999", "0x10", "+5", "5, 5", "never"],
].flat();
const BODIES = [
  ['{"value":1}', "{}", "[]", "null", '"v"', "", " ", "{", '{"value":"v"}{"value":"w"}'],
  ['{"__proto__":{"value":"v"}}', '{"constructor":{"prototype":{"x":1}},"value":"v"}'],
  ['{"value":"v","value":"w"}', `${"[".repeat(5_000)}`, `{"value":${'{"a":'.repeat(2_000)}`],
  [`{"success":[${"1,".repeat(5_000)}1]}`, `{"keys":[${'"k",'.repeat(2_000)}"k"]}`],
].flat();

/** A request; one that begins a stream of events only where `streams` says so. */
export function randomRequest(mutator: Mutator, streams: "none" | "some" = "none"): RandomRequest {
  const { random } = mutator;
  const route = random.pick(streams === "some" && random.chance(10) ? STREAMS : ROUTES);
  const path = randomPath(random, route);
  const body = random.chance(75) ? random.pick(route.bodies) : random.pick(BODIES);
  return {
    method: random.pick(random.chance(90) ? route.methods : ANY_METHOD),
    path,
    headers: randomHeaders(random, path),
    body: random.chance(25) ? mutated(mutator, body) : body,
  };
}

function randomPath(random: Prng, { path, params }: Route): string {
  const isNamed = path.endsWith("/");
  const name = isNamed ? random.pick(random.chance(80) ? NAMES.slice(0, 5) : NAMES) : "";
  const count = random.chance(50) ? 0 : random.between(1, 3);
  const query = Array.from({ length: count }, () => randomParam(random, params));
  return `${path}${name}${query.length > 0 ? "?" : ""}${query.join("&")}`;
}

function randomParam(random: Prng, params: readonly string[]): string {
  if (params.length === 0 || random.chance(10)) {
    return `${random.pick(["x", "", "__proto__", "constructor", "Version"])}=1`;
  }
  const name = random.pick(params);
  const values = random.chance(70) ? FITTING[name] : undefined;
  return `${name}=${random.pick(values ?? VALUES)}`;
}

function randomHeaders(random: Prng, path: string): (readonly [string, string])[] {
  const count = random.chance(70) ? 0 : random.between(1, 4);
  const headers = Array.from(
    { length: count },
    () => [random.pick(HEADERS), random.pick(HEADER_VALUES)] as const,
  );
  // What waits for the future must not be waited for.
  const isTimed = path.includes("timeout=") || !/min_revision|cursor|wait/.test(path);
  const timed = isTimed ? [] : [["quorate-timeout-ms", "50"] as const];
  const typed = random.chance(80) ? [["content-type", "application/json"] as const] : [];
  return [...typed, ...timed, ...headers];
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
