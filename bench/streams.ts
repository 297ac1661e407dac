/**
 * Many watchers in a process of their own: it only counts the bytes that arrive, as parsing them
 * would take the time that the nodes need. Few of the watchers do parse: how long events take, and
 * how many bytes one has, is known from them, as all streams of a node carry the same.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { monotonicMs } from "./clock.ts";
import { cpuSeconds } from "./child.ts";

/** An event that a parsing watcher has seen, on the clock of `monotonicMs`. */
export interface Sample {
  readonly revision: number;
  /** When the write was due: the value of the event. */
  readonly dueAt: number;
  readonly seenAt: number;
}

/** What came between two calls of `take`. */
export interface Taken {
  readonly seconds: number;
  /** For each URL. */
  readonly events: readonly number[];
  readonly bytes: number;
  readonly samples: readonly Sample[];
  /** Processor time of the process of the watchers, in seconds. */
  readonly cpu: number;
  /** How many streams have ended before their time. */
  readonly lost: number;
}

export interface StreamsOptions {
  readonly urls: readonly string[];
  readonly path: string;
  /** Spread over the URLs. */
  readonly count: number;
  /** Whether parsing watchers keep what they see, and not only count it. */
  readonly keepsSamples: boolean;
}

/** Watchers that are connected. */
export interface Streams {
  take(): Promise<Taken>;
  close(): void;
}

/** Every so many watchers parse. They are on all nodes in turn, as this is no multiple of three. */
const PARSE_EVERY = 100;

/** Connects them all, and waits until each was told something. */
export async function openStreams(options: StreamsOptions): Promise<Streams> {
  const child = fork(import.meta.filename, [JSON.stringify(options)]);
  await told(child);
  return {
    take: () => {
      child.send("take");
      return told(child) as Promise<Taken>;
    },
    close: () => {
      child.kill();
    },
  };
}

async function told(child: ChildProcess): Promise<unknown> {
  const ended = once(child, "exit").then(() => {
    throw new Error("the watchers ended");
  });
  const [message] = (await Promise.race([once(child, "message"), ended])) as [unknown];
  return message;
}

/** What the streams of one URL have brought since the last `take`. */
interface Tally {
  bytes: number;
  parsedBytes: number;
  parsedEvents: number;
}

/** The watchers themselves. */
class Watchers {
  readonly #tallies: readonly Tally[];
  readonly #keepsSamples: boolean;
  #samples: Sample[] = [];
  #takenAt = monotonicMs();
  #cpu = 0;
  #lost = 0;

  constructor({ urls, keepsSamples }: StreamsOptions) {
    this.#tallies = urls.map(() => ({ bytes: 0, parsedBytes: 0, parsedEvents: 0 }));
    this.#keepsSamples = keepsSamples;
  }

  /** Connects one, and resolves when the first bytes have come. */
  async open(url: string, path: string, at: number): Promise<void> {
    const { hostname, port } = new URL(url);
    const tally = this.#tallies[at % this.#tallies.length] as Tally;
    const parse = at % PARSE_EVERY === 0 ? this.#parser(tally) : null;
    const buffer = parse === null ? SHARED : Buffer.alloc(64 * 1024);
    const first = Promise.withResolvers<void>();
    const callback = (count: number) => {
      tally.bytes += count;
      parse?.(buffer.toString("latin1", 0, count));
      first.resolve();
      return true;
    };
    const socket = connect({ host: hostname, port: Number(port), onread: { buffer, callback } });
    socket.on("close", () => (this.#lost += 1));
    socket.once("error", first.reject);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`);
    await first.promise;
  }

  take(): Taken {
    const now = monotonicMs();
    const cpu = cpuSeconds(process.pid);
    const taken = {
      seconds: (now - this.#takenAt) / 1_000,
      events: this.#tallies.map(eventsOf),
      bytes: this.#tallies.reduce((sum, { bytes }) => sum + bytes, 0),
      samples: this.#samples,
      cpu: cpu - this.#cpu,
      lost: this.#lost,
    };
    this.#samples = [];
    this.#takenAt = now;
    this.#cpu = cpu;
    for (const tally of this.#tallies) {
      tally.bytes = 0;
      tally.parsedBytes = 0;
      tally.parsedEvents = 0;
    }
    return taken;
  }

  #parser(tally: Tally): (text: string) => void {
    let rest = "";
    return (text) => {
      tally.parsedBytes += text.length;
      const seenAt = monotonicMs();
      const whole = rest + text;
      let end = 0;
      for (const found of whole.matchAll(EVENT)) {
        tally.parsedEvents += 1;
        end = found.index + found[0].length;
        if (!this.#keepsSamples) continue;
        this.#samples.push({ revision: Number(found[1]), dueAt: Number(found[2]), seenAt });
      }
      rest = whole.slice(Math.max(end, whole.length - EVENT_CHARS_MAX));
    };
  }
}

/** All that do not parse read into this: nobody looks at what is in it. */
const SHARED = Buffer.alloc(256 * 1024);
const EVENT = /id: (\d+)\nevent: put\ndata: \{"key":"[^"]*","value":"([^"]*)"/g;
/** More than the part of an event that is looked for. */
const EVENT_CHARS_MAX = 512;

function eventsOf({ bytes, parsedBytes, parsedEvents }: Tally): number {
  return parsedBytes === 0 ? 0 : Math.round((parsedEvents * bytes) / parsedBytes);
}

async function run(options: StreamsOptions): Promise<void> {
  const watchers = new Watchers(options);
  const { urls, path, count } = options;
  for (let at = 0; at < count; at++) {
    await watchers.open(urls[at % urls.length] as string, path, at);
  }
  process.on("message", () => process.send?.(watchers.take()));
  // Whoever asked for them is gone.
  process.on("disconnect", () => process.exit(0));
  process.send?.("connected");
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? "") as StreamsOptions);
