/** Clients of all nodes, and the history of what they asked and were told. */
import type { Prng } from "../../src/lib/random.ts";
import type { AnyOperation, ExpireOperation } from "../checker/history.ts";
import type { EventQueue } from "./events.ts";
import type { SwarmOptions } from "./options.ts";
import { type Ending, request } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimServices } from "./sim-service.ts";
import type { Sometimes } from "./sometimes.ts";
import { ttlOf, type UsedKeys, type Wish, Wishes } from "./wishes.ts";

/** What the service is given, and for how long a client waits for a node that may be gone. */
const TIMEOUTS_MS = [200, 1_000, 2_000];
const PATIENCE_MS = 2_500;
/** The cost of checking grows with the history of keys, and with what is not known of them. */
const KEY_OPERATIONS_MAX = 150;
const KEY_UNKNOWN_MAX = 5;
/** How often a request under an idempotency key is sent, in all, before its client gives up. */
const ATTEMPTS_MAX = 4;
/** No node's clock runs faster than that, and none tells more than whole milliseconds. */
const RATE_MAX = 1.25;
const CLOCK_STEP_MS = 2;

export interface ClientsDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  readonly nodes: readonly SimNode[];
  readonly services: SimServices;
  readonly options: SwarmOptions;
  readonly sometimes: Sometimes;
  readonly trace: (line: string) => void;
}

/** What a client asks, and under which idempotency key, if any. */
interface Asking {
  readonly node: SimNode;
  readonly wish: Wish;
  readonly idempotencyKey: string | null;
}

export class Clients {
  private readonly ended: AnyOperation[] = [];
  /** Under way: they may yet take effect. */
  private readonly open = new Set<AnyOperation>();
  private readonly deps: ClientsDeps;
  private readonly wishes: Wishes;
  /** In use, and all that ever were. */
  private readonly keys: UsedKeys[];
  private readonly used: UsedKeys[] = [];
  private clients = 0;
  private requests = 0;
  /** The newest revision that anybody was told. */
  private newest = 1;
  private isStopped = false;

  constructor(deps: ClientsDeps) {
    this.deps = deps;
    this.wishes = new Wishes(deps.random);
    this.keys = Array.from({ length: deps.options.keys }, () => this.newKeys());
    for (let i = 0; i < deps.options.clients; i++) this.later(this.newClient());
  }

  /** All that was ever asked. */
  get operations(): readonly AnyOperation[] {
    return [...this.ended, ...this.open];
  }

  /** No new requests. */
  stop(): void {
    this.isStopped = true;
  }

  /** Reads all keys that ever were, at this node, until each was answered. */
  readAll(node: SimNode, done: () => void): void {
    const left = this.used.map(({ names, prefix, counter }): Wish => {
      if (counter === null) return { op: "get", key: names[0] ?? prefix, in: {} };
      return { op: "range", in: { prefix } };
    });
    const client = this.newClient();
    const next = () => {
      const wish = left[0];
      if (wish === undefined) return done();
      this.ask(client, { node, wish, idempotencyKey: null }, ({ outcome }) => {
        if (outcome === "ok") left.shift();
        next();
      });
    };
    next();
  }

  private newClient(): string {
    this.clients += 1;
    return String(this.clients);
  }

  private newKeys(): UsedKeys {
    const name = `key${this.used.length}`;
    const isPlain = this.deps.options.wholeApiPercent === 0;
    const counts = { told: new Map(), operations: 0, unknown: 0 };
    const keys: UsedKeys = isPlain
      ? { names: [name], counter: null, prefix: name, ...counts }
      : {
          names: [`${name}/a`, `${name}/b`],
          counter: `${name}/n`,
          prefix: `${name}/`,
          ...counts,
        };
    this.used.push(keys);
    return keys;
  }

  private later(client: string): void {
    const { events, random, options } = this.deps;
    events.after(random.between(1, options.clientPauseMaxMs), () => {
      if (!this.isStopped) this.act(client);
    });
  }

  private act(client: string): void {
    const { random, nodes, options } = this.deps;
    const keys = this.nextKeys();
    const { wholeApiPercent } = options;
    const isPlain = wholeApiPercent === 0 || !random.chance(wholeApiPercent);
    const wish = isPlain ? this.wishes.plain(keys) : this.wishes.other(keys, this.newest);
    const idempotencyKey = isPlain || !random.chance(40) ? null : `client-${++this.requests}`;
    const termBefore = this.newestTerm();
    this.ask(client, { node: random.pick(nodes), wish, idempotencyKey }, (ending) => {
      this.learn(keys, wish, ending);
      this.note(wish, ending, this.newestTerm() > termBefore);
      // Whoever does not know what became of his request may still be in the middle of it.
      this.later(ending.outcome === "unknown" ? this.newClient() : client);
    });
  }

  private learn(keys: UsedKeys, wish: Wish, { outcome, out }: Ending): void {
    if (outcome === "unknown") keys.unknown += 1;
    if (out === undefined) return;
    if ("version" in out) {
      if ("key" in wish) keys.told.set(wish.key, { value: wish.in.value, ...out });
      this.newest = Math.max(this.newest, out.storeRevision ?? 0);
    } else if ("succeeded" in out) {
      this.newest = Math.max(this.newest, out.revision ?? 0);
    } else {
      for (const item of out.items) keys.told.set(item.key, item);
      this.newest = Math.max(this.newest, out.storeRevision ?? 0);
    }
  }

  private note(wish: Wish, { outcome, code }: Ending, isOtherTerm: boolean): void {
    const { sometimes } = this.deps;
    const isPast = wish.op === "range" && wish.in.at !== undefined;
    if (isPast && outcome === "ok") sometimes.saw("a list of the past was read");
    if (code === "REVISION_COMPACTED") sometimes.saw("a list of a forgotten past was refused");
    if (outcome === "refused") sometimes.saw("a condition was refused");
    const kind = isRead(wish) ? "read" : "write";
    if (outcome === "ok" && isOtherTerm) {
      sometimes.saw(`a ${kind} outlived the leader that it began under`);
    }
    if (kind === "read") return;
    if (outcome === "failed") sometimes.saw("a write was certainly not done");
    if (outcome === "unknown") sometimes.saw("a write had an unknown outcome");
  }

  private newestTerm(): number {
    return Math.max(...this.deps.nodes.map(({ life }) => life?.raft.core.term ?? 0));
  }

  private nextKeys(): UsedKeys {
    const at = this.deps.random.below(this.keys.length);
    let keys = this.keys[at] as UsedKeys;
    if (keys.operations >= KEY_OPERATIONS_MAX || keys.unknown >= KEY_UNKNOWN_MAX) {
      keys = this.newKeys();
      this.keys[at] = keys;
    }
    keys.operations += 1;
    return keys;
  }

  /** Ends once: with an answer, or when the client has waited for long enough. */
  private ask(client: string, asking: Asking, done: (ending: Ending) => void): void {
    const { events, trace } = this.deps;
    const { node, wish } = asking;
    const call = events.now;
    const asked: AnyOperation = { client, ...wish, call, return: null, outcome: "unknown" };
    this.open.add(asked);
    this.expireLater(wish);
    this.attempt(asking, ATTEMPTS_MAX, (ending) => {
      this.open.delete(asked);
      const { outcome, out } = ending;
      const told = out === undefined ? { outcome } : { outcome, out };
      const end = outcome === "unknown" ? null : events.now;
      this.ended.push({ ...asked, ...told, return: end } as AnyOperation);
      trace(`client ${client} ${describe(wish)} at ${node.id}: ${JSON.stringify(told)}`);
      done(ending);
    });
  }

  /** Under an idempotency key it is asked again, elsewhere: whatever comes is what came first. */
  private attempt(asking: Asking, attempts: number, done: (ending: Ending) => void): void {
    const { events, random, nodes } = this.deps;
    this.askOnce(asking, (ending) => {
      const { outcome } = ending;
      const isOpen = outcome === "unknown" && asking.idempotencyKey !== null;
      if (!isOpen || attempts <= 1) return done(ending);
      events.after(random.between(1, 200), () => {
        this.attempt({ ...asking, node: random.pick(nodes) }, attempts - 1, (later) => {
          // That this attempt was in vain says nothing of the one before it.
          done(later.outcome === "failed" ? { outcome: "unknown" } : later);
        });
      });
    });
  }

  private askOnce({ node, wish, idempotencyKey }: Asking, done: (ending: Ending) => void): void {
    const { events, services, random, options } = this.deps;
    let isOver = false;
    const end = (ending: Ending) => {
      if (isOver) return;
      isOver = true;
      done(ending);
    };
    events.after(PATIENCE_MS, () => end({ outcome: isRead(wish) ? "failed" : "unknown" }));
    if (!node.isUp) return events.after(1, () => end({ outcome: "failed" }));
    node.run(node.generation, () => {
      const service = services.serviceOf(node);
      if (service === null) return;
      services.hasSettled = true;
      const timeoutMs = random.pick(TIMEOUTS_MS);
      const isLeased = options.leaseMs > 0 && random.chance(70);
      const consistency = isLeased ? "lease" : "linearizable";
      void request(service, wish, { timeoutMs, idempotencyKey, consistency }).then(end);
    });
  }

  /** A key with a time to live may end, but not before its time. */
  private expireLater(wish: Wish): void {
    const lease = wish.op === "put" ? wish.in.lease : undefined;
    if (lease === undefined) return;
    const call = this.deps.events.now + ttlOf(lease) / RATE_MAX - CLOCK_STEP_MS;
    const client = `lease ${lease}`;
    const expire = { client, call, return: null, outcome: "unknown" } as const;
    this.ended.push({ ...expire, op: "expire", in: { lease } } satisfies ExpireOperation);
  }
}

function isRead({ op }: Wish): boolean {
  return op === "get" || op === "range";
}

function describe(wish: Wish): string {
  if (wish.op === "txn" || wish.op === "range") return `${wish.op} ${JSON.stringify(wish.in)}`;
  const { op, key, in: input } = wish;
  const what = input.value === undefined ? "" : ` ${input.value.replace(/x+$/, "…")}`;
  return `${op} ${key}${what}${input.ifVersion === undefined ? "" : ` if ${input.ifVersion}`}`;
}
