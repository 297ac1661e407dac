/** `make run`: a cluster of three on this machine, until Ctrl-C. `make start` etc. talk to it. */
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createColors } from "picocolors";
import { serveControl } from "./control.ts";
import { DevNode } from "./dev-node.ts";

const NAMES = ["n1", "n2", "n3"];
/** Colours are for people: picocolors would also use them where the variable CI is set. */
const colors = createColors(process.stdout.isTTY === true);
const COLORS = [colors.cyan, colors.magenta, colors.yellow];
const POLL_MS = 100;

const [folder = "", clientPort, peerPort] = process.argv.slice(2);
const ports = NAMES.map((_, at) => ({
  clientPort: Number(clientPort) + at,
  peerPort: Number(peerPort) + at,
}));
const members = ports.map((own, at) => `${NAMES[at]}=http://127.0.0.1:${own.peerPort}`);
const cluster = members.join(",");
const nodes = ports.map((own, at) => {
  const name = NAMES[at] ?? "";
  const prefix = (COLORS[at] ?? String)(`${name} |`);
  const print = (line: string) => console.log(`${prefix} ${line}`);
  const onLost = (how: string) => {
    if (isReady) print(colors.red(`ended: ${how}. Bring it back with: make start NODE=${name}`));
    else void end(`${name} could not start: see its last line`);
  };
  return new DevNode({ name, ...own, dataDir: `${folder}/${name}`, cluster, print, onLost });
});
let isReady = false;
let isEnding = false;

process.on("SIGINT", () => void end());
process.on("SIGTERM", () => void end());
process.on("SIGHUP", () => void end());
try {
  mkdirSync(folder, { recursive: true });
  const control = await serveControl(folder, answer);
  control.unref();
  for (const node of nodes) await node.start();
} catch (error) {
  await end((error as Error).message);
}
await ready();

/** Ends all three, then this. With a complaint, the exit code is 1. */
async function end(complaint?: string): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  await Promise.all(nodes.map((node) => node.stop()));
  if (complaint !== undefined) console.error(colors.red(`make run: ${complaint}`));
  process.exit(complaint === undefined ? 0 : 1);
}

async function ready(): Promise<void> {
  let leader = await leaderNow();
  while (leader === null || !(await areAllReady())) {
    await sleep(POLL_MS);
    leader = await leaderNow();
  }
  isReady = true;
  console.log(
    colors.green(`
The cluster is ready; ${leader.name} leads. Its data is in ${folder}. In another terminal:

  curl --json '{"value":"hello"}' ${nodes[0]?.url}/keys/greeting/
  curl ${nodes[1]?.url}/keys/greeting/
  make kill-leader
  make start NODE=${leader.name}

Ctrl-C here ends it.
`),
  );
}

/** What `make kill-leader` and `make start` say. */
async function answer(line: string): Promise<string> {
  if (line === "kill-leader") return killLeader();
  const name = /^start (\S+)$/.exec(line)?.[1];
  return name === undefined ? `no: nobody knows how to ${line}` : start(name);
}

async function killLeader(): Promise<string> {
  const leader = await leaderNow();
  if (leader === null) return "no: nobody leads now; try again in a second";
  await leader.kill();
  const { name } = leader;
  return `${name} led, and was killed with kill -9. Bring it back: make start NODE=${name}`;
}

async function start(name: string): Promise<string> {
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) return `no: NODE must be one of ${NAMES.join(", ")}`;
  if (node.isRunning) return `no: ${name} is running`;
  try {
    await node.start();
  } catch (error) {
    return `no: ${(error as Error).message}`;
  }
  return `${name} is starting again, with the data it had`;
}

async function areAllReady(): Promise<boolean> {
  const answers = await Promise.all(nodes.map((node) => get(`${node.url}/readyz`)));
  return answers.every((response) => response?.ok === true);
}

/** The running node that says it leads. */
async function leaderNow(): Promise<DevNode | null> {
  for (const node of nodes) {
    if (!node.isRunning) continue;
    const status = (await (await get(`${node.url}/v1/status`))?.json()) as
      | { role?: string }
      | undefined;
    if (status?.role === "leader") return node;
  }
  return null;
}

/** Null: there was no answer. */
function get(url: string): Promise<Response | null> {
  return fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
}
