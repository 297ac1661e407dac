/** Three nodes on disks that can be copied and damaged, in a world that is otherwise at peace. */
import { assert, must } from "../../src/lib/assert.ts";
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import { keyOf } from "../../src/kv/key.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { EventQueue } from "../sim/events.ts";
import { SimNetwork } from "../sim/network.ts";
import { drawOptions, type SimOptions } from "../sim/options.ts";
import { coreOf, SimNode } from "../sim/sim-node.ts";

/** What is on a disk. */
export type Files = ReadonlyMap<string, Uint8Array>;

const IDS = ["n1", "n2", "n3"] as NodeId[];
/** Long enough for many elections. */
const PATIENCE_MS = 30_000;

/** Small enough that a log of some dozens of entries has several segments and two snapshots. */
const OPTIONS: SimOptions = {
  ...drawOptions(new Prng("peace")),
  nodes: IDS.length,
  lossPercent: 0,
  repeatPercent: 0,
  delayMaxMs: 1,
  diskMaxMs: 1,
  slowDiskPercent: 0,
  appendEntriesMax: 100,
  appendBytesMax: 10_000,
  windowMessages: 100,
  snapshotEntries: 8,
  trailingEntries: 3,
  segmentBytesMax: 1_500,
  snapshotChunkBytes: 10_000,
};

/** After every event it is checked that equal logs have led to equal states. */
export class World {
  readonly events = new EventQueue();
  readonly nodes: readonly SimNode[];
  readonly network: SimNetwork;
  readonly lines: string[] = [];
  /** Of the state after so many entries, whoever has applied them. */
  private readonly digests = new Map<number, unknown>();

  /** With these disks, or with new ones. Nobody runs yet. */
  constructor(seed: string, disks: readonly Files[] = []) {
    const { events } = this;
    this.network = new SimNetwork(events, new Prng(`${seed}/network`), { options: OPTIONS });
    const shared = { ids: IDS, seed, options: OPTIONS, events, network: this.network };
    this.nodes = IDS.map((id, at) => {
      const node = new SimNode({
        ...shared,
        id,
        onEvent: (changed) => this.checkState(changed),
        trace: (line) => this.lines.push(`${events.now} ${line}`),
      });
      for (const [name, bytes] of disks[at] ?? []) node.disk.corrupt(name, bytes.slice());
      node.hasFlipped = true;
      return node;
    });
  }

  node(id: string): SimNode {
    return must(this.nodes.find((node) => node.id === id) ?? null, "one of three");
  }

  startAll(): void {
    for (const node of this.nodes) node.start();
  }

  /** Lets things happen until it is so. False: it was not so within `ms`. */
  runUntil(isSo: () => boolean, ms = PATIENCE_MS): boolean {
    const end = this.events.now + ms;
    while (!isSo()) {
      if (this.events.now > end || !this.events.step()) return false;
    }
    return true;
  }

  /** Fails, with what happened, where it does not become so. */
  mustBecome(what: string, isSo: () => boolean): void {
    assert(this.runUntil(isSo), () => `never: ${what}\n${this.lines.slice(-60).join("\n")}`);
  }

  /** The one whom a majority follows, and who can write. */
  get leader(): SimNode | null {
    const leading = this.nodes.filter((node) => node.life?.raft.core.role.kind === "leader");
    leading.sort((a, b) => coreOf(b).term - coreOf(a).term);
    return leading[0] ?? null;
  }

  /** Writes through the leader, and returns when that is acknowledged. False: it never was. */
  write(key: string, value: string, ms = PATIENCE_MS): boolean {
    const data = putCommand(key, value);
    let isDone = false;
    let isAsked = false;
    return this.runUntil(() => {
      const { leader } = this;
      if (isAsked || leader === null) return isDone;
      isAsked = true;
      const life = must(leader.life, "it leads");
      life.node.submit([data], (taken) => {
        if (typeof taken === "string") isAsked = false;
        else {
          life.node.whenApplied(taken, (outcome) => {
            if (outcome.kind === "applied") isDone = true;
            else isAsked = false;
          });
        }
      });
      return false;
    }, ms);
  }

  /** Hands a write to the leader, if there is one, and does not wait. */
  submit(key: string, value: string): void {
    this.leader?.life?.node.submit([putCommand(key, value)], () => {});
  }

  /** What a node has under a key. */
  read(node: SimNode, key: string): string | null {
    const found = must(node.life, "it runs").store.get(keyOf(bytesOf(key)));
    return found === null ? null : byteString(found.value);
  }

  /** Everybody runs, is certain of itself, and has applied all that is committed. */
  get isWhole(): boolean {
    const { leader } = this;
    if (leader === null) return false;
    const { log, term } = coreOf(leader);
    // Only an entry of its own term tells a leader what is committed.
    if (log.termAt(log.committed) !== term) return false;
    return this.nodes.every((node) => {
      if (!node.isUp || node.hasLost) return false;
      const core = coreOf(node);
      return core.doubt === null && core.log.applied === log.lastIndex;
    });
  }

  private checkState(node: SimNode): void {
    const { applied } = coreOf(node).log;
    const { digest } = must(node.life, "it runs").store;
    const known = this.digests.get(applied) ?? digest;
    assert(known === digest, () => `${node.id}: another state after ${applied}`);
    this.digests.set(applied, digest);
  }

  /** Ends all processes and returns what is on the disks. */
  shutDown(): Files[] {
    for (const node of this.nodes) if (node.isUp) node.stop("power");
    return this.nodes.map(({ disk }) => filesOf(disk));
  }
}

function putCommand(key: string, value: string): Uint8Array {
  const put = { type: "put", key: keyOf(bytesOf(key)), value: bytesOf(value) } as const;
  return encodeCommand({ ...put, conditions: [], returnPrevious: false });
}

export function filesOf(disk: SimNode["disk"]): Files {
  return new Map(disk.list().map((name) => [name, disk.read(name)]));
}

/** Keys and what was acknowledged for them last. */
export type Acknowledged = ReadonlyMap<string, string>;

/** A cluster that has written, taken snapshots and stopped. */
export function usualCluster(): { readonly disks: Files[]; readonly acknowledged: Acknowledged } {
  const world = new World("usual");
  world.startAll();
  const acknowledged = new Map<string, string>();
  for (let i = 0; i < 20; i++) {
    const [key, value] = [`key${i % 4}`, `value ${i}${"x".repeat((i * 37) % 120)}`];
    assert(world.write(key, value), () => world.lines.join("\n"));
    acknowledged.set(key, value);
  }
  world.mustBecome("all have the same", () => world.isWhole);
  return { disks: world.shutDown(), acknowledged };
}
