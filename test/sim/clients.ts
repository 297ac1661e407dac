/** Clients of all nodes, and the history of what they asked and were told. */
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/random.ts";
import { keyOf } from "../../src/kv/key.ts";
import type { KvResult } from "../../src/kv/store.ts";
import { ServiceError } from "../../src/service/errors.ts";
import type { KvService, Reading } from "../../src/service/kv-service.ts";
import type { Operation } from "../checker/history.ts";
import type { EventQueue } from "./events.ts";
import type { SwarmOptions } from "./options.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimServices } from "./sim-service.ts";
import type { Sometimes } from "./sometimes.ts";

/** What the service is given, and for how long a client waits for a node that may be gone. */
const TIMEOUTS_MS = [200, 1_000, 2_000];
const PATIENCE_MS = 2_500;
/** The cost of checking grows with the history of a key, and with what is not known of it. */
const KEY_OPERATIONS_MAX = 150;
const KEY_UNKNOWN_MAX = 5;

export interface ClientsDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  readonly nodes: readonly SimNode[];
  readonly services: SimServices;
  readonly options: SwarmOptions;
  readonly sometimes: Sometimes;
  readonly trace: (line: string) => void;
}

/** A key, and what its clients believe of it. */
interface UsedKey {
  readonly name: string;
  /** The last version that anybody was told. */
  version: number;
  operations: number;
  unknown: number;
}

type Wish = Pick<Operation, "op" | "key" | "in">;
type Ending = Pick<Operation, "outcome" | "out">;

export class Clients {
  private readonly ended: Operation[] = [];
  /** Under way: they may yet take effect. */
  private readonly open = new Set<Operation>();
  private readonly deps: ClientsDeps;
  private readonly keys: UsedKey[];
  private readonly names: string[] = [];
  private values = 0;
  private clients = 0;
  private isStopped = false;

  constructor(deps: ClientsDeps) {
    this.deps = deps;
    this.keys = Array.from({ length: deps.options.keys }, () => this.newKey());
    for (let i = 0; i < deps.options.clients; i++) this.later(this.newClient());
  }

  /** All that was ever asked. */
  get operations(): readonly Operation[] {
    return [...this.ended, ...this.open];
  }

  /** No new requests. */
  stop(): void {
    this.isStopped = true;
  }

  /** Reads all keys that ever were, at this node, until each was answered. */
  readAll(node: SimNode, done: () => void): void {
    const left = [...this.names];
    const client = this.newClient();
    const next = () => {
      const key = left[0];
      if (key === undefined) return done();
      this.ask(client, { node, wish: { op: "get", key, in: {} } }, ({ outcome }) => {
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

  private newKey(): UsedKey {
    const name = `key${this.names.length}`;
    this.names.push(name);
    return { name, version: 0, operations: 0, unknown: 0 };
  }

  private later(client: string): void {
    const { events, random, options } = this.deps;
    events.after(random.between(1, options.clientPauseMaxMs), () => {
      if (!this.isStopped) this.act(client);
    });
  }

  private act(client: string): void {
    const { random, nodes, sometimes } = this.deps;
    const key = this.nextKey();
    const wish = this.draw(key);
    const termBefore = this.newestTerm();
    this.ask(client, { node: random.pick(nodes), wish }, (ending) => {
      const { outcome, out } = ending;
      if (out !== undefined) key.version = out.version;
      if (outcome === "unknown") key.unknown += 1;
      this.note(wish, ending, this.newestTerm() > termBefore);
      if (outcome === "refused") sometimes.saw("a condition was refused");
      // Whoever does not know what became of his request may still be in the middle of it.
      this.later(outcome === "unknown" ? this.newClient() : client);
    });
  }

  private note({ op }: Wish, { outcome }: Ending, isOtherTerm: boolean): void {
    const { sometimes } = this.deps;
    const kind = op === "get" ? "read" : "write";
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

  private nextKey(): UsedKey {
    const at = this.deps.random.below(this.keys.length);
    let key = this.keys[at] as UsedKey;
    if (key.operations >= KEY_OPERATIONS_MAX || key.unknown >= KEY_UNKNOWN_MAX) {
      key = this.newKey();
      this.keys[at] = key;
    }
    key.operations += 1;
    return key;
  }

  private draw({ name, version }: UsedKey): Wish {
    const { random } = this.deps;
    const dice = random.below(100);
    if (dice < 45) return { op: "get", key: name, in: {} };
    const condition = random.chance(40) ? { ifVersion: version } : {};
    if (dice < 92) {
      const value = `v${this.values++}${"x".repeat(random.below(100))}`;
      return { op: "put", key: name, in: { value, ...condition } };
    }
    return { op: "delete", key: name, in: random.chance(30) ? condition : {} };
  }

  /** Ends once: with an answer, or when the client has waited for long enough. */
  private ask(
    client: string,
    { node, wish }: { node: SimNode; wish: Wish },
    done: (ending: Ending) => void,
  ): void {
    const { events, services, trace } = this.deps;
    const call = events.now;
    const asked: Operation = { client, ...wish, call, return: null, outcome: "unknown" };
    this.open.add(asked);
    const end = (ending: Ending) => {
      if (!this.open.delete(asked)) return;
      const isKnown = ending.outcome !== "unknown";
      this.ended.push({ ...asked, ...ending, return: isKnown ? events.now : null });
      trace(`client ${client} ${describe(wish)} at ${node.id}: ${JSON.stringify(ending)}`);
      done(ending);
    };
    const nothing: Ending = { outcome: wish.op === "get" ? "failed" : "unknown" };
    events.after(PATIENCE_MS, () => end(nothing));
    if (!node.isUp) return events.after(1, () => end({ outcome: "failed" }));
    node.run(node.generation, () => {
      const service = services.serviceOf(node);
      if (service === null) return;
      services.hasSettled = true;
      void this.request(service, wish).then(end);
    });
  }

  private async request(service: KvService, wish: Wish): Promise<Ending> {
    const { random } = this.deps;
    const key = keyOf(bytesOf(wish.key));
    const timeoutMs = random.pick(TIMEOUTS_MS);
    try {
      if (wish.op === "get") {
        const options = {
          consistency: "linearizable",
          maxStaleMs: null,
          minRevision: null,
        } as const;
        return readEnding(await service.get(key, { ...options, timeoutMs }));
      }
      const { ifVersion } = wish.in;
      const change = {
        key,
        conditions:
          ifVersion === undefined ? [] : [{ type: "version", version: ifVersion } as const],
        returnPrevious: false,
      };
      const result =
        wish.op === "put"
          ? await service.put({ ...change, value: bytesOf(wish.in.value ?? "") }, timeoutMs)
          : await service.delete(change, timeoutMs);
      return writeEnding(wish, result);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      return { outcome: error.outcome === "unknown" ? "unknown" : "failed" };
    }
  }
}

function readEnding({ found, storeRevision }: Reading): Ending {
  const out =
    found === null
      ? { version: 0, value: null }
      : { version: found.version, revision: found.modRevision, value: byteString(found.value) };
  return { outcome: "ok", out: { ...out, storeRevision } };
}

function writeEnding({ op }: Wish, result: KvResult): Ending {
  const { current, revision } = result;
  const version = current?.version ?? 0;
  if (!result.ok) {
    const of = current === null ? {} : { revision: current.modRevision };
    return { outcome: "refused", out: { version, ...of, storeRevision: revision } };
  }
  const deleted = op === "delete" ? { deleted: result.deleted } : {};
  return { outcome: "ok", out: { version, revision, storeRevision: revision, ...deleted } };
}

function describe({ op, key, in: { value, ifVersion } }: Wish): string {
  const what = value === undefined ? "" : ` ${value.replace(/x+$/, "…")}`;
  return `${op} ${key}${what}${ifVersion === undefined ? "" : ` if ${ifVersion}`}`;
}
