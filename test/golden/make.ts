/**
 * Makes the golden data directories of this version: `node test/golden/make.ts v0.1`.
 *
 * Once for each version that is released, and never again: what is kept is what that version has
 * written, and every later one must read it (docs/UPGRADES.md).
 */
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { call } from "../integration/client.ts";
import { until } from "../integration/until.ts";
import { expectedOf, REPEATED } from "./contents.ts";
import { clientUrl, FOUNDERS, GoldenNodes, type GoldenName, KEPT, peerUrl } from "./nodes.ts";

/** No lease ends while somebody makes or reads this: time stands still while no node runs. */
const TTL_S = 24 * 3_600;
/** More than what is kept within a chunk of a snapshot. */
const LARGE = "x".repeat(33 * 1024);
/** The first change has revision 2, so the third value of this key has 4. */
const PAST = { key: "color", revision: 4, value: "blue" } as const;

interface Step {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

function put(key: string, value: string, more: Readonly<Record<string, unknown>> = {}): Step {
  return { method: "PUT", path: `/v1/kv/${key}`, body: { value, ...more } };
}

/** Is in the snapshots. */
const EARLIER: readonly Step[] = [
  ...["red", "green", "blue"].map((value) => put("color", value)),
  ...Array.from({ length: 10 }, (_, at) => put(`many/${at}`, `value ${at}`)),
  put("binary", "gP8A", { encoding: "base64" }),
  put("large", LARGE),
  put("gone", "soon"),
  { method: "DELETE", path: "/v1/kv/gone" },
  { method: "POST", path: "/v1/admin/compact", body: { revision: 3 } },
  { method: "POST", path: "/v1/leases", body: { id: 700, ttl: TTL_S } },
  put("leased", "as long as 700", { lease: 700 }),
  put("ending", "by itself", { ttl: TTL_S }),
  { method: "POST", path: "/v1/locks/deploy", body: { owner: "me", ttl: TTL_S } },
  increment({ "idempotency-key": REPEATED.key }),
];

/** Is in the log behind them: all kinds of commands. */
const LATER: readonly Step[] = [
  put("color", "violet"),
  {
    method: "POST",
    path: "/v1/txn",
    body: {
      compare: [{ key: "many/1", value: "value 1" }],
      success: [
        { put: { key: "many/1", value: "by a transaction" } },
        { increment: { key: "visits", by: 2 } },
        { delete: { key: "many/2" } },
      ],
    },
  },
  { method: "DELETE", path: "/v1/kv?prefix=many/3" },
  increment({}),
  { method: "PUT", path: "/v1/leases/700" },
  { method: "POST", path: "/v1/leases", body: { id: 701, ttl: TTL_S } },
  put("revoked", "with 701", { lease: 701 }),
  { method: "DELETE", path: "/v1/leases/701" },
  put("expired", "soon", { ttl: 1 }),
  { method: "POST", path: "/v1/admin/compact", body: { revision: PAST.revision } },
];

function increment(headers: Record<string, string>): Step {
  return { method: "POST", path: REPEATED.path, body: { by: REPEATED.by }, headers };
}

/** In this order, each when the one before is acknowledged. */
async function carryOut(steps: readonly Step[]): Promise<void> {
  for (const { path, ...request } of steps) await write("n1", path, request);
}

async function write(node: GoldenName, path: string, request: Omit<Step, "path">) {
  const { status, body } = await call(clientUrl(node) + path, request);
  if (status >= 300) throw new Error(`${request.method} ${path}: ${JSON.stringify(body)}`);
  return body;
}

/** n4 joins, and n2 is removed. */
async function replaceMember(nodes: GoldenNodes): Promise<void> {
  nodes.start("n4", { join: clientUrl("n1") });
  await nodes.ready();
  await until("n4 votes", async () => {
    const { body } = await call(`${clientUrl("n4")}/v1/status`);
    return body["voters"] instanceof Array && body["voters"].includes("n4");
  });
  await until("that is through", async () => {
    const { body } = await call(`${clientUrl("n1")}/v1/cluster`);
    return body["changing"] === false;
  });
  await write("n1", "/v1/cluster/members/n2", { method: "DELETE" });
  await nodes.stop("n2");
}

/** Every node that stays has applied the same. */
async function settled(): Promise<void> {
  await until("all have the same", async () => {
    const statuses = await Promise.all(KEPT.map((name) => call(`${clientUrl(name)}/v1/status`)));
    const seen = statuses.map(({ body: { log, voters, digest } }) => {
      return JSON.stringify([log, voters, digest], ["0", "1", "2", "last", "applied", "commands"]);
    });
    return new Set(seen).size === 1;
  });
}

async function make(folder: string, target: string): Promise<void> {
  const nodes = new GoldenNodes(folder);
  try {
    const founders = FOUNDERS.map((name) => `${name}=${peerUrl(name)}`).join(",");
    for (const name of FOUNDERS) nodes.start(name, { "initial-cluster": founders });
    await nodes.ready();
    await carryOut(EARLIER);
    await replaceMember(nodes);
    for (const name of KEPT) await write(name, "/v1/admin/snapshot", { method: "POST" });
    await carryOut(LATER);
    await until("a key has ended by itself", async () => {
      return (await call(`${clientUrl("n1")}/v1/kv/expired`)).status === 404;
    });
    await carryOut([put("last", "of all")]);
    await settled();
    const expected = await expectedOf(clientUrl("n1"), PAST);
    await nodes.stop(...KEPT);
    for (const name of KEPT) {
      // What is not a file of data is the lock of a process that has ended.
      const isData = (path: string) => !basename(path).startsWith("lock-");
      cpSync(join(folder, name), join(target, name), { recursive: true, filter: isData });
    }
    writeFileSync(join(target, "expected.json"), `${JSON.stringify(expected, null, 2)}\n`);
  } finally {
    await nodes.kill();
  }
}

const [version] = process.argv.slice(2);
if (version === undefined || !/^v\d+\.\d+$/.test(version)) {
  throw new Error("name the version, such as v0.1");
}
const target = join(import.meta.dirname, version);
if (existsSync(target)) throw new Error(`${target} is there already: it must not change any more`);
const folder = mkdtempSync(join(tmpdir(), "quorate-golden-"));
try {
  await make(folder, target);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
