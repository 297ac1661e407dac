/** Carries out what a schedule says shall go wrong. */
import { type Configurations, couldGoOn } from "./configurations.ts";
import type { EventQueue } from "./events.ts";
import type { SimNetwork } from "./network.ts";
import type { Operators } from "./operators.ts";
import {
  type Aftermath,
  type Death,
  type LeaderTrouble,
  linksWhere,
  type Scheduled,
  type Trouble,
} from "./schedule.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { coreOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

export interface TroublesDeps {
  readonly schedule: readonly Scheduled[];
  readonly events: EventQueue;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly configurations: Configurations;
  readonly operators: Operators;
  readonly sometimes: Sometimes;
  readonly trace: (line: string) => void;
}

const SLEEP_MS_MIN = 100;

export class Troubles {
  private readonly deps: TroublesDeps;
  private readonly ofLeaders = new Map<number, { afterMs: number; trouble: LeaderTrouble }[]>();
  /** The newest term whose leader was looked at, and how many there were. */
  private newestTerm = 0;
  private leaders = 0;
  /** Counts partitions, so that one ends only itself. */
  private cuts = 0;

  constructor(deps: TroublesDeps) {
    this.deps = deps;
    for (const { when, trouble } of deps.schedule) {
      if ("leader" in when) {
        const planned = this.ofLeaders.get(when.leader) ?? [];
        this.ofLeaders.set(when.leader, planned);
        planned.push({ ...when, trouble: trouble as LeaderTrouble });
      } else {
        deps.events.after(when.at, () => this.unlessPeace(() => this.begin(trouble as Trouble)));
      }
    }
  }

  /** All links and disks work again; what is down comes up when what stopped it has meant to. */
  end(): void {
    const { network, nodes, trace } = this.deps;
    trace("peace");
    network.heal();
    for (const node of nodes) {
      node.failing = null;
      node.releaseDisk();
    }
  }

  /** Looks for a new leader. */
  afterEvent(node: SimNode): void {
    const { role, term } = coreOf(node);
    if (role.kind !== "leader" || this.newestTerm >= term) return;
    this.newestTerm = term;
    this.leaders += 1;
    for (const { afterMs, trouble } of this.ofLeaders.get(this.leaders) ?? []) {
      this.later(afterMs, () => this.befall(node, trouble));
    }
  }

  private later(afterMs: number, run: () => void): void {
    this.deps.events.after(afterMs, () => this.unlessPeace(run));
  }

  /** A disk that failed has ended the process: it is started again, as a supervisor would. */
  died(node: SimNode): void {
    this.startLater(node, RESTART_MS);
  }

  /** Unless it was shut down for good by then. */
  private startLater(node: SimNode, afterMs: number): void {
    const { machine } = node;
    this.deps.events.after(afterMs, () => {
      if (node.isPresent && node.machine === machine && !node.isRunning) node.start();
    });
  }

  private unlessPeace(run: () => void): void {
    if (!this.deps.network.healed) run();
  }

  private begin(trouble: Trouble): void {
    const { nodes, network, events, operators, sometimes, trace } = this.deps;
    const node = nodes["node" in trouble ? trouble.node : 0] as SimNode;
    switch (trouble.kind) {
      case "death":
        return this.crash(node, trouble);
      case "blackout":
        trouble.downMs.forEach((downMs, at) => {
          this.crash(nodes[at] as SimNode, { how: "power", downMs, loss: null });
        });
        return sometimes.saw("all nodes were without power at once");
      case "pause":
        // No machine sleeps for moments only.
        return node.pause(trouble.ms, trouble.ms > SLEEP_MS_MIN && trouble.ms % 3 === 0);
      case "hang":
        return this.hang(node, trouble.ms);
      case "fail":
        if (!node.isRunning) return;
        trace(`${node.id} the next ${trouble.of} fails`);
        node.failing = trouble.of;
        return;
      case "partition":
        this.cuts += 1;
        trace(`partition ${trouble.links.join(" ")}`);
        return network.partition(trouble.links);
      case "clog":
        trace(`clog ${trouble.link} ${trouble.ms}`);
        return network.clog(trouble.link, events.now + trouble.ms);
      case "change":
        return operators.change(trouble, (leader) => this.follow(leader, trouble.after));
      case "transfer":
        return operators.transfer(trouble, (leader) => this.follow(leader, trouble.after));
    }
  }

  private follow(leader: SimNode, after: Aftermath | null): void {
    if (after !== null) this.later(after.afterMs, () => this.befall(leader, after.trouble));
  }

  private befall(node: SimNode, trouble: LeaderTrouble): void {
    if (trouble.kind === "leader dies") return this.crash(node, trouble);
    if (trouble.kind === "leader is cut off") return this.cutOff(node, trouble);
    this.deps.operators.changeAt(node, trouble.wishes, () => {});
  }

  private cutOff(node: SimNode, trouble: { readonly with: readonly number[]; ms: number }): void {
    const { events, network, nodes, trace } = this.deps;
    const own = nodes.indexOf(node);
    const side = new Set([own, ...trouble.with.map((place) => (own + place) % nodes.length)]);
    const links = linksWhere(nodes.length, (from, to) => side.has(from) !== side.has(to));
    trace(`${node.id} leads, and is cut off: ${links.join(" ")}`);
    network.partition(links);
    const cut = ++this.cuts;
    events.after(trouble.ms, () => {
      if (this.cuts === cut) network.partition([]);
    });
  }

  private crash(node: SimNode, { how, downMs, loss }: Death): void {
    if (!node.isRunning) return;
    node.stop(how);
    if (loss !== null && this.mayLose(node)) node.lose(loss);
    this.startLater(node, downMs);
  }

  /**
   * As long as a quorum has lost nothing, of every configuration that may be in force: from it all
   * can be made good. A start with damage looks at the first configuration only.
   */
  private mayLose(node: SimNode): boolean {
    const { nodes, configurations, operators } = this.deps;
    if (operators.isAsking || !node.canBeHelped) return false;
    const hasLost = (id: NodeId) =>
      nodes.some((other) => other.id === id && (other === node || other.hasLost));
    return configurations.possible.every((config) => couldGoOn(config, hasLost));
  }

  private hang(node: SimNode, ms: number): void {
    if (!node.isRunning) return;
    node.hangDisk();
    const { generation } = node;
    this.deps.events.after(ms, () => {
      if (node.generation === generation) node.releaseDisk();
    });
  }
}

const RESTART_MS = 500;
