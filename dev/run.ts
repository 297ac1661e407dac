/** `make run`: a cluster on this machine, until Ctrl-C. `make start` etc. talk to it. */
import { setTimeout as sleep } from "node:timers/promises";
import { createColors } from "picocolors";
import { serveControl } from "./control.ts";
import { DevCluster } from "./dev-cluster.ts";

/** Colours are for people: picocolors would also use them where the variable CI is set. */
const colors = createColors(process.stdout.isTTY === true);
const COLORS = [colors.cyan, colors.magenta, colors.yellow, colors.blue, colors.green];
const POLL_MS = 100;

const [folder = "", clientPort, peerPort] = process.argv.slice(2);
let isReady = false;
let isEnding = false;
const cluster = new DevCluster({
  folder,
  clientPort: Number(clientPort),
  peerPort: Number(peerPort),
  print,
  onLost: (name, how) => {
    if (isReady) print(name, colors.red(`ended: ${how}. Bring it back: make start NODE=${name}`));
    else void end(`${name} could not start: see its last line`);
  },
});

process.on("SIGINT", () => void end());
process.on("SIGTERM", () => void end());
process.on("SIGHUP", () => void end());
try {
  const control = await serveControl(folder, answer);
  control.unref();
  await cluster.start();
} catch (error) {
  await end((error as Error).message);
}
await ready();

function print(name: string, line: string): void {
  const color = COLORS[(Number(name.slice(1)) - 1) % COLORS.length] ?? String;
  console.log(`${color(`${name} |`)} ${line}`);
}

/** Ends all nodes, then this. With a complaint, the exit code is 1. */
async function end(complaint?: string): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  await cluster.stop();
  if (complaint !== undefined) console.error(colors.red(`make run: ${complaint}`));
  process.exit(complaint === undefined ? 0 : 1);
}

async function ready(): Promise<void> {
  let leader = await cluster.leader();
  while (leader === null || !(await cluster.areAllReady())) {
    await sleep(POLL_MS);
    leader = await cluster.leader();
  }
  isReady = true;
  const [first, second] = cluster.nodes;
  console.log(
    colors.green(`
The cluster is ready; ${leader.name} leads. Its data is in ${folder}. In another terminal:

  curl --json '{"value":"hello"}' ${first?.url}/keys/greeting/
  curl ${(second ?? first)?.url}/keys/greeting/
  make kill-leader
  make start NODE=${leader.name}
  make add-node

Ctrl-C here ends it.
`),
  );
}

/** What `make kill-leader` and the others say. */
async function answer(line: string): Promise<string> {
  const [command = "", name = ""] = line.split(" ");
  switch (command) {
    case "kill-leader":
      return cluster.killLeader();
    case "start":
      return cluster.startAgain(name);
    case "add-node":
      return cluster.add();
    case "remove-node":
      return cluster.remove(name);
    default:
      return `no: nobody knows how to ${line}`;
  }
}
