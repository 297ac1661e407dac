/**
 * Goes through everything that can happen to a cluster of three, breadth first, within bounds.
 *
 * A message that was sent may be delivered at any time, any number of times, in any order, or
 * never: so the network is a set that only grows, and loss, repetition and reordering need no steps
 * of their own. Only messages that can do nothing any more are taken out.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Entry } from "../../src/raft/entry.ts";
import type { Message } from "../../src/raft/message.ts";
import type { NodeId } from "../../src/raft/types.ts";
import {
  type Disk,
  type Event,
  eventOf,
  keyOf,
  NodeModel,
  type NodeModelOptions,
  NODES,
  type NodeState,
} from "./node-model.ts";
import { Interner, StateTable } from "./state-table.ts";
import { type Permutation, PERMUTATIONS, Symmetry } from "./symmetry.ts";
import { describeEntry } from "./values.ts";
import { nothingSeen, observe, type Witness } from "./witness.ts";

export interface Bounds {
  /** No election begins beyond this term. */
  readonly terms: number;
  /** How often a node stands for election, altogether. */
  readonly elections: number;
  /** How often a leader takes commands of clients, altogether, … */
  readonly proposals: number;
  /** … and how many at once. */
  readonly commandsAtOnce: number;
  readonly crashes: number;
  /** Heartbeats with everything that is sent again. */
  readonly beats: number;
  /** Leaders that step down because they hear nobody. */
  readonly silences: number;
}

export interface ExplorerOptions extends Omit<NodeModelOptions, "beats"> {
  readonly bounds: Bounds;
  /** What is on the disks at first. */
  readonly disks: readonly Disk[];
}

/** What was found, and how much was gone through. */
export interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** The most steps from the start to a state that was gone through. */
  readonly depth: number;
  readonly nodeStates: number;
  readonly messages: number;
  /** The most entries that were ever committed, and the most terms that ever had a leader. */
  readonly committed: number;
  readonly leaders: number;
  /** Everything within the bounds was seen. */
  readonly complete: boolean;
  /** The shortest way to something wrong, the last line saying what. Null: there is none. */
  readonly violation: readonly string[] | null;
}

const BUDGET = ["elections", "proposals", "crashes", "beats", "silences"] as const;
type Budget = Record<(typeof BUDGET)[number], number>;
const COUNT_MAX = 16;
const [NET, WITNESS, LEFT] = [3, 4, 5];
/** How often the time is looked at, in states. */
const LOOK = 1_024;

export class Explorer {
  private readonly bounds: Bounds;
  private readonly model: NodeModel;
  private readonly table = new StateTable(6);
  /** How each state was reached: the state before it, what happened there, and the new names. */
  private readonly parents: number[] = [];
  private readonly ways: number[] = [];
  private readonly permutations: number[] = [];
  private readonly nets = new Interner<readonly number[]>();
  private readonly witnesses = new Interner<Witness>();
  private readonly symmetry: Symmetry;
  private steps = 0;
  private violation: readonly string[] | null = null;

  constructor(options: ExplorerOptions) {
    this.bounds = options.bounds;
    this.model = new NodeModel({ ...options, beats: options.bounds.beats > 0 });
    const nodes = NODES.map((id, i) => this.model.start(id, options.disks[i] as Disk));
    const left = BUDGET.reduce((sum, name) => sum * COUNT_MAX + options.bounds[name], 0);
    const net = this.nets.intern("", []);
    const witness = this.witnesses.intern(JSON.stringify(nothingSeen), nothingSeen);
    this.symmetry = new Symmetry(this.model, this.nets, this.witnesses);
    this.table.add([...nodes.map(({ id }) => id), net, witness, left]);
    this.parents.push(-1);
    this.ways.push(-1);
    this.permutations.push(0);
  }

  /** Explores for at most so long, and at most so many states. */
  run({ seconds, states = Number.POSITIVE_INFINITY }: Limits): Exploration {
    const endsAt = performance.now() + seconds * 1_000;
    let at = 0;
    let depth = 0;
    let levelEnd = 1;
    for (; at < this.table.size && this.violation === null; at++) {
      if (at === levelEnd) {
        depth += 1;
        levelEnd = this.table.size;
      }
      if (at % LOOK === 0 && performance.now() > endsAt) break;
      if (this.table.size > states) break;
      this.expand(at);
    }
    return {
      states: this.table.size,
      steps: this.steps,
      depth,
      nodeStates: this.model.states.length,
      messages: this.model.messages.length,
      committed: Math.max(...this.witnesses.values.map(({ committed }) => committed.length)),
      leaders: Math.max(...this.witnesses.values.map(({ leaders }) => countLeaders(leaders))),
      complete: at === this.table.size && this.violation === null,
      violation: this.violation,
    };
  }

  /** Takes every step that is possible in a state. */
  private expand(at: number): void {
    const nodes = [0, 1, 2].map((i) => this.nodeAt(at, i));
    const net = this.nets.values[this.table.at(at, NET)] as readonly number[];
    const left = budgetOf(this.table.at(at, LEFT));
    for (const message of net) {
      const to = NODES.indexOf((this.model.messages[message] as Message).to);
      this.step({ at, nodes, net }, to, { type: "deliver", message });
    }
    for (let i = 0; i < NODES.length; i++) {
      for (const event of this.eventsOf(nodes[i] as NodeState, left)) {
        this.step({ at, nodes, net }, i, event);
      }
    }
  }

  /** What can happen to a node by itself. */
  private eventsOf(node: NodeState, left: Budget): Event[] {
    const events: Event[] = [];
    const leads = node.role === "leader";
    if (node.pending > 0) events.push({ type: "persist" });
    const mayStand = left.elections > 0 && node.term < this.bounds.terms;
    if (!leads && mayStand) events.push({ type: "timeout" });
    if (leads && left.proposals > 0)
      events.push({ type: "propose", commands: this.commands(left) });
    if (leads && left.beats > 0) events.push({ type: "beat" });
    if (leads && left.silences > 0) events.push({ type: "silence" });
    if (left.crashes > 0) {
      for (let kept = 0; kept <= node.pending; kept++) events.push({ type: "crash", kept });
    }
    return events;
  }

  private commands({ proposals }: Budget): readonly number[] {
    const { commandsAtOnce: count } = this.bounds;
    return Array.from({ length: count }, (_, i) => proposals * count + i);
  }

  private step(from: Place, at: number, event: Event): void {
    this.steps += 1;
    const before = from.nodes[at] as NodeState;
    const { state, sent, failure } = this.model.outcome(before, event);
    if (failure !== null) return this.report(from.at, wayOf(at, event), failure);
    if (event.type === "deliver" && state === before && sent.every((m) => from.net.includes(m))) {
      return;
    }
    const nodes = [...from.nodes];
    nodes[at] = state;
    const isNew = !sent.every((m) => from.net.includes(m));
    const net =
      isNew || changesWhatCounts(before, state)
        ? this.netAfter(from.net, sent, nodes)
        : this.table.at(from.at, NET);
    const witnessId = this.table.at(from.at, WITNESS);
    const known = this.witnesses.values[witnessId] as Witness;
    const seen = observe(known, nodes, at);
    if (typeof seen === "string") return this.report(from.at, wayOf(at, event), seen);
    const witness = seen === known ? witnessId : this.witnesses.intern(JSON.stringify(seen), seen);
    const left = spent(this.table.at(from.at, LEFT), event);
    const [a, b, c] = nodes as [NodeState, NodeState, NodeState];
    const { row, permutation } = this.symmetry.canonical([a.id, b.id, c.id, net, witness]);
    if (this.table.add([...row, left]) === -1) return;
    this.parents.push(from.at);
    this.ways.push(wayOf(at, event));
    this.permutations.push(permutation);
  }

  private netAfter(
    net: readonly number[],
    sent: readonly number[],
    nodes: readonly NodeState[],
  ): number {
    const all = net.filter((m) => !this.isSpentIn(m, nodes));
    for (const m of sent) if (!all.includes(m) && !this.isSpentIn(m, nodes)) all.push(m);
    all.sort((a, b) => a - b);
    return this.nets.intern(all.join(), all);
  }

  private isSpentIn(message: number, nodes: readonly NodeState[]): boolean {
    return isSpent(this.model.messages[message] as Message, nodes, this.bounds.terms);
  }

  private nodeAt(at: number, node: number): NodeState {
    return this.model.states[this.table.at(at, node)] as NodeState;
  }

  /** Tells the way to where something is wrong, with the names that the nodes had at first. */
  private report(from: number, last: number, what: string): void {
    if (this.violation !== null) return;
    const way: number[] = [];
    for (let at = from; at > 0; at = this.parents[at] as number) way.push(at);
    let names: readonly NodeId[] = NODES;
    const lines: string[] = [];
    for (const at of way.reverse()) {
      lines.push(this.tell(this.ways[at] as number, names));
      const permutation = PERMUTATIONS[this.permutations[at] as number] as Permutation;
      const before = names;
      names = NODES.map((_, i) => before[permutation.indexOf(i)] as NodeId);
    }
    this.violation = [...lines, this.tell(last, names), what];
  }

  private tell(way: number, names: readonly NodeId[]): string {
    const name = names[way % NODES.length] as string;
    const { type, detail } = eventOf(Math.floor(way / NODES.length));
    if (type === "crash") return `${name} crashes, ${detail} of its writes on disk`;
    if (type !== "deliver") return `${name}: ${type}`;
    const { from, to: _, term, ...body } = this.model.messages[detail] as Message;
    const shown = JSON.stringify(body, (key, value: unknown) => {
      return key === "entries" ? (value as readonly Entry[]).map(describeEntry) : value;
    });
    return `${name} receives from ${names[NODES.indexOf(from)]} in term ${term}: ${shown}`;
  }
}

function countLeaders(leaders: readonly number[]): number {
  return leaders.filter((at) => at >= 0).length;
}

function wayOf(node: number, event: Event): number {
  return keyOf(event) * NODES.length + node;
}

interface Limits {
  readonly seconds: number;
  readonly states?: number;
}

interface Place {
  readonly at: number;
  readonly nodes: readonly NodeState[];
  readonly net: readonly number[];
}

/**
 * Whether a message can do nothing any more, whatever happens: its receiver is past its term, even
 * after a crash, and would not answer, or only say what its sender knows already.
 */
function isSpent(m: Message, nodes: readonly NodeState[], terms: number): boolean {
  const to = nodes[NODES.indexOf(m.to)] as NodeState;
  const from = nodes[NODES.indexOf(m.from)] as NodeState;
  if (to.diskTerm < m.term) return false;
  const isPast = to.diskTerm > m.term;
  switch (m.type) {
    case "voted":
      return isPast || to.role !== "candidate" || to.term > m.term;
    case "appended":
    case "copied":
    case "rejoin":
    case "refused":
    case "heard":
      return isPast || to.role !== "leader" || to.term > m.term;
    case "stale":
      return true;
    case "commit":
    case "timeoutNow":
      return isPast;
    case "vote":
      if (isPast) return from.diskTerm === terms;
      // The vote is given for good, and nobody counts votes any more.
      return to.diskVote !== null && from.diskTerm >= m.term && !isCandidate(from, m.term);
    case "append":
    case "heartbeat":
      return isPast && from.diskTerm === terms;
    case "prevote":
    case "prevoted":
    case "snapshot":
      return false;
  }
}

/** Whether it may make a difference to `isSpent`. */
function changesWhatCounts(before: NodeState, after: NodeState): boolean {
  return (
    before.term !== after.term ||
    before.role !== after.role ||
    before.diskTerm !== after.diskTerm ||
    before.diskVote !== after.diskVote
  );
}

function isCandidate({ role, term }: NodeState, inTerm: number): boolean {
  return role === "candidate" && term === inTerm;
}

function budgetOf(left: number): Budget {
  const budget: Budget = { elections: 0, proposals: 0, crashes: 0, beats: 0, silences: 0 };
  let rest = left;
  for (const name of [...BUDGET].reverse()) {
    budget[name] = rest % COUNT_MAX;
    rest = Math.floor(rest / COUNT_MAX);
  }
  return budget;
}

const COSTS: Partial<Record<Event["type"], (typeof BUDGET)[number]>> = {
  timeout: "elections",
  propose: "proposals",
  crash: "crashes",
  beat: "beats",
  silence: "silences",
};

function spent(left: number, { type }: Event): number {
  const name = COSTS[type];
  if (name === undefined) return left;
  const budget = budgetOf(left);
  assert(budget[name] > 0, "more happened than is allowed");
  return left - COUNT_MAX ** (BUDGET.length - 1 - BUDGET.indexOf(name));
}
