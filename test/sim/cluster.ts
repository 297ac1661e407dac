/** A whole simulated cluster: one seed, one history. First trouble, then peace and progress. */
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { Checker } from "./checker.ts";
import { EventQueue } from "./events.ts";
import { SimNetwork } from "./network.ts";
import { drawOptions, type SwarmOptions } from "./options.ts";
import { coreOf, ELECTION_MS, SimNode } from "./sim-node.ts";
import { Troubles } from "./troubles.ts";
import { Workload } from "./workload.ts";

/** What a run came to. */
export interface SimResult {
  readonly events: number;
  readonly simulatedMs: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly leaders: number;
  readonly committed: number;
}

const TRACE_LINES = 50;
const TROUBLE_MS = 12_000;
const PEACE_MS = 60_000;
const EVENTS_MAX = 2_000_000;

export class SimCluster {
  readonly seed: string;
  readonly options: SwarmOptions;
  /** The last lines of what happened, or all of it. */
  readonly lines: string[] = [];
  readonly events = new EventQueue();
  readonly nodes: readonly SimNode[];
  private readonly network: SimNetwork;
  private readonly checker: Checker;
  private readonly workload: Workload;
  private readonly troubles: Troubles;
  private readonly keepTrace: boolean;

  constructor(seed: string, { trace }: { readonly trace: boolean }) {
    this.seed = seed;
    this.keepTrace = trace;
    this.options = drawOptions(new Prng(`${seed}/options`));
    const { events, options } = this;
    this.network = new SimNetwork(events, new Prng(`${seed}/network`), options);
    this.checker = new Checker(options.nodes);
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}` as NodeId);
    const shared = { ids, seed, options, events, network: this.network };
    const onEvent = (node: SimNode) => {
      this.checker.check(node);
      this.troubles.afterEvent(node);
    };
    const log = (line: string) => this.trace(line);
    this.nodes = ids.map((id) => new SimNode({ ...shared, id, onEvent, trace: log }));
    const random = new Prng(`${seed}/trouble`);
    const { network, nodes } = this;
    this.troubles = new Troubles({ random, events, network, nodes, options, trace: log });
    this.workload = new Workload({
      events,
      random: new Prng(`${seed}/workload`),
      network: this.network,
      nodes: this.nodes,
      keys: options.keys,
      clients: options.clients,
    });
    for (const node of this.nodes) node.start();
  }

  /** Runs the seed to its end. Throws where anything that must hold does not. */
  run(): SimResult {
    this.troubles.plan();
    this.runUntil(TROUBLE_MS);
    this.troubles.end();
    this.runUntilCalm();
    const { events, checker, workload } = this;
    const { acknowledged, reads } = workload;
    const { leaders, committed } = checker;
    const simulatedMs = events.now;
    return { events: events.count, simulatedMs, acknowledged, reads, leaders, committed };
  }

  private runUntil(ms: number): void {
    while (this.events.now < ms && this.events.step()) {
      assert(this.events.count < EVENTS_MAX, "the events never end");
    }
  }

  /** Progress: everybody gets the same state, with a write made after the trouble. */
  private runUntilCalm(): void {
    const deadline = this.events.now + PEACE_MS;
    const target = this.checker.committed + 5;
    const settled = () =>
      this.nodes.every((node) => node.isUp && coreOf(node).log.applied >= target && !node.hasLost);
    while (!settled()) {
      const late = this.events.now > deadline;
      assert(
        !late,
        () => `no progress ${PEACE_MS / ELECTION_MS} election timeouts after the trouble`,
      );
      assert(this.events.step(), "nothing happens any more");
    }
    for (const { life } of this.nodes) {
      // One may be behind what was acknowledged; the one that is furthest is not.
      const ahead = this.nodes.every(
        (other) => applied(other) <= (life ? life.raft.core.log.applied : 0),
      );
      if (life !== null && ahead) this.workload.checkFinal(life.store);
    }
  }

  private trace(line: string): void {
    this.lines.push(`${this.events.now} ${line}`);
    if (!this.keepTrace && this.lines.length > TRACE_LINES) this.lines.shift();
  }
}

function applied(node: SimNode): number {
  return coreOf(node).log.applied;
}
