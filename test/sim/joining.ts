/**
 * Machines that come and go, as programs do it: a new one asks to be added, until a member tells it
 * that it is one, and starts only then. One that was removed goes on for a while, and is then shut
 * down; its name is free for another (M8).
 */
import type { Prng } from "../../src/lib/random.ts";
import type { MemberChange } from "../../src/raft/change.ts";
import { memberOf } from "../../src/raft/membership.ts";
import type { Configuration } from "../../src/raft/types.ts";
import type { Configurations } from "./configurations.ts";
import type { EventQueue } from "./events.ts";
import { leaderOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

export type Addition = Extract<MemberChange, { type: "add" }>;

export interface JoiningDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  /** One of each name. */
  readonly nodes: readonly SimNode[];
  readonly configurations: Configurations;
  readonly sometimes: Sometimes;
  /** A machine has come, or gone. */
  readonly onPresent: () => void;
}

const LOOK_MS = 100;
/** How often a machine asks to be added before its operator gives up. */
const ASKS_MAX = 20;
/** A machine that was removed is shut down so much later, at most. */
const FAREWELL_MS = 4_000;

export class Joining {
  private readonly deps: JoiningDeps;
  private readonly coming = new Set<SimNode>();
  private readonly leaving = new Set<SimNode>();

  constructor(deps: JoiningDeps) {
    this.deps = deps;
    this.lookLater();
  }

  /** What the next machine of that name asks for; at times it was only announced before. */
  additionOf(node: SimNode, { isJoining }: { readonly isJoining: boolean }): Addition {
    const { id } = node;
    const incarnation = this.deps.random.chance(20) ? "" : node.incarnation;
    return { type: "add", id, peerUrl: `${id}/${node.machine + 1}`, incarnation, isJoining };
  }

  /** A machine is set up that wants to be added so. */
  begin(addition: Addition): void {
    const node = this.deps.nodes.find(({ id }) => id === addition.id);
    if (node === undefined || node.isPresent || this.coming.has(node)) return;
    this.coming.add(node);
    this.askLater(node, { ...addition, incarnation: node.incarnation }, ASKS_MAX);
  }

  private askLater(node: SimNode, addition: Addition, asks: number): void {
    this.deps.events.after(LOOK_MS, () => {
      const told = this.toldBySomebody();
      const member = told === null ? undefined : memberOf(told, node.id);
      if (told !== null && member?.incarnation === addition.incarnation) {
        return this.come(node, told);
      }
      if (asks === 0) return void this.coming.delete(node);
      if (asks < ASKS_MAX) this.ask(addition);
      this.askLater(node, addition, asks - 1);
    });
  }

  private ask(addition: Addition): void {
    const leader = leaderOf(this.deps.nodes);
    leader?.run(leader.generation, () => leader.life?.node.change([addition], () => {}));
  }

  private come(node: SimNode, bootstrap: Configuration): void {
    const { sometimes, onPresent } = this.deps;
    this.coming.delete(node);
    if (node.machine > 0) sometimes.saw("a name came back with another machine");
    node.join(bootstrap);
    onPresent();
  }

  /** What some member that runs knows for certain, which may be old. */
  private toldBySomebody(): Configuration | null {
    const { random, nodes, configurations } = this.deps;
    const members = nodes.filter((node) => node.isUp && !configurations.hasLeft(node));
    if (members.length === 0) return null;
    return random.pick(members).life?.node.committedMembers().configuration ?? null;
  }

  private lookLater(): void {
    this.deps.events.after(LOOK_MS, () => {
      this.lookForRemoved();
      this.lookLater();
    });
  }

  private lookForRemoved(): void {
    const { nodes, configurations, events, random, onPresent } = this.deps;
    for (const node of nodes) {
      if (!node.isPresent || this.leaving.has(node) || !configurations.hasLeft(node)) continue;
      this.leaving.add(node);
      events.after(random.between(0, FAREWELL_MS), () => {
        this.leaving.delete(node);
        node.leave();
        onPresent();
      });
    }
  }
}
