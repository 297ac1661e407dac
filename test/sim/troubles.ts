/** What goes wrong while a simulated cluster runs: drawn from the seed, or aimed at its leaders. */
import type { Prng } from "../../src/lib/random.ts";
import { majority } from "../../src/raft/quorum.ts";
import type { EventQueue } from "./events.ts";
import type { SimNetwork } from "./network.ts";
import type { SwarmOptions } from "./options.ts";
import { coreOf, type SimNode } from "./sim-node.ts";

export interface TroublesDeps {
  readonly random: Prng;
  readonly events: EventQueue;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly options: SwarmOptions;
  readonly trace: (line: string) => void;
}

export class Troubles {
  private readonly deps: TroublesDeps;
  /** The newest term whose leader was looked at. */
  private newestTerm = 0;
  /** Counts partitions, so that one ends only itself. */
  private cuts = 0;

  constructor(deps: TroublesDeps) {
    this.deps = deps;
    for (const node of deps.nodes) node.clockRate = deps.random.pick(deps.options.clockRates);
  }

  /** From now on something goes wrong every now and then. */
  plan(): void {
    const { random, events, network, options } = this.deps;
    const { everyMs } = options.trouble;
    if (everyMs === 0) return;
    events.after(random.between(1, 2 * everyMs), () => {
      if (network.healed) return;
      this.trouble();
      this.plan();
    });
  }

  /** All links and disks work again; what is down comes up when what stopped it has meant to. */
  end(): void {
    const { network, nodes, trace } = this.deps;
    trace("peace");
    network.healed = true;
    network.partition([]);
    for (const node of nodes) node.releaseDisk();
  }

  /**
   * Leaders fall when it matters most: soon after their election, with entries that few have. Only
   * a row of such leaders leaves tails of different terms behind.
   */
  afterEvent(node: SimNode): void {
    const { random, events, network, options } = this.deps;
    const { deposePercent } = options;
    if (deposePercent === 0 || network.healed) return;
    const { role, term } = coreOf(node);
    if (role.kind !== "leader" || this.newestTerm >= term) return;
    this.newestTerm = term;
    if (!random.chance(deposePercent)) return;
    events.after(random.between(0, 4 * options.delayMaxMs + options.diskMaxMs), () => {
      if (!network.healed) this.depose(node);
    });
  }

  private depose(node: SimNode): void {
    const { random, events, network, nodes, trace } = this.deps;
    switch (random.below(4)) {
      case 0:
        return this.crash(node, "kill");
      case 1:
        return this.crash(node, "power");
      default: {
        // With it go less than half of the others, so that it goes on, and commits nothing.
        const others = nodes.filter((other) => other !== node);
        const few = random.below(Math.ceil(others.length / 2));
        const side = new Set([node, ...Array.from({ length: few }, () => random.pick(others))]);
        const links = linksWhere(nodes, (from, to) => side.has(from) !== side.has(to));
        trace(`${node.id} leads, and is cut off: ${links.join(" ")}`);
        network.partition(links);
        const cut = ++this.cuts;
        events.after(random.between(300, 2_000), () => {
          if (this.cuts === cut) network.partition([]);
        });
      }
    }
  }

  private trouble(): void {
    const { random, nodes, options } = this.deps;
    const { crashes, powerCuts, pauses, partitions, hungDisks } = options.trouble;
    const node = random.pick(nodes);
    switch (random.below(6)) {
      case 0:
        if (crashes) this.crash(node, "kill");
        return;
      case 1:
        if (powerCuts) this.crash(node, "power");
        return;
      case 2:
        // All machines lose power at once: only what is on disk counts.
        if (powerCuts && random.chance(20)) for (const each of nodes) this.crash(each, "power");
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
    this.lose(node);
    this.deps.events.after(this.deps.random.between(1, 3_000), () => {
      if (!node.isUp) node.start();
    });
  }

  /** As long as a majority of the nodes has lost nothing: from them all can be made good. */
  private lose(node: SimNode): void {
    const { random, nodes, options } = this.deps;
    if (!random.chance(options.trouble.lossesPercent)) return;
    const whole = nodes.filter((other) => other !== node && !other.hasLost).length;
    if (whole >= majority(nodes.length)) node.lose(random.pick(["disk", "bit", "bit"] as const));
  }

  private hang(node: SimNode): void {
    node.hangDisk();
    const { generation } = node;
    this.deps.events.after(this.deps.random.between(100, 4_000), () => {
      if (node.generation === generation) node.releaseDisk();
    });
  }

  private partition(): void {
    const { random, nodes, network, trace } = this.deps;
    const side = new Set(nodes.filter(() => random.chance(50)));
    const hub = random.pick(nodes);
    const place = new Map(nodes.map((node, at) => [node, at]));
    const distance = (a: SimNode, b: SimNode) =>
      Math.abs((place.get(a) ?? 0) - (place.get(b) ?? 0));
    const kinds: readonly Cut[] = [
      () => false,
      (from, to) => side.has(from) !== side.has(to),
      (from, to) => side.has(from) && !side.has(to),
      () => random.chance(30),
      // A star, and a chain: some see a quorum, others only one of those that do.
      (from, to) => from !== hub && to !== hub,
      (from, to) => distance(from, to) > 1,
      // One that speaks and does not hear.
      (_from, to) => to === hub,
    ];
    const links = linksWhere(nodes, random.pick(kinds));
    this.cuts += 1;
    trace(`partition ${links.join(" ")}`);
    network.partition(links);
  }
}

type Cut = (from: SimNode, to: SimNode) => boolean;

function linksWhere(nodes: readonly SimNode[], cut: Cut): string[] {
  const pairs = nodes.flatMap((from) => nodes.map((to) => [from, to] as const));
  return pairs.flatMap(([from, to]) => {
    return from !== to && cut(from, to) ? [`${from.id}>${to.id}`] : [];
  });
}
