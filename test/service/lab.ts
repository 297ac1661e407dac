/** Real nodes in one process, on real disks; only the network between them is in memory. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import { KvStore, type KvResult } from "../../src/kv/store.ts";
import type { RaftNode } from "../../src/node/node.ts";
import { nodeRuntime } from "../../src/node/node-runtime.ts";
import { openNode } from "../../src/node/open-node.ts";
import type { Runtime, Transport } from "../../src/node/ports.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message } from "../../src/raft/message.ts";
import type { NodeId, Term } from "../../src/raft/types.ts";
import { acceptForward, acceptMembers, acceptRead } from "../../src/service/answers.ts";
import { KvService } from "../../src/service/kv-service.ts";
import { type ServiceLimits, serviceLimits } from "../../src/service/limits.ts";
import { LeaderWatch } from "../../src/service/leader-watch.ts";
import { nodeClock } from "../../src/service/node-clock.ts";
import { type NodeDisk, openNodeDisk } from "../../src/storage/node-disk.ts";
import type { StorageError } from "../../src/storage/storage-error.ts";
import type { ForwardReply } from "../../src/transport/call-codec.ts";
import type { MemberQuestion } from "../../src/transport/member-codec.ts";
import { PeerCallError } from "../../src/transport/peer-link.ts";

/** Long enough for a busy machine: a test that wants an election cuts somebody off. */
const ELECTION_MS = 300;
/** Nobody else can be elected. */
const LONELY_ELECTION_MS = 50;
const MIB = 1024 * 1024;

/** A node that runs. */
export interface LabNode {
  readonly id: NodeId;
  readonly node: RaftNode<KvResult>;
  readonly store: KvStore;
  readonly service: KvService;
}

/** Calls between nodes, as they went over the network. */
export interface Call {
  readonly type: "forward" | "readIndex" | "members";
  readonly from: NodeId;
  readonly to: NodeId;
  readonly proposals: number;
}

export interface LabOptions {
  readonly limits?: Partial<ServiceLimits>;
  readonly unappliedEntriesMax?: number;
  /** For how long a leader may answer reads by itself; none otherwise. */
  readonly leaseMs?: number;
  /** For how long the machine of all nodes has slept. */
  readonly sleptMs?: () => number;
  /** Take a snapshot after so many entries, and keep no others. */
  readonly snapshotEntries?: number;
}

/** A cluster, and what can happen to its network. */
export class Lab {
  readonly calls: Call[] = [];
  /** Called when a call reaches its node, which waits for it before it looks at the call. */
  onCall: (call: Call) => Promise<void> = () => Promise.resolve();
  /** Called when a node has answered a forward, before the answer goes back. */
  onForwarded: (reply: ForwardReply, call: Call) => Promise<void> = () => Promise.resolve();
  /** Which messages of Raft are lost. */
  isLost: (message: Message) => boolean = () => false;
  readonly #options: LabOptions;
  readonly #nodes = new Map<NodeId, LabNode>();
  readonly #cut = new Set<NodeId>();
  readonly #closers: (() => Promise<void> | void)[] = [];

  private constructor(options: LabOptions) {
    this.#options = options;
  }

  /** Starts the nodes. Close the lab in the end. */
  static async start(names: readonly string[], options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options);
    const ids = names as readonly NodeId[];
    for (const id of ids) lab.#nodes.set(id, await lab.#open(id, ids));
    for (const { node, service } of lab.nodes) lab.#closers.push(node.start(), service.start());
    return lab;
  }

  get nodes(): readonly LabNode[] {
    return [...this.#nodes.values()];
  }

  get(id: NodeId): LabNode {
    return must(this.#nodes.get(id), `no node ${id}`);
  }

  /** The leader, once all nodes that are not cut off agree on one and have caught up with it. */
  async leader(): Promise<LabNode> {
    const leader = await vi.waitFor(
      () => {
        const connected = this.nodes.filter(({ id }) => !this.#cut.has(id));
        const leaders = new Set(connected.map(({ service }) => service.leadership.leader));
        if (!connected.every(({ service }) => service.checks().every(({ ok }) => ok))) {
          throw new Error("not ready yet");
        }
        const [id] = leaders;
        if (leaders.size !== 1 || id === null || id === undefined || this.#cut.has(id)) {
          throw new Error("no leader yet");
        }
        return this.get(id);
      },
      { timeout: 10_000, interval: 5 },
    );
    await leader.service.get(keyFor("any"), linearizable());
    return leader;
  }

  /** One that does not lead and is not cut off. */
  async follower(): Promise<LabNode> {
    const leader = await this.leader();
    const others = this.nodes.filter(({ id }) => id !== leader.id && !this.#cut.has(id));
    return must(others[0], "a follower");
  }

  /** Nothing reaches the node any more, nor does anything from it reach others. */
  cut(id: NodeId): void {
    this.#cut.add(id);
  }

  heal(): void {
    this.#cut.clear();
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  #runtime(): Runtime {
    const { sleptMs = () => 0 } = this.#options;
    const awakeAndAsleep = () => nodeRuntime.awakeAndAsleep() + sleptMs();
    return { ...nodeRuntime, awakeAndAsleep };
  }

  #isCut(a: NodeId, b: NodeId): boolean {
    return this.#cut.has(a) || this.#cut.has(b);
  }

  async #open(id: NodeId, ids: readonly NodeId[]): Promise<LabNode> {
    const disk = await this.#openDisk();
    const store = new KvStore();
    const leaders = new LeaderWatch(id);
    const opened = await new Promise<{ readonly node: RaftNode<KvResult> } | StorageError>(
      (done) => {
        openNode<KvResult>(
          {
            raft: this.#raftOptions(id, ids),
            doubt: null,
            random: new Prng(randomUUID()),
            snapshots: {
              entries: this.#options.snapshotEntries ?? 10_000,
              logBytes: 64 * MIB,
              trailingEntries: 0,
            },
            segmentBytesMax: 64 * MIB,
            disk,
            runtime: this.#runtime(),
            transport: this.#transportOf(id, disk),
            machine: store,
            onChange: (now) => leaders.update(now),
            onConfiguration: () => this.#nodes.get(id)?.service.members.update(),
            onSnapshot: () => {},
          },
          done,
        );
      },
    );
    if (opened instanceof Error) throw opened;
    const { node } = opened;
    const limits = { ...serviceLimits(ELECTION_MS), ...this.#options.limits };
    const clientUrlOf = (of: NodeId) => `http://${of}.test:4001`;
    const calls = this.#callsOf(id);
    const service = new KvService({
      node,
      store,
      calls,
      leaders,
      clock: nodeClock,
      limits,
      clientUrlOf,
      scrubStatus: () => ({ rounds: 2, damages: 1 }),
    });
    return { id, node, store, service };
  }

  async #openDisk(): Promise<NodeDisk> {
    const path = join(tmpdir(), `quorate-lab-${randomUUID()}`);
    let isClosing = false;
    const disk = await openNodeDisk({
      path,
      fail: (error) => {
        // What was under way when the directory was removed does not matter.
        if (!isClosing) throw error;
      },
    });
    this.#closers.push(async () => {
      isClosing = true;
      await disk.close();
      await rm(path, { recursive: true });
    });
    return disk;
  }

  #transportOf(from: NodeId, disk: NodeDisk): Transport {
    return {
      send: (to, messages) => {
        const delivered = messages.filter((message) => !this.isLost(message));
        setImmediate(() => {
          if (!this.#isCut(from, to)) this.#nodes.get(to)?.node.receive(delivered);
        });
      },
      sendSnapshot: (to, { name, bytes: size, term }, done) => {
        // A member that was never started.
        if (!this.#nodes.has(to)) {
          setImmediate(() => done(false));
          return;
        }
        disk.readAt(name, { offset: 0, length: size }, (data) => {
          const chunk = { from, term: term as Term, name, bytes: size, offset: 0, data };
          this.get(to).node.receiveSnapshot(chunk, (answer) => done(answer.type === "want"));
        });
      },
    };
  }

  /** As over a real network: what was sent to a node that is then cut off is never answered. */
  #callsOf(from: NodeId) {
    const ask = async <Reply>(
      about: Omit<Call, "from">,
      answer: (node: RaftNode<KvResult>) => Promise<Reply>,
      onAnswer: (reply: Reply, call: Call) => Promise<void>,
    ): Promise<Reply> => {
      const call: Call = { ...about, from };
      const { to } = call;
      this.calls.push(call);
      if (this.#isCut(from, to)) throw new PeerCallError(to, "no way there", { sent: false });
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      await this.onCall(call);
      if (this.#isCut(from, to)) throw new PeerCallError(to, "it is gone", { sent: true });
      const reply = await answer(this.get(to).node);
      await onAnswer(reply, call);
      if (this.#isCut(from, to)) throw new PeerCallError(to, "it is gone", { sent: true });
      return reply;
    };
    return {
      members: (to: NodeId, question: MemberQuestion) =>
        ask(
          { type: "members", to, proposals: 0 },
          (node) => acceptMembers(node, { from, question }),
          () => Promise.resolve(),
        ),
      forward: (to: NodeId, proposals: readonly Uint8Array[]) =>
        ask(
          { type: "forward", to, proposals: proposals.length },
          (node) => acceptForward(node, { from, proposals }),
          (reply, call) => this.onForwarded(reply, call),
        ),
      readIndex: (to: NodeId, _timeoutMs: number, { mayLease } = { mayLease: false }) =>
        ask(
          { type: "readIndex", to, proposals: 0 },
          (node) => acceptRead(node, mayLease ? "lease" : "quorum"),
          () => Promise.resolve(),
        ),
    };
  }

  #raftOptions(id: NodeId, ids: readonly NodeId[]) {
    return {
      id,
      bootstrap: configurationOf({ voters: ids }),
      heartbeatMs: ids.length === 1 ? 10 : 30,
      electionMs: ids.length === 1 ? LONELY_ELECTION_MS : ELECTION_MS,
      leaseMs: this.#options.leaseMs ?? 0,
      tickMs: 5,
      appendEntriesMax: 100,
      appendBytesMax: MIB,
      applyEntriesMax: 1_000,
      window: { bytes: 4 * MIB, messages: 8 },
      logBytesMax: 256 * MIB,
      unappliedEntriesMax: this.#options.unappliedEntriesMax ?? 10_000,
      unappliedBytesMax: 64 * MIB,
    };
  }
}

export function keyFor(text: string): Key {
  return keyOf(Buffer.from(text));
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A put without conditions. */
export function putOf(key: string, value: string) {
  const change = { key: keyFor(key), value: bytes(value), conditions: [], returnPrevious: false };
  return { type: "put", ...change } as const;
}

export function linearizable(timeoutMs = 5_000) {
  return { consistency: "linearizable", maxStaleMs: null, minRevision: null, timeoutMs } as const;
}

export function stale(maxStaleMs: number | null = null) {
  return { consistency: "stale", maxStaleMs, minRevision: null, timeoutMs: 1_000 } as const;
}

/** What a request failed with. */
export async function failure(request: Promise<unknown>): Promise<unknown> {
  return request.then(
    (value) => {
      throw new Error(`it did not fail: ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
