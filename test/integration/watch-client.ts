/** A client of a watch that goes on at another node when it is cut off. */
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { type Message, resumeAt, SseReader } from "../watch/validate.ts";

interface Node {
  readonly url: string;
}

/** After the end of a stream, so that a dead node is not asked in a busy loop. */
const PAUSE_MS = 20;

/** All that a watch tells, however many streams that takes. The first node is asked first. */
export class WatchClient {
  /** How often a stream began. */
  streams = 0;
  /** Refusals of a watch: their codes. */
  readonly refusals: string[] = [];
  readonly #nodes: readonly Node[];
  readonly #path: string;
  readonly #before: Message[] = [];
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #reader = new SseReader();

  /** `path` is that of the watch, with its query. */
  constructor(nodes: readonly Node[], path: string) {
    this.#nodes = nodes;
    this.#path = path;
    this.#running = this.#run();
  }

  /** In the order in which they came. */
  get messages(): readonly Message[] {
    return [...this.#before, ...this.#reader.messages];
  }

  /** Up to where everything was told. */
  get revision(): number {
    return resumeAt(this.messages) ?? 0;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let at = 0; !this.#abort.signal.aborted; at++) {
      const node = this.#nodes[at % this.#nodes.length];
      if (node === undefined) throw new Error("no nodes");
      await this.#stream(node).catch(passOverCuts);
      this.#keepWhole();
      await sleep(PAUSE_MS);
    }
  }

  async #stream(node: Node): Promise<void> {
    const last = resumeAt(this.#before);
    const { statusCode, body } = await request(`${node.url}${this.#path}`, {
      headers: last === null ? {} : { "last-event-id": String(last) },
      signal: this.#abort.signal,
      bodyTimeout: 0,
    });
    if (statusCode !== 200) {
      this.refusals.push(String((JSON.parse(await body.text()) as { code: unknown }).code));
      return;
    }
    this.streams += 1;
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      this.#reader.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    }
  }

  /** What came after the last id will come again: it is a part of a transaction, at most. */
  #keepWhole(): void {
    const { messages } = this.#reader;
    const end = messages.findLastIndex(({ id }) => id !== null) + 1;
    this.#before.push(...messages.slice(0, end));
    this.#reader = new SseReader();
  }
}

/** A node that dies cuts its streams off, and refuses others until it is back. */
function passOverCuts(error: unknown): void {
  const isOfConnection = error instanceof Error && "code" in error;
  if (!isOfConnection) throw error;
}
