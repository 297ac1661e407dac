/** Watchers over real connections, which go on at another node whenever theirs breaks. */
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { type Message, SseReader } from "../watch/validate.ts";
import type { Ground } from "./ask.ts";
import { type Connection, placeAfter } from "./watch-checks.ts";

/** What is watched, and whether events tell what was before. */
export interface Interest {
  readonly prefix: string;
  readonly withPrevious: boolean;
  /**
   * Now and then it begins anew: with all that is there, or as one that was away since the run
   * began. The others never lose their place.
   */
  readonly isForgetful: boolean;
}

/** A connection while it lasts. */
interface Open extends Connection {
  completeTo: number | null;
}

/** A client goes elsewhere after so many milliseconds, though nothing is wrong. */
const STAY_MS = [3_000, 12_000] as const;
/** Nothing comes from a node that stands still. */
const SILENCE_MS = 4_000;
const RETRY_MS = [50, 300] as const;
const HEADERS_MS = 2_000;
/** A forgetful watcher forgets where it was at its second beginning, and at every fourth after. */
const FORGETS_EVERY = 4;
/** To be told of everything, once all nodes serve. */
const CATCH_UP_MS = 20_000;

/** One watcher from the beginning of a run to its end. */
export class WatchClient {
  readonly connections: Connection[] = [];
  /** How often it could go on where it was, began with all that is there, or was too late. */
  resumes = 0;
  listings = 0;
  tooLate = 0;
  readonly problems: string[] = [];
  readonly #ground: Ground;
  readonly #interest: Interest;
  readonly #running: Promise<void>;
  /** Where it is told of everything; null: it goes on. */
  #target: number | null = null;
  #leave = new AbortController();
  #isOver = false;

  /** Watches from the revision `since` on. */
  constructor(ground: Ground, interest: Interest, since: number) {
    this.#ground = ground;
    this.#interest = interest;
    this.#running = this.#run(since).catch((error: unknown) => {
      this.problems.push(`a watcher of "${interest.prefix}" ended with ${String(error)}`);
    });
  }

  /** How many events it was told. */
  get events(): number {
    return this.connections.reduce((sum, { messages }) => sum + messages.length, 0);
  }

  /** Resolves when it was told of everything up to `revision`, after which nothing happens. */
  async finish(revision: number): Promise<void> {
    this.#target = revision;
    this.#leave.abort();
    const timer = setTimeout(() => {
      this.problems.push(`a watcher of "${this.#interest.prefix}" did not catch up`);
      this.#isOver = true;
      this.#leave.abort();
    }, CATCH_UP_MS);
    await this.#running;
    clearTimeout(timer);
  }

  async #run(begin: number): Promise<void> {
    const { random, urls } = this.#ground;
    let since: number | null = begin;
    let isFirst = true;
    let url = random.pick(urls);
    for (let turn = 0; !this.#isOver; turn++) {
      const forgets = this.#interest.isForgetful && turn % FORGETS_EVERY === 1;
      // In turns and not by chance, so that a short run has both; in a long one, what follows the
      // very beginning is forgotten by the nodes as well.
      const listsNext = turn % (2 * FORGETS_EVERY) === 1;
      if (forgets && this.#target === null) since = listsNext ? null : begin;
      this.#leave = new AbortController();
      const opened = await this.#open(url, { since, isFirst });
      if (opened === "compacted") {
        this.tooLate += 1;
        since = null;
      } else if (opened !== null) {
        isFirst = false;
        since = placeAfter(opened);
        if (opened.completeTo !== null) return;
      }
      const others = urls.filter((other) => other !== url);
      url = random.pick(others.length === 0 ? urls : others);
      await sleep(random.between(...RETRY_MS));
    }
  }

  /** Watches until the connection ends, or is left; null: there was none. */
  async #open(
    url: string,
    { since, isFirst }: { readonly since: number | null; readonly isFirst: boolean },
  ): Promise<Connection | "compacted" | null> {
    const { prefix, withPrevious } = this.#interest;
    const query = new URLSearchParams({ prefix });
    if (withPrevious) query.set("prev", "true");
    if (since === null) query.set("initial", "true");
    else if (isFirst) query.set("since", String(since));
    const headers = since === null || isFirst ? {} : { "last-event-id": String(since) };
    const leave = this.#leave;
    const timers = new Timers(leave);
    const reader = new SseReader();
    const connection: Open = {
      prefix,
      since,
      withPrevious,
      messages: reader.messages,
      completeTo: null,
    };
    try {
      timers.expect(HEADERS_MS);
      const response = await request(`${url}/v1/watch?${query.toString()}`, {
        dispatcher: this.#ground.agent,
        headers,
        signal: leave.signal,
      });
      if (response.statusCode === 410) {
        await response.body.text();
        return "compacted";
      }
      const { statusCode } = response;
      if (statusCode !== 200) return refused(statusCode, await response.body.text());
      if (since === null) this.listings += 1;
      else if (!isFirst) this.resumes += 1;
      this.connections.push(connection);
      timers.stayFor(this.#ground.random.between(...STAY_MS));
      await this.#read(response.body, { connection, reader, timers });
    } catch (error) {
      if (!isBroken(error)) throw error;
    } finally {
      timers.clear();
    }
    return endedBy(reader.messages) ?? (this.connections.at(-1) === connection ? connection : null);
  }

  async #read(
    body: AsyncIterable<Uint8Array>,
    { connection, reader, timers }: { connection: Open; reader: SseReader; timers: Timers },
  ): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      timers.expect(SILENCE_MS);
      reader.feed(decoder.decode(chunk, { stream: true }));
      const target = this.#target;
      if (target === null || (placeAfter(connection) ?? 0) < target) continue;
      connection.completeTo = target;
      return;
    }
  }
}

/** When to leave a connection: it is silent for too long, or was there for long enough. */
class Timers {
  readonly #leave: AbortController;
  #silence: NodeJS.Timeout | null = null;
  #stay: NodeJS.Timeout | null = null;

  constructor(leave: AbortController) {
    this.#leave = leave;
  }

  expect(ms: number): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#leave.abort(), ms);
  }

  stayFor(ms: number): void {
    this.#stay = setTimeout(() => this.#leave.abort(), ms);
  }

  clear(): void {
    for (const timer of [this.#silence, this.#stay]) if (timer !== null) clearTimeout(timer);
  }
}

/** The reason for which a node has ended a stream; null: it is one after which to go on. */
function endedBy(messages: readonly Message[]): "compacted" | null {
  const last = messages.at(-1);
  return last?.event === "error" && last.data["code"] === "REVISION_COMPACTED" ? "compacted" : null;
}

/** A node that cannot now. Throws where a node refuses for another reason. */
function refused(status: number, text: string): null {
  if (status === 503 || status === 504 || status === 429) return null;
  throw new Error(`a watch was answered with ${status} ${text}`);
}

/** Connections are refused, break, and are left; anything else is a bug. */
function isBroken(error: unknown): boolean {
  const { code, name } = error as { code?: unknown; name?: string };
  if (name === "AbortError" || name === "HTTPParserError") return true;
  return typeof code === "string" && /^(UND_ERR|ECONN|EPIPE)/.test(code);
}
