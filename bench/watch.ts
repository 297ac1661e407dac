/** Fan-out: one key, and many watchers of it on all nodes. */
import { startServer, cpuSeconds } from "./child.ts";
import type { BenchCluster } from "./cluster.ts";
import { load, putOf } from "./load.ts";
import { median, percentile } from "./median.ts";
import { type PaceResult, writeAtPace } from "./pace.ts";
import { openStreams, type Sample, type Streams, type Taken } from "./streams.ts";

const WATCHERS = 1_000;
const WRITES_PER_SECOND = 1_000;
/** As many as the writes have that are measured without watchers. */
const FLAT_OUT_CONNECTIONS = 64;
const KEY = "bench/watched";
const PATH = `/v1/watch?key=${encodeURIComponent(KEY)}`;
/** For the last events to come. */
const SETTLE_MS = 200;

/** Events are those that watchers were told, all of them counted. Times in milliseconds. */
export interface FanOut {
  readonly writes: number;
  readonly perSecond: number;
  readonly ofNodes: readonly number[];
  readonly mibPerSecond: number;
  /** From the answer of the write to its event; negative: the event came first. */
  readonly fromAnswer: readonly number[];
  /** From when the write was due to its event. */
  readonly fromStart: readonly number[];
  /** Of each node, of the watchers and of the writers: processor time a second. */
  readonly cores: { readonly nodes: number[]; readonly watchers: number; readonly writers: number };
}

export interface FanOutRun {
  readonly ceiling: FanOut;
  readonly paced: FanOut;
  readonly flatOut: FanOut;
}

/** Measures each for so many seconds, one after another. */
export async function fanOut(cluster: BenchCluster, seconds: number): Promise<FanOutRun> {
  const leader = cluster.urls[0] as string;
  const request = () => putOf(KEY, "x".repeat(12));
  const ceiling = await ceilingOf(seconds);
  const pace = { url: leader, key: KEY, perSecond: WRITES_PER_SECOND };
  // The first second only warms everything up.
  await during(cluster, false, () => writeAtPace({ ...pace, seconds: 1 }));
  const paced = await during(cluster, true, () => writeAtPace({ ...pace, seconds }));
  const flatOut = await during(cluster, false, async () => {
    const options = { urls: [leader], connections: FLAT_OUT_CONNECTIONS, seconds, request };
    return { ...(await load(options)), answeredAt: NONE };
  });
  return { ceiling, paced, flatOut };
}

/** A bare server with as many streams, which are given more whenever they take it. */
async function ceilingOf(seconds: number): Promise<FanOut> {
  const { url, child } = await startServer("fan-out-echo.ts");
  const wait = async () => {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    return { perSecond: 0, answeredAt: NONE };
  };
  try {
    const streams = await openStreams({
      urls: [url],
      path: "/",
      count: WATCHERS,
      keepsSamples: false,
    });
    return await measure(streams, [child.pid ?? 0], wait);
  } finally {
    child.kill();
  }
}

const NONE: ReadonlyMap<number, number> = new Map();

type Writes = Pick<PaceResult, "perSecond" | "answeredAt">;

async function during(
  { urls, pids }: BenchCluster,
  keepsSamples: boolean,
  write: () => Promise<Writes>,
): Promise<FanOut> {
  const streams = await openStreams({ urls, path: PATH, count: WATCHERS, keepsSamples });
  return await measure(streams, pids, write);
}

async function measure(
  streams: Streams,
  pids: readonly number[],
  write: () => Promise<Writes>,
): Promise<FanOut> {
  try {
    await streams.take();
    const before = pids.map(cpuSeconds);
    const own = process.cpuUsage();
    const writes = await write();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const taken = await streams.take();
    const { user, system } = process.cpuUsage(own);
    if (taken.lost > 0) throw new Error(`${taken.lost} watchers were cut off`);
    const perSecond = (used: number) => Math.round((100 * used) / taken.seconds) / 100;
    const nodes = pids.map((pid, at) => perSecond(cpuSeconds(pid) - (before[at] ?? 0)));
    const cores = {
      nodes,
      watchers: perSecond(taken.cpu),
      writers: perSecond((user + system) / 1e6),
    };
    return { ...summary(taken, writes), cores };
  } finally {
    streams.close();
  }
}

function summary(taken: Taken, { perSecond, answeredAt }: Writes): Omit<FanOut, "cores"> {
  const { seconds, events, bytes, samples } = taken;
  const ofNodes = events.map((count) => Math.round(count / seconds));
  return {
    writes: perSecond,
    perSecond: ofNodes.reduce((sum, each) => sum + each, 0),
    ofNodes,
    mibPerSecond: Math.round(bytes / seconds / 1024 / 1024),
    fromAnswer: samples.flatMap((sample) => sinceAnswer(sample, answeredAt)),
    fromStart: samples.map(({ seenAt, dueAt }) => seenAt - dueAt),
  };
}

/** Nothing for the writes of others. */
function sinceAnswer({ revision, seenAt }: Sample, answers: ReadonlyMap<number, number>): number[] {
  const answeredAt = answers.get(revision);
  return answeredAt === undefined ? [] : [seenAt - answeredAt];
}

/** A row for each, of the medians of all runs. */
export function fanOutTable(runs: readonly FanOutRun[]): Record<string, unknown>[] {
  const ceiling = median(runs.map((run) => run.ceiling.perSecond));
  const row = (scenario: string, list: readonly FanOut[]) => {
    const middle = (value: (run: FanOut) => number) => median(list.map(value));
    const nodes = list[0]?.ofNodes.map((_, at) => middle(({ ofNodes }) => ofNodes[at] ?? 0)) ?? [];
    const cores = list[0]?.cores.nodes.map((_, at) => middle((run) => run.cores.nodes[at] ?? 0));
    const percentiles = (value: (run: FanOut) => readonly number[]) =>
      [50, 99].map((percent) => ms(middle((run) => percentile(value(run), percent)))).join(" / ");
    return {
      scenario,
      "writes/s": middle(({ writes }) => writes),
      "events/s": middle(({ perSecond }) => perSecond),
      "of ceiling": `${Math.round((100 * middle(({ perSecond }) => perSecond)) / ceiling)} %`,
      "events/s of each node": nodes.join(", "),
      "MiB/s": middle(({ mibPerSecond }) => mibPerSecond),
      "from answer, p50 / p99 ms": percentiles(({ fromAnswer }) => fromAnswer),
      "from start, p50 / p99 ms": percentiles(({ fromStart }) => fromStart),
      "cores: nodes; watchers; writers": [
        cores?.join(", "),
        middle((run) => run.cores.watchers),
        middle((run) => run.cores.writers),
      ].join("; "),
    };
  };
  return [
    row(
      "ceiling: bare streams",
      runs.map((run) => run.ceiling),
    ),
    row(
      `watch, ${WRITES_PER_SECOND} writes/s`,
      runs.map((run) => run.paced),
    ),
    row(
      "watch, flat out",
      runs.map((run) => run.flatOut),
    ),
  ];
}

function ms(value: number): string {
  return Number.isNaN(value) ? "-" : value.toFixed(1);
}
