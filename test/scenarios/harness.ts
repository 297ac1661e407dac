/**
 * A simulated cluster with the words of the MIT 6.5840 labs: connect, crash, `one`, `nCommitted`.
 * Nodes, log, recovery and store are the real ones; time is simulated. After every event the
 * simulator's checker looks at the node, so two leaders of a term, two entries committed at one
 * index, or a state that differs end the scenario at once.
 *
 * The labs number the commands, and have no other entries; here every term begins with an entry of
 * its own. So a command is known by its number among the commands, not by its index.
 */
import { assert, must } from "../../src/lib/assert.ts";
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/random.ts";
import { decodeCommand, encodeCommand } from "../../src/kv/command.ts";
import { keyOf } from "../../src/kv/key.ts";
import type { KvResult } from "../../src/kv/store.ts";
import type { Outcome } from "../../src/node/waiters.ts";
import type { Entry } from "../../src/raft/entry.ts";
import type { Refusal } from "../../src/raft/message.ts";
import type { Index, NodeId, Position } from "../../src/raft/types.ts";
import { Checker } from "../sim/checker.ts";
import { EventQueue } from "../sim/events.ts";
import { coreOf, SimNode } from "../sim/sim-node.ts";
import { ScenarioNetwork } from "./network.ts";

/** The labs' election timeout: how long their tests wait for what an election decides. */
export const ELECTION_TIMEOUT_MS = 1_000;
const AGREEMENT_MS = 10_000;
const ATTEMPT_MS = 2_000;
const LEADER_POLLS = 10;
/** A turn is due at once, so a node that runs has answered by then. */
const SUBMIT_MS = 1;
const SMALL_SEGMENT_BYTES = 500;
const TRACE_LINES = 60;
const TEST_MS = 120_000;

const OPTIONS = {
  nodes: 0,
  lossPercent: 0,
  repeatPercent: 0,
  delayMaxMs: 1,
  repeatDelayMaxMs: 1,
  linkMessagesMax: 1_000_000,
  diskMaxMs: 1,
  slowDiskPercent: 0,
  appendEntriesMax: 100,
  appendBytesMax: 1_000_000,
  windowMessages: 100,
  snapshotEntries: 1_000_000,
  trailingEntries: 0,
  segmentBytesMax: 100_000,
  snapshotChunkBytes: 10_000,
};

/** What a scenario begins with. */
export interface ClusterOptions {
  readonly seed: string;
  readonly nodes: number;
  readonly unreliable?: boolean;
  /** A snapshot after so many entries; without it, none. */
  readonly snapshotEntries?: number;
  /** How many entries go in one message; without it, as many as there are. */
  readonly appendEntriesMax?: number;
}

export class Cluster {
  readonly events = new EventQueue();
  readonly random: Prng;
  readonly network: ScenarioNetwork;
  readonly nodes: readonly SimNode[];
  private readonly checker: Checker;
  private readonly connected = new Set<SimNode>();
  private readonly running = new Set<SimNode>();
  /** What the cluster has applied: the command's text by index, or null where it is no command. */
  private readonly ledger: (string | null)[] = [];
  /** The indexes of the commands, in order. */
  private readonly commands: number[] = [];
  private readonly seen = new Map<NodeId, { generation: number; applied: number }>();
  private readonly lines: string[] = [];
  private nextText = 0;

  constructor({ seed, nodes, unreliable = false, ...limits }: ClusterOptions) {
    const { snapshotEntries, appendEntriesMax = OPTIONS.appendEntriesMax } = limits;
    const options = {
      ...OPTIONS,
      nodes,
      appendEntriesMax,
      snapshotEntries: snapshotEntries ?? OPTIONS.snapshotEntries,
      // Logs are cut off file by file, so short logs need small files.
      segmentBytesMax:
        snapshotEntries === undefined ? OPTIONS.segmentBytesMax : SMALL_SEGMENT_BYTES,
    };
    this.random = new Prng(`${seed}/scenario`);
    this.checker = new Checker(nodes);
    this.network = new ScenarioNetwork(this.events, new Prng(`${seed}/network`), options);
    this.network.setReliable(!unreliable);
    const ids = Array.from({ length: nodes }, (_, i) => `n${i + 1}` as NodeId);
    const { events, network } = this;
    const onEvent = (node: SimNode) => this.observe(node);
    const trace = (line: string) => {
      this.lines.push(`${events.now} ${line}`);
      if (this.lines.length > TRACE_LINES) this.lines.shift();
    };
    const shared = { ids, seed, options, events, network, onEvent, trace };
    this.nodes = ids.map((id) => new SimNode({ ...shared, id }));
    for (const node of this.nodes) this.start(node);
  }

  /** The last lines of what happened. */
  get trace(): string {
    return this.lines.join("\n");
  }

  node(i: number): SimNode {
    return must(this.nodes[i % this.nodes.length], "a node");
  }

  /** Lets so much time pass. */
  run(ms: number): void {
    this.until(() => false, ms);
  }

  /** Lets time pass until the condition holds, but no more than `ms`. Tells whether it does. */
  until(holds: () => boolean, ms: number): boolean {
    let over = false;
    this.events.after(ms, () => {
      over = true;
    });
    while (!over && !holds()) assert(this.events.step(), "nothing happens any more");
    assert(this.events.now <= TEST_MS, "a scenario takes at most 120 s");
    return holds();
  }

  isConnected(node: SimNode): boolean {
    return this.connected.has(node);
  }

  /** Nothing goes from the node or to it any more. */
  disconnect(...nodes: readonly SimNode[]): void {
    for (const node of nodes) this.connected.delete(node);
    this.cut();
  }

  connect(...nodes: readonly SimNode[]): void {
    for (const node of nodes) this.connected.add(node);
    this.cut();
  }

  /** Only nodes in the same group hear each other; those in none hear nobody. */
  partition(...groups: readonly (readonly SimNode[])[]): void {
    const groupOf = (node: SimNode) => groups.findIndex((group) => group.includes(node));
    this.cut((a, b) => groupOf(a) === -1 || groupOf(a) !== groupOf(b));
  }

  /** The machine loses power, and with it what is not on disk. */
  crash(node: SimNode): void {
    if (this.running.delete(node)) node.stop("power");
    this.disconnect(node);
  }

  /** Starts the node after a crash; returns when it has read its disk. */
  restart(node: SimNode): void {
    this.crash(node);
    this.start(node);
    assert(
      this.until(() => node.isUp, 1_000),
      "a node starts",
    );
  }

  isRunning(node: SimNode): boolean {
    return this.running.has(node);
  }

  /** A text that no other command has. */
  text(bytes = 0): string {
    return `${this.nextText++}`.padEnd(bytes, ".");
  }

  /** Hands the command to this node. Null: it does not answer. */
  submit(node: SimNode, text: string): Position | Refusal | null {
    let result: Position | Refusal | null = null;
    node.run(node.generation, () =>
      node.life?.node.submit([put(text)], (taken) => {
        result = taken;
      }),
    );
    if (node.isUp) this.until(() => result !== null, SUBMIT_MS);
    return result;
  }

  /** Hands the command to this node and tells once what becomes of it, if it is ever known. */
  submitAndWait(node: SimNode, text: string, done: (outcome: Told) => void): void {
    this.propose(node, put(text), done);
  }

  /** Hands any command of the store to this node, the same way. */
  propose(node: SimNode, data: Uint8Array, done: (outcome: Told) => void): void {
    node.run(node.generation, () => {
      const { life } = node;
      if (life === null) return done({ kind: "refused" });
      life.node.submit([data], (taken) => {
        if (typeof taken === "string") done({ kind: "refused" });
        else life.node.whenApplied(taken, done);
      });
    });
  }

  /** How many nodes that run have applied the command with this number. */
  nCommitted(number: number): number {
    const index = this.commands[number - 1];
    return index === undefined ? 0 : this.appliers(index);
  }

  /** How many commands are applied somewhere. */
  get commandCount(): number {
    return this.commands.length;
  }

  /** The texts of the applied commands. */
  get applied(): readonly string[] {
    return this.ledger.filter((text) => text !== null);
  }

  /**
   * Has one command applied by so many nodes, and returns its number. Within ten seconds; a leader
   * gets two. Without `retry`, the first leader that takes the command must succeed.
   */
  one(expected: number, { retry = true, text = this.text() } = {}): number {
    const deadline = this.events.now + AGREEMENT_MS;
    while (this.events.now < deadline) {
      const position = this.submitToLeader(text);
      if (position === null) {
        this.run(50);
        continue;
      }
      const agreed = () =>
        this.ledger[position.index - 1] === text && this.appliers(position.index) >= expected;
      if (this.until(agreed, ATTEMPT_MS)) return this.commands.indexOf(position.index) + 1;
      assert(retry, () => `no agreement on ${text}\n${this.trace}`);
    }
    throw new Error(`no agreement on ${text} within 10 s\n${this.trace}`);
  }

  /** The one connected leader of the newest term that has one; it appears within ten polls. */
  checkOneLeader(): SimNode {
    for (let poll = 0; poll < LEADER_POLLS; poll++) {
      this.run(this.random.between(450, 550));
      const leaders = this.leaders().filter((node) => this.isConnected(node));
      const newest = Math.max(...leaders.map((node) => coreOf(node).term));
      const found = leaders.filter((node) => coreOf(node).term === newest);
      assert(found.length <= 1, "two leaders in one term");
      const [leader] = found;
      if (leader !== undefined) return leader;
    }
    throw new Error(`no leader\n${this.trace}`);
  }

  /** All nodes that run and say that they lead, whether connected or not. */
  leaders(): readonly SimNode[] {
    return this.nodes.filter((node) => node.isUp && coreOf(node).role.kind === "leader");
  }

  /** The term that all connected nodes are in. */
  checkTerms(): number {
    const up = this.nodes.filter((node) => node.isUp && this.isConnected(node));
    const terms = new Set(up.map((node) => coreOf(node).term));
    assert(terms.size === 1, () => `they are in the terms ${[...terms].join(", ")}`);
    return must([...terms][0], "a term");
  }

  others(...nodes: readonly SimNode[]): readonly SimNode[] {
    return this.nodes.filter((node) => !nodes.includes(node));
  }

  /** The largest log that a node keeps, in bytes. */
  logBytes(): number {
    const up = this.nodes.filter((node) => node.isUp);
    return Math.max(...up.map((node) => coreOf(node).log.bytes));
  }

  /** Forgets the history of the store, as a server does by itself after a while. */
  compact(): void {
    this.compactLater();
    this.run(SUBMIT_MS);
  }

  /** The same, without waiting. */
  compactLater(): void {
    for (const leader of this.leaders()) {
      const { revision } = must(leader.life, "it leads").store;
      this.propose(leader, encodeCommand({ type: "compact", revision }), () => {});
    }
  }

  private start(node: SimNode): void {
    this.running.add(node);
    node.start();
    this.connect(node);
  }

  private submitToLeader(text: string): Position | null {
    for (const node of this.nodes) {
      if (!this.isConnected(node) || !node.isUp) continue;
      const taken = this.submit(node, text);
      if (taken !== null && typeof taken !== "string") return taken;
    }
    return null;
  }

  private appliers(index: number): number {
    return this.nodes.filter((node) => node.isUp && coreOf(node).log.applied >= index).length;
  }

  private cut(extra: (a: SimNode, b: SimNode) => boolean = () => false): void {
    const links: string[] = [];
    for (const a of this.nodes) {
      for (const b of this.nodes) {
        const isOff = !this.isConnected(a) || !this.isConnected(b);
        if (a !== b && (isOff || extra(a, b))) links.push(`${a.id}>${b.id}`);
      }
    }
    this.network.partition(links);
  }

  /** Whatever is applied anywhere first is what everybody must apply there. */
  private observe(node: SimNode): void {
    this.checker.check(node);
    const { log } = coreOf(node);
    const { generation } = node;
    const known = this.seen.get(node.id);
    // What a node has at its start comes from its snapshot.
    const before = known?.generation === generation ? known.applied : log.applied;
    assert(before <= this.ledger.length, () => `${node.id} begins with what nobody has applied`);
    for (let index = Math.max(before, log.base.index) + 1; index <= log.applied; index++) {
      const text = textOf(log.entryAt(index as Index));
      if (index === this.ledger.length + 1) {
        this.ledger.push(text);
        if (text !== null) this.commands.push(index);
      }
      assert(this.ledger[index - 1] === text, () => `${node.id} applies something else: ${text}`);
    }
    this.seen.set(node.id, { generation, applied: log.applied });
  }
}

/** What a client is told. */
export type Told = Outcome<KvResult> | { readonly kind: "refused" };

const KEY = keyOf(bytesOf("k"));

function put(text: string): Uint8Array {
  const command = { type: "put", key: KEY, value: bytesOf(text) } as const;
  return encodeCommand({ ...command, conditions: [], returnPrevious: false });
}

function textOf(entry: Entry): string | null {
  if (entry.kind !== "command") return null;
  const command = decodeCommand(entry.data);
  return command.type === "put" ? byteString(command.value) : null;
}
