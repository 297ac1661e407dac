/** A whole simulated cluster: one seed, one history. First trouble, then peace and progress. */
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { Checker } from "./checker.ts";
import { EventQueue } from "./events.ts";
import { SimNetwork } from "./network.ts";
import { drawOptions, type SimOptions } from "./options.ts";
import { coreOf, ELECTION_MS, SimNode } from "./sim-node.ts";
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
  readonly options: SimOptions;
  /** The last lines of what happened, or all of it. */
  readonly lines: string[] = [];
  readonly events = new EventQueue();
  readonly nodes: readonly SimNode[];
  private readonly network: SimNetwork;
  private readonly checker: Checker;
  private readonly workload: Workload;
  private readonly random: Prng;
  private readonly keepTrace: boolean;

  constructor(seed: string, { trace }: { readonly trace: boolean }) {
    this.seed = seed;
    this.keepTrace = trace;
    this.options = drawOptions(new Prng(`${seed}/options`));
    this.random = new Prng(`${seed}/trouble`);
    const { events, options } = this;
    this.network = new SimNetwork(events, new Prng(`${seed}/network`), options);
    this.checker = new Checker(options.nodes);
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}` as NodeId);
    const shared = { ids, seed, options, events, network: this.network };
    const onEvent = (node: SimNode) => this.checker.check(node);
    const log = (line: string) => this.trace(line);
    this.nodes = ids.map((id) => new SimNode({ ...shared, id, onEvent, trace: log }));
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
    this.planTrouble();
    this.runUntil(TROUBLE_MS);
    this.makePeace();
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

  private planTrouble(): void {
    const { everyMs } = this.options.trouble;
    if (everyMs === 0) return;
    this.events.after(this.random.between(1, 2 * everyMs), () => {
      if (this.network.healed) return;
      this.trouble();
      this.planTrouble();
    });
  }

  private trouble(): void {
    const { random } = this;
    const { crashes, powerCuts, pauses, partitions, hungDisks } = this.options.trouble;
    const node = random.pick(this.nodes);
    switch (random.below(6)) {
      case 0:
        if (crashes) this.crash(node, "kill");
        return;
      case 1:
        if (powerCuts) this.crash(node, "power");
        return;
      case 2:
        // All machines lose power at once: only what is on disk counts.
        if (powerCuts && random.chance(20))
          for (const each of this.nodes) this.crash(each, "power");
        return;
      case 3:
        if (pauses) node.pause(random.between(10, 3_000));
        return;
      case 4:
        if (partitions) this.partition();
        return;
      case 5:
        if (hungDisks && node.isUp) this.hang(node);
        return;
      default:
        return;
    }
  }

  private crash(node: SimNode, how: "kill" | "power"): void {
    if (!node.isUp) return;
    node.stop(how);
    this.events.after(this.random.between(1, 3_000), () => {
      if (!node.isUp) node.start();
    });
  }

  private hang(node: SimNode): void {
    node.hangDisk();
    const { generation } = node;
    this.events.after(this.random.between(100, 4_000), () => {
      if (node.generation === generation) node.releaseDisk();
    });
  }

  private partition(): void {
    const { random } = this;
    const links: string[] = [];
    const kind = random.below(4);
    const side = new Set(this.nodes.filter(() => random.chance(50)).map(({ id }) => id));
    for (const { id: from } of this.nodes) {
      for (const { id: to } of this.nodes) {
        const crosses = side.has(from) !== side.has(to);
        const oneWay = side.has(from) && !side.has(to);
        const cut = [false, crosses, oneWay, random.chance(30)][kind];
        if (cut) links.push(`${from}>${to}`);
      }
    }
    this.trace(`partition ${links.join(" ")}`);
    this.network.partition(links);
  }

  private makePeace(): void {
    this.trace("peace");
    this.network.healed = true;
    this.network.partition([]);
    for (const node of this.nodes) {
      node.releaseDisk();
      // A node that is down will be started by what stopped it.
    }
  }

  /** Progress: everybody gets the same state, with a write made after the trouble. */
  private runUntilCalm(): void {
    const deadline = this.events.now + PEACE_MS;
    const target = this.checker.committed + 5;
    const settled = () =>
      this.nodes.every((node) => node.isUp && coreOf(node).log.applied >= target);
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
