/**
 * `node bench/backup.ts`: for how long a backup holds the event loop of the node that serves it,
 * while others write at full speed, beside the same writes without a backup. `MEGABYTES` says how
 * large the state is (1000, in values of 1 KB), `SECONDS` how long to write without a backup,
 * `NODES` of how many there are (3). A last backup is restored then, and must have the hash that
 * the cluster had.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { SnapshotScanner } from "../src/storage/snapshot-format.ts";
import { type BenchCluster, residentMiB, startCluster } from "./cluster.ts";
import { load, putOf } from "./load.ts";
import { type LoopDelay, loopDelayOf, withLoopDelay } from "./loop-delay.ts";

const MEGABYTES = Number(process.env["MEGABYTES"] ?? 1_000);
const SECONDS = Number(process.env["SECONDS"] ?? 10);
const NODES = Number(process.env["NODES"] ?? 3);
const PORT = 24_101;
/** Of the node that is restored: the cluster has the six before. */
const RESTORED_PORT = PORT + 6;
/** To load a state of gigabytes, on a busy machine. */
const READY_MS = 120_000;
const POLL_MS = 50;
const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const VALUE = "x".repeat(1_000);
const KEYS_PER_MEGABYTE = 1_000;
/** As many as a transaction takes. */
const KEYS_PER_TXN = 125;
const FILLERS = 4;
/** On a busy machine another node comes to lead now and then: for a minute, all told. */
const FILL_ATTEMPTS = 600;
/** Where the disk does not keep up, the leader takes no more for a while. */
const FILL_PAUSE_MS = 100;
const WRITERS = 64;

/** One row of the table. Times in milliseconds. */
interface Row extends LoopDelay {
  readonly what: string;
  readonly seconds: number;
  readonly writesPerSecond: number;
  readonly writeP99: number;
  readonly memoryMiB: number;
}

/** What fails is tried again: to put the same keys twice does no harm. */
async function fill(url: string): Promise<void> {
  const pool = new Pool(url, { connections: FILLERS });
  const total = MEGABYTES * KEYS_PER_MEGABYTE;
  let next = 0;
  const filler = async () => {
    while (next < total) {
      const from = next;
      next += KEYS_PER_TXN;
      const keys = Array.from({ length: KEYS_PER_TXN }, (_, at) => `fill/${from + at}`);
      const success = keys.map((key) => ({ put: { key, value: VALUE } }));
      const body = JSON.stringify({ success });
      const headers = { "content-type": "application/json" };
      for (let left = FILL_ATTEMPTS; ; left--) {
        const answer = await pool.request({ method: "POST", path: "/v1/txn", headers, body });
        const text = await answer.body.text();
        if (answer.statusCode === 200) break;
        if (left === 1) throw new Error(text);
        await sleep(FILL_PAUSE_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: FILLERS }, filler));
  await pool.close();
}

interface Copy {
  readonly revision: string;
  readonly bytes: number;
  readonly seconds: number;
}

/** Receives a backup into a file, and checks it. */
async function backUp(url: string, file: string): Promise<Copy> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/admin/backup`);
  if (!response.ok || response.body === null) throw new Error(await response.text());
  const scanner = new SnapshotScanner();
  const handle = await open(file, "w");
  let bytes = 0;
  for await (const piece of response.body) {
    scanner.push(piece);
    await handle.writeFile(piece);
    bytes += piece.length;
  }
  scanner.finish();
  await handle.close();
  const revision = response.headers.get("quorate-revision") ?? "";
  return { revision, bytes, seconds: (performance.now() - startedAt) / 1_000 };
}

/** The hash of all that there was at a revision. */
async function hashAt(url: string, revision: string): Promise<string> {
  const response = await fetch(`${url}/v1/admin/hash?revision=${revision}&timeout=60s`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return String((JSON.parse(text) as { hash: unknown }).hash);
}

/** Makes a cluster of one out of the file, and returns its hash at the revision. */
async function hashRestored(file: string, folder: string, revision: string): Promise<string> {
  const peerUrl = `http://127.0.0.1:${RESTORED_PORT + 1}`;
  const flags = ["--name", "n1", "--data-dir", join(folder, "restored")];
  flags.push("--initial-cluster", `n1=${peerUrl}`);
  const restore = spawn(process.execPath, [MAIN, "restore", file, ...flags], { stdio: "inherit" });
  const [code] = (await once(restore, "exit")) as [number | null];
  if (code !== 0) throw new Error(`restore ended with ${code}`);
  const listen = ["--client-listen", `127.0.0.1:${RESTORED_PORT}`, "--log-level", "warn"];
  listen.push("--peer-listen", `127.0.0.1:${RESTORED_PORT + 1}`);
  const node = spawn(process.execPath, [MAIN, "serve", ...flags, ...listen], { stdio: "inherit" });
  try {
    const url = `http://127.0.0.1:${RESTORED_PORT}`;
    const end = performance.now() + READY_MS;
    while (!(await isReady(url))) {
      if (performance.now() > end) throw new Error("the restored node did not become ready");
      await sleep(POLL_MS);
    }
    return await hashAt(url, revision);
  } finally {
    const ended = once(node, "exit");
    if (node.kill("SIGKILL")) await ended;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.text();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

/** Writes through the leader for as long as `during` takes, in rounds of a second. */
async function underWrites(leader: string, during: Promise<unknown>) {
  let isOver = false;
  let writers = 0;
  const ended = during.finally(() => {
    isOver = true;
  });
  const rounds = [];
  while (!isOver) {
    const request = () => putOf(`busy/${writers++}`, VALUE);
    rounds.push(await load({ urls: [leader], connections: WRITERS, seconds: 1, request }));
  }
  await ended;
  const errors = rounds.reduce((sum, round) => sum + round.errors, 0);
  if (errors > 0) throw new Error(`${errors} writes failed`);
  const sum = rounds.reduce((all, { perSecond }) => all + perSecond, 0);
  return { perSecond: sum / rounds.length, p99: Math.max(...rounds.map(({ p99 }) => p99)) };
}

/** Prints the table. */
async function measure(cluster: BenchCluster, file: string): Promise<void> {
  const [leader = ""] = cluster.urls;
  const rows: Row[] = [];
  const row = async (what: string, at: number, during: () => Promise<unknown>) => {
    const pid = cluster.pids[at] ?? 0;
    await loopDelayOf(pid, dirname(file));
    const startedAt = performance.now();
    const writes = await underWrites(leader, during());
    rows.push({
      what,
      seconds: Math.round((performance.now() - startedAt) / 100) / 10,
      ...(await loopDelayOf(pid, dirname(file))),
      writesPerSecond: Math.round(writes.perSecond),
      writeP99: writes.p99,
      memoryMiB: residentMiB(pid),
    });
  };
  const pause = () => sleep(SECONDS * 1_000);
  const copy = (url: string) => async () => {
    const made = await backUp(url, file);
    console.log(`a backup of ${Math.round(made.bytes / 1e6)} MB in ${made.seconds.toFixed(1)} s`);
  };
  await row("the leader, only writes", 0, pause);
  await row("the leader, with a backup of it", 0, copy(leader));
  const [, follower] = cluster.urls;
  if (follower !== undefined) {
    await row("a follower, only writes", 1, pause);
    await row("a follower, with a backup of it", 1, copy(follower));
  }
  console.table(rows);
}

const folder = mkdtempSync(join(tmpdir(), "quorate-bench-"));
Object.assign(process.env, withLoopDelay(folder));
const cluster = await startCluster(PORT, NODES);
try {
  console.log(`filling ${MEGABYTES} MB`);
  await fill(cluster.urls[0] ?? "");
  const file = join(folder, "backup");
  await measure(cluster, file);
  // Once more, when nobody writes: the history of those before may be gone by now.
  const [leader = ""] = cluster.urls;
  const { revision } = await backUp(leader, file);
  const expected = await hashAt(leader, revision);
  await cluster.stop();
  const found = await hashRestored(file, folder, revision);
  if (found !== expected) throw new Error(`restored: hash ${found}, and ${expected} before`);
  console.log(`restored at revision ${revision}: the hash is equal, ${found}`);
} finally {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}
