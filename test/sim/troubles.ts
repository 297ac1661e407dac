/** Carries out what a schedule says shall go wrong. */
import { majority } from "../../src/raft/quorum.ts";
import type { EventQueue } from "./events.ts";
import type { SimNetwork } from "./network.ts";
import {
  type Death,
  type LeaderTrouble,
  linksWhere,
  type Scheduled,
  type Trouble,
} from "./schedule.ts";
import { coreOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

export interface TroublesDeps {
  readonly schedule: readonly Scheduled[];
  readonly events: EventQueue;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly sometimes: Sometimes;
  readonly trace: (line: string) => void;
}

export class Troubles {
  private readonly deps: TroublesDeps;
  private readonly ofLeaders = new Map<number, { afterMs: number; trouble: LeaderTrouble }>();
  /** The newest term whose leader was looked at, and how many there were. */
  private newestTerm = 0;
  private leaders = 0;
  /** Counts partitions, so that one ends only itself. */
  private cuts = 0;

  constructor(deps: TroublesDeps) {
    this.deps = deps;
    for (const { when, trouble } of deps.schedule) {
      if ("leader" in when) {
        this.ofLeaders.set(when.leader, { ...when, trouble: trouble as LeaderTrouble });
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
    const planned = this.ofLeaders.get(this.leaders);
    if (planned === undefined) return;
    const { afterMs, trouble } = planned;
    this.deps.events.after(afterMs, () => this.unlessPeace(() => this.depose(node, trouble)));
  }

  /** A disk that failed has ended the process: it is started again, as a supervisor would. */
  died(node: SimNode): void {
    this.deps.events.after(RESTART_MS, () => {
      if (!node.isRunning) node.start();
    });
  }

  private unlessPeace(run: () => void): void {
    if (!this.deps.network.healed) run();
  }

  private begin(trouble: Trouble): void {
    const { nodes, network, events, sometimes, trace } = this.deps;
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
        return node.pause(trouble.ms);
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
    }
  }

  private depose(node: SimNode, trouble: LeaderTrouble): void {
    const { events, network, nodes, trace } = this.deps;
    if (trouble.kind === "leader dies") return this.crash(node, trouble);
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
    this.deps.events.after(downMs, () => {
      if (!node.isRunning) node.start();
    });
  }

  /** As long as a majority of the nodes has lost nothing: from them all can be made good. */
  private mayLose(node: SimNode): boolean {
    const { nodes } = this.deps;
    const whole = nodes.filter((other) => other !== node && !other.hasLost).length;
    return whole >= majority(nodes.length);
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
