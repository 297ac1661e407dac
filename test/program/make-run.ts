/** `make run` as a real process, with data and ports of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../integration/until.ts";

export const ROOT = join(import.meta.dirname, "..", "..");

/** What is missing on this machine to run these tests; null: nothing. */
export const toolMissing =
  ["make", "curl", "bash"].find((tool) => {
    try {
      execFileSync(tool, ["--version"], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  }) ?? null;

export class MakeRun {
  readonly folder: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** All that it printed. */
  output = "";
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  private constructor(about: { folder: string; clientPort: number; peerPort: number }) {
    this.folder = about.folder;
    this.clientPort = about.clientPort;
    this.peerPort = about.peerPort;
    // A group of its own, as a terminal gives it, so that all of it can get a signal.
    const child = spawn("make", ["run", ...this.variables], { cwd: ROOT, detached: true });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    this.exited = once(child, "close").then(([code]) => code as number | null);
  }

  /** Starts it, to end with the test. Three ports in a row from each of these must be free. */
  static async start(given: { clientPort?: number; folder?: string } = {}): Promise<MakeRun> {
    const folder = given.folder ?? mkdtempSync(join(tmpdir(), "quorate-run-"));
    const clientPort = given.clientPort ?? (await threeFreePorts());
    const running = new MakeRun({ folder, clientPort, peerPort: await threeFreePorts() });
    onTestFinished(() => running.#end());
    return running;
  }

  /** What makes another `make` mean this one. */
  get variables(): readonly string[] {
    const { folder, clientPort, peerPort } = this;
    // What is installed is what the tests run with, whatever the time of the lock file.
    const asInstalled = "--assume-old=package-lock.json";
    return [asInstalled, `DIR=${folder}`, `CLIENT_PORT=${clientPort}`, `PEER_PORT=${peerPort}`];
  }

  async ready(): Promise<void> {
    await until("the cluster is ready", () => this.output.includes("is ready"), 30_000);
  }

  /** As a terminal does it: to every process of the group. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, name);
  }

  /** The nodes that run, as the system sees them. */
  nodes(): readonly string[] {
    const all = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
    return all.filter((line) => line.includes("serve") && line.includes(`${this.folder}/n`));
  }

  /** Ends all, whatever has happened, and removes the data. */
  async #end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal("SIGINT");
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The first of three ports in a row that are free. */
async function threeFreePorts(): Promise<number> {
  for (;;) {
    const first = 20_000 + 4 * Math.floor(Math.random() * 3_000);
    const free = await Promise.all([first, first + 1, first + 2].map(isFree));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
