/** Three nodes on loopback, as processes of their own, with an empty data directory each. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const READY_MS = 20_000;
const POLL_MS = 20;

/** A running cluster of the benchmark. */
export interface BenchCluster {
  /** Client URLs, the leader's first. */
  readonly urls: readonly string[];
  readonly pids: readonly number[];
  /** kill -9 of the leader; resolves when it is gone. */
  killLeader(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a cluster and waits until every node is ready. Uses `ports` to `ports + 5`. */
export async function startCluster(port: number, size = 3): Promise<BenchCluster> {
  const folder = mkdtempSync(join(ROOT, ".bench-"));
  const names = Array.from({ length: size }, (_, at) => `n${at + 1}`);
  const peers = names.map((name, at) => `${name}=http://127.0.0.1:${port + size + at}`).join(",");
  const children = names.map((name, at) => {
    const args = ["serve", "--name", name, "--data-dir", join(folder, name)];
    args.push("--client-listen", `127.0.0.1:${port + at}`);
    args.push("--peer-listen", `127.0.0.1:${port + size + at}`, "--initial-cluster", peers);
    args.push("--log-level", "warn");
    return spawn(process.execPath, [join(ROOT, "src", "main.ts"), ...args], { stdio: "inherit" });
  });
  const urls = names.map((_, at) => `http://127.0.0.1:${port + at}`);
  for (const url of urls) await ready(url);
  const leader = await leaderOf(urls);
  const order = [leader, ...urls.filter((url) => url !== leader)];
  const child = (url: string) => children[urls.indexOf(url)] as ChildProcess;
  return {
    urls: order,
    pids: order.map((url) => child(url).pid ?? 0),
    killLeader: () => end(child(leader), "SIGKILL"),
    stop: async () => {
      await Promise.all(children.map((each) => end(each, "SIGKILL")));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resident memory of a process, in MiB. */
export function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kib) / 1024);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

async function ready(url: string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await isReady(url))) {
    if (performance.now() > deadline) throw new Error(`${url} did not become ready`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

async function leaderOf(urls: readonly string[]): Promise<string> {
  const response = await fetch(`${urls[0]}/keys/bench-probe/`);
  await response.text();
  return response.headers.get("quorate-leader") ?? (urls[0] as string);
}
