/** Clients that read and write, and know what they may and may not be told. */
import { assert } from "../../src/lib/assert.ts";
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/random.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import { keyOf } from "../../src/kv/key.ts";
import type { KvResult } from "../../src/kv/store.ts";
import type { Outcome } from "../../src/node/waiters.ts";
import type { Index, NodeId } from "../../src/raft/types.ts";
import type { EventQueue } from "./events.ts";
import type { SimNetwork } from "./network.ts";
import type { Life, SimNode } from "./sim-node.ts";

const TIMEOUT_MS = 2_000;

/** What is known of one key from answers alone. */
class KeyHistory {
  /** The newest revision that anybody was told of, in an answer. */
  floor = 0;
  private readonly values = new Map<number, string>();
  private readonly neverWritten = new Set<string>();

  /** An answer that says: at `revision` the key got `value`. `floor` is that of the request. */
  told(revision: number, value: string, floor: number): void {
    assert(revision >= floor, () => `an answer from the past: ${revision}, after ${floor}`);
    const known = this.values.get(revision) ?? value;
    assert(known === value, () => `revision ${revision} is both ${known} and ${value}`);
    assert(!this.neverWritten.has(value), () => `${value} was said to be lost, and is there`);
    this.values.set(revision, value);
    this.floor = Math.max(this.floor, revision);
  }

  lost(value: string): void {
    assert(![...this.values.values()].includes(value), () => `${value} is there and said lost`);
    this.neverWritten.add(value);
  }
}

export interface WorkloadDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly keys: number;
  readonly clients: number;
}

export class Workload {
  acknowledged = 0;
  reads = 0;
  unknown = 0;
  lost = 0;
  private readonly deps: WorkloadDeps;
  private readonly histories: readonly KeyHistory[];
  private nextValue = 0;

  constructor(deps: WorkloadDeps) {
    this.deps = deps;
    this.histories = Array.from({ length: deps.keys }, () => new KeyHistory());
    for (let client = 0; client < deps.clients; client++) this.later();
  }

  /** At the end: every acknowledged write, or a later one, is there, and no lost one. */
  checkFinal(store: Life["store"]): void {
    for (const [key, history] of this.histories.entries()) {
      const found = store.get(keyName(key));
      if (found === null) assert(history.floor === 0, () => `key ${key} is gone`);
      else history.told(found.modRevision, byteString(found.value), history.floor);
    }
  }

  private later(): void {
    this.deps.events.after(this.deps.random.between(1, 60), () => this.act());
  }

  private act(): void {
    const { random, nodes, keys } = this.deps;
    const node = random.pick(nodes);
    const key = random.below(keys);
    let over = false;
    const end = () => {
      if (!over) this.later();
      over = true;
    };
    this.deps.events.after(TIMEOUT_MS, () => {
      if (!over) this.unknown += 1;
      end();
    });
    if (random.chance(50)) this.write(node, key, end);
    else this.read(node, key, end);
  }

  private write(node: SimNode, key: number, end: () => void): void {
    const history = this.histories[key] as KeyHistory;
    const { floor } = history;
    const value = `v${this.nextValue++}${"x".repeat(this.deps.random.below(100))}`;
    const command = { type: "put", key: keyName(key), value: bytesOf(value) } as const;
    const data = encodeCommand({ ...command, conditions: [], returnPrevious: false });
    const onOutcome = (outcome: Outcome<KvResult>) => {
      if (outcome.kind === "lost") {
        this.lost += 1;
        history.lost(value);
      } else if (outcome.kind === "applied") {
        const { result } = outcome;
        assert(result.ok && result.revision > floor, "a write is newer than what was known before");
        history.told(result.revision, value, floor);
        this.acknowledged += 1;
      }
      end();
    };
    node.run(node.generation, () => {
      const life = node.life;
      if (life === null) return;
      life.node.submit([data], (taken) => {
        if (typeof taken === "string") {
          history.lost(value);
          end();
        } else {
          life.node.whenApplied(taken, onOutcome);
        }
      });
    });
  }

  /** Gets a read index from the leader, wherever it is, and reads from this node. */
  private read(node: SimNode, key: number, end: () => void): void {
    const history = this.histories[key] as KeyHistory;
    const { floor } = history;
    const { generation, life } = node;
    if (life === null) return end();
    const leader = life.raft.core.leader;
    if (leader === null) return end();
    const onIndex = (index: Index | null) => {
      if (index === null) return end();
      node.run(generation, () =>
        life.node.whenReached(index, () => {
          const found = life.store.get(keyName(key));
          history.told(found?.modRevision ?? 0, byteString(found?.value ?? EMPTY), floor);
          this.reads += 1;
          end();
        }),
      );
    };
    if (leader === node.id) node.run(generation, () => life.node.readIndex(onIndex));
    else this.askLeader({ node, leader }, onIndex);
  }

  private askLeader(
    { node, leader }: { node: SimNode; leader: NodeId },
    onIndex: (index: Index | null) => void,
  ): void {
    const { network, nodes } = this.deps;
    const other = nodes.find(({ id }) => id === leader) as SimNode;
    network.deliver(node.id, leader, () =>
      other.run(other.generation, () =>
        other.life?.node.readIndex((index) =>
          network.deliver(leader, node.id, () => onIndex(index)),
        ),
      ),
    );
  }
}

const EMPTY = new Uint8Array();

function keyName(key: number) {
  return keyOf(bytesOf(`key${key}`));
}
