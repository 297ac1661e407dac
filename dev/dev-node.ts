/** One node of `make run`: its process, and its lines on this terminal. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

export interface DevNodeOptions {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly dataDir: string;
  /** Prints one line. */
  readonly print: (line: string) => void;
  /** The process has ended, and nobody here wanted that. */
  readonly onLost: (how: string) => void;
}

/** Where a node without data comes from: it joins, or founds the cluster. Null: it has data. */
export type Membership = { readonly join: string } | { readonly founders: string } | null;

export class DevNode {
  readonly name: string;
  readonly url: string;
  readonly #options: DevNodeOptions;
  #process: ChildProcess | null = null;
  #isWanted = false;

  constructor(options: DevNodeOptions) {
    this.name = options.name;
    this.url = `http://127.0.0.1:${options.clientPort}`;
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** Throws, in one line, where a port is taken. */
  async start(membership: Membership): Promise<void> {
    const { name, clientPort, peerPort, dataDir, print } = this.#options;
    await checkFree(clientPort);
    await checkFree(peerPort);
    const settings = {
      name,
      "data-dir": dataDir,
      "client-listen": `127.0.0.1:${clientPort}`,
      "peer-listen": `127.0.0.1:${peerPort}`,
      ...settingOf(membership),
      "log-format": "pretty",
    };
    const flags = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, value]);
    const args = ["--import", "./dev/with-parent.ts", "src/main.ts", "serve", ...flags];
    // In a group of its own: Ctrl-C is for the one who started it, who then ends all in order.
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    this.#isWanted = true;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", print);
    }
    child.once("exit", (code, signal) => {
      this.#process = null;
      if (this.#isWanted) this.#options.onLost(signal ?? `exit code ${code}`);
    });
  }

  /** As a power failure would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** In good order. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    this.#isWanted = false;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

function settingOf(membership: Membership): Readonly<Record<string, string>> {
  if (membership === null) return {};
  if ("join" in membership) return { join: membership.join };
  return { "initial-cluster": membership.founders };
}

/** Throws, in one line, where something listens on the port. */
async function checkFree(port: number): Promise<void> {
  const server = createServer();
  const free = once(server, "listening");
  server.listen(port, "127.0.0.1");
  try {
    await free;
  } catch (cause) {
    throw new Error(`port ${port} is taken: end what listens there (lsof -i :${port})`, { cause });
  }
  server.close();
  await once(server, "close");
}
