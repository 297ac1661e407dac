/** A store whose every change is written down, clients that are as slow as they like, and time. */
import { Prng } from "../../src/lib/random.ts";
import { bytesOf } from "../../src/lib/bytes.ts";
import { type Command, encodeCommand } from "../../src/kv/command.ts";
import type { Operation } from "../../src/kv/operation.ts";
import { KvStore } from "../../src/kv/store.ts";
import type { KeyValue } from "../../src/kv/version.ts";
import { encodeBookmark, encodeEvents, encodeFailure, encodeKeys } from "../../src/http/sse.ts";
import type { Part } from "../../src/watch/batch.ts";
import { type Watch, WatchHub, type WatchRefusal } from "../../src/watch/hub.ts";
import type { WatchLimits } from "../../src/watch/limits.ts";
import { EVENT_KINDS, type EventKind, type Selection } from "../../src/watch/selection.ts";
import type { Sink, WatchFailure } from "../../src/watch/watcher.ts";
import { apply, chunksOf, compact, del, key, put, restore } from "../kv/fixtures.ts";
import { type Change, problemsOf, SseReader, type Told } from "./validate.ts";

/** Time that goes on when a test says so. */
export class ManualClock {
  #now = 0;
  #deferred: (() => void)[] = [];
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** One turn of the event loop. Returns whether there was anything to do. */
  turn(): boolean {
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const run of deferred) run();
    return deferred.length > 0;
  }

  /** Lets time pass, with all the turns that there are to do. */
  pass(ms: number): void {
    for (const until = this.#now + ms; this.#now < until; this.#now += 1) {
      const due = this.#timers.filter(({ at }) => at <= this.#now);
      this.#timers = this.#timers.filter(({ at }) => at > this.#now);
      for (const { run } of due) run();
      for (let turns = 0; turns < 1_000 && this.turn(); turns++);
    }
  }
}

/** A client of a watch, over a connection that may be slow. */
export class Client implements Sink {
  readonly reader = new SseReader();
  /** How many writes until it takes no more. */
  room = Number.POSITIVE_INFINITY;
  /** What it says when it is asked whether it takes more. */
  hasRoomNow = true;
  /** What it was written after it had said that it takes no more. */
  overruns = 0;
  failure: WatchFailure | null = null;
  isAborted = false;
  watch: Watch | null = null;
  /** The very bytes of the events, to see what is shared. */
  readonly chunks: Uint8Array[] = [];

  hasRoom(): boolean {
    return this.hasRoomNow;
  }

  keys(found: readonly KeyValue[]): boolean {
    if (!this.hasRoomNow) this.overruns += 1;
    return this.#take(encodeKeys(found));
  }

  synced(revision: number): boolean {
    return this.#take(encodeBookmark("synced", revision));
  }

  changes(part: Part): boolean {
    const bytes = part.encoded(encodeEvents);
    this.chunks.push(bytes);
    if (!this.hasRoomNow) this.overruns += 1;
    return this.#take(bytes);
  }

  progress(revision: number): boolean {
    return this.#take(encodeBookmark("progress", revision));
  }

  keepAlive(): boolean {
    return this.#take(bytesOf(":\n\n"));
  }

  fail(failure: WatchFailure): void {
    this.failure = failure;
    this.reader.feed(Buffer.from(encodeFailure(failure)).toString());
  }

  abort(): void {
    this.isAborted = true;
  }

  /** Takes so many writes more. */
  drain(room: number): void {
    const wasFull = this.room <= 0;
    this.room = room;
    if (wasFull) this.watch?.drained();
  }

  /** Others have taken so much, or so little, that there is room. */
  setRoom(hasRoom: boolean): void {
    const wasHeld = !this.hasRoomNow;
    this.hasRoomNow = hasRoom;
    if (wasHeld && hasRoom && this.room > 0) this.watch?.drained();
  }

  #take(bytes: Uint8Array): boolean {
    if (this.room <= 0) this.overruns += 1;
    this.room -= 1;
    this.reader.feed(Buffer.from(bytes).toString());
    return this.room > 0;
  }
}

/** How a client watches. */
export interface Asked {
  readonly client: Client;
  readonly selection: Selection;
  readonly since: number;
}

/** Which watch to open. */
interface Opening {
  readonly selection: Partial<Selection>;
  readonly since: number;
  readonly initial: boolean;
}

export class World {
  readonly clock = new ManualClock();
  readonly history: Change[] = [];
  readonly store: KvStore;
  readonly hub: WatchHub;
  /** Whether the node hears of a leader. */
  isLed = true;
  /** The highest revision that was compacted at. */
  compacted = 0;
  readonly #keys = new Map<string, Told>();

  constructor(limits: Partial<WatchLimits> = {}) {
    this.store = new KvStore();
    const { store, clock } = this;
    this.hub = new WatchHub({ store, clock, hasLeader: () => this.isLed, limits });
  }

  put(name: string, value: string): void {
    this.#run(put(name, value), [{ name, value }]);
  }

  delete(name: string): void {
    this.#run(del(name), [{ name, value: null }]);
  }

  /** Several puts, and deletes where the value is null, of different keys at one revision. */
  transact(changes: readonly { readonly name: string; readonly value: string | null }[]): void {
    const success = changes.map(({ name, value }): Operation => {
      const about = { key: key(name), returnPrevious: false };
      if (value === null) return { type: "delete", end: "single", ...about };
      return { type: "put", value: bytesOf(value), lease: { kind: "none" }, ...about };
    });
    this.#run({ type: "txn", compares: [], success, failure: [] }, changes);
  }

  /** A lease, with these keys on it, that is over at once. */
  expire(names: readonly string[], id: number): void {
    apply(this.store, { type: "grant", id, ttlMs: 1_000 });
    for (const name of names) {
      const command = { ...put(name, "leased"), lease: { kind: "lease", id } } as const;
      this.#run(command as Command, [{ name, value: "leased" }]);
    }
    this.store.apply(CLOCK, this.store.clusterTime + 2_000);
    const expired = [...names].sort().map((name) => ({ name, value: null }));
    this.#run({ type: "expire", ids: [id] }, expired, "expire");
  }

  /** A command that changes nothing. */
  idle(): void {
    this.store.apply(CLOCK, this.store.clusterTime);
  }

  compact(revision: number): void {
    apply(this.store, compact(revision));
    this.compacted = this.store.compactRevision;
  }

  /** The state is replaced by one that is `run` further, as by a snapshot of a leader. */
  restoreAfter(run: (other: World) => void): void {
    const other = new World();
    restore(other.store, chunksOf(this.store));
    for (const [name, told] of this.#keys) other.#keys.set(name, told);
    other.compacted = this.compacted;
    run(other);
    for (const [name] of this.#keys) if (!other.#keys.has(name)) this.#keys.delete(name);
    for (const [name, told] of other.#keys) this.#keys.set(name, told);
    this.history.push(...other.history);
    this.compacted = other.compacted;
    restore(this.store, chunksOf(other.store));
  }

  open(selection: Partial<Selection> = {}, since = this.store.revision): Asked {
    const asked = this.tryOpen(selection, since);
    if (typeof asked === "string") throw new Error(`refused: ${asked}`);
    return asked;
  }

  tryOpen(
    selection: Partial<Selection>,
    since: number,
    { initial = false, room = Number.POSITIVE_INFINITY } = {},
  ): Asked | WatchRefusal {
    const client = new Client();
    client.room = room;
    return this.openFor(client, { selection, since, initial });
  }

  /** As `tryOpen`, for a client of another kind. */
  openFor(
    client: Client,
    { selection = {}, since = this.store.revision, initial = false }: Partial<Opening>,
  ): Asked | WatchRefusal {
    const full = { ...everything(), ...selection };
    const watch = this.hub.open({ selection: full, since, initial, sink: client });
    if (typeof watch === "string") return watch;
    client.watch = watch;
    return { client, selection: full, since };
  }

  /** All that is wrong with what a client was told; `completeTo`: it must know that much. */
  problems({ client, selection, since }: Asked, completeTo?: number): readonly string[] {
    const { target, key: name, kinds, withPrevious } = selection;
    const selects = (other: string) => (target === "key" ? other === name : other.startsWith(name));
    const { messages } = client.reader;
    const stream = { since, selects, kinds, withPrevious, messages };
    const about = completeTo === undefined ? stream : { ...stream, completeTo };
    const overruns = client.overruns > 0 ? ["it was written to although it was full"] : [];
    return [...problemsOf(about, this.history, this.compacted), ...overruns];
  }

  #run(
    command: Command,
    changes: readonly { readonly name: string; readonly value: string | null }[],
    end: EventKind = "delete",
  ): void {
    const revision = this.store.revision + 1;
    for (const { name, value } of changes) {
      const before = this.#keys.get(name) ?? null;
      if (value === null) {
        if (before === null) continue;
        this.#keys.delete(name);
        this.history.push({ kind: end, revision, key: name, now: null, before });
        continue;
      }
      const now = {
        key: name,
        value,
        version: (before?.version ?? 0) + 1,
        mod_revision: revision,
        create_revision: before?.create_revision ?? revision,
      };
      this.#keys.set(name, now);
      this.history.push({ kind: "put", revision, key: name, now, before });
    }
    const result = apply(this.store, command);
    if (!result.ok) throw new Error(`refused: ${result.code}`);
  }
}

const CLOCK = encodeCommand({ type: "clock" });

/** All keys, all kinds, and what they were before. */
export function everything(): Selection {
  return { target: "prefix", key: key(""), kinds: new Set(EVENT_KINDS), withPrevious: true };
}

export function prng(seed: number): Prng {
  return new Prng(`watch-${seed}`);
}
