/**
 * Operators of a cluster: they ask one node or another for other members and another leader, all at
 * once and at bad moments. What comes of it is looked at elsewhere; here is only who asks for what.
 */
import { configurationAfter, type MemberChange } from "../../src/raft/change.ts";
import type { ChangeRefusal, ChangeTaken } from "../../src/raft/reconfigure.ts";
import type { Configuration, Index, NodeId, Term } from "../../src/raft/types.ts";
import type { Checker } from "./checker.ts";
import { couldGoOn } from "./configurations.ts";
import type { Joining } from "./joining.ts";
import type { SimNetwork } from "./network.ts";
import type { AskedChange, AskedTransfer, MemberWish } from "./schedule.ts";
import { leaderOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

export interface OperatorsDeps {
  /** One of each name. */
  readonly nodes: readonly SimNode[];
  readonly checker: Checker;
  readonly network: SimNetwork;
  readonly joining: Joining;
  readonly sometimes: Sometimes;
  readonly trace: (line: string) => void;
}

/** A change that a leader has begun. */
interface Begun {
  readonly index: Index;
  readonly term: Term;
  /** It began while links were cut. */
  readonly isCut: boolean;
}

export class Operators {
  private readonly deps: OperatorsDeps;
  /** Who was asked for a change and has not answered. */
  private readonly asking = new Map<SimNode, number>();
  private begun: Begun[] = [];

  constructor(deps: OperatorsDeps) {
    this.deps = deps;
  }

  /** A change may begin at any moment. */
  get isAsking(): boolean {
    return [...this.asking].some(([node, generation]) => node.generation === generation);
  }

  /** `then` is told of the node that has begun it. */
  change({ asked, wishes }: AskedChange, then: (node: SimNode) => void): void {
    const node = this.nodeAsked(asked);
    if (node !== null) this.changeAt(node, wishes, then);
  }

  /** Asks this node, and nobody else. */
  changeAt(node: SimNode, wishes: readonly MemberWish[], then: (node: SimNode) => void): void {
    const { generation } = node;
    node.run(generation, () => {
      const { life } = node;
      if (life === null) return;
      const config = life.raft.core.configuration;
      const changes = wishes.flatMap((wish) => this.changesFor(wish, config));
      if (changes.length === 0 || !this.isSensible(config, changes)) return;
      this.asking.set(node, generation);
      const { term } = life.raft.core;
      life.node.change(changes, (result) => {
        this.asking.delete(node);
        this.deps.trace(`${node.id} ${JSON.stringify(changes)}: ${JSON.stringify(result)}`);
        this.note(result, term);
        if ("index" in result) then(node);
      });
      for (const change of changes) if (change.type === "add") this.deps.joining.begin(change);
    });
  }

  /** `then` is told of the node that hands over. */
  transfer({ asked, to }: AskedTransfer, then: (node: SimNode) => void): void {
    const node = this.nodeAsked(asked);
    if (node === null) return;
    const target = to === null ? null : (this.deps.nodes[to]?.id ?? null);
    node.run(node.generation, () => {
      node.life?.node.transfer(target, (result) => {
        this.deps.trace(`${node.id} transfer to ${target}: ${JSON.stringify(result)}`);
        if (typeof result === "object" && result.target !== node.id) then(node);
      });
    });
  }

  /** What has become of the changes that were begun. */
  afterEvent(): void {
    const { checker, network, sometimes } = this.deps;
    const [oldest] = this.begun;
    if (oldest === undefined) return;
    this.begun = this.begun.filter(({ index, term, isCut }) => {
      const committed = checker.committedTermAt(index);
      if (committed === null) return true;
      if (committed !== term && isCut) {
        sometimes.saw("a change that began during a partition was lost");
      } else if (committed === term && isCut && network.isCut) {
        sometimes.saw("a change that began during a partition was committed during one");
      }
      return false;
    });
  }

  private nodeAsked(asked: number | null): SimNode | null {
    const { nodes } = this.deps;
    const node = asked === null ? leaderOf(nodes) : (nodes[asked] ?? null);
    return node?.isUp === true ? node : null;
  }

  /**
   * An operator can take away the only nodes that have lost nothing, and then nobody could ever
   * help the others. That is known, and not what is tried here.
   */
  private isSensible(config: Configuration, changes: readonly MemberChange[]): boolean {
    const target = configurationAfter(config, changes, 1 as Index);
    if ("problem" in target) return true;
    const { nodes } = this.deps;
    return couldGoOn(target, (id) => nodes.some((node) => node.id === id && node.hasLost));
  }

  /** With whom it makes sense; where that is nobody, with anybody. */
  private changesFor({ type, pick }: MemberWish, config: Configuration): MemberChange[] {
    const names = this.deps.nodes.map(({ id }) => id);
    const chosen = (suitable: readonly NodeId[]) => {
      const among = suitable.length > 0 ? suitable : names;
      return among[pick % among.length] as NodeId;
    };
    const members = config.members.map(({ id }) => id);
    switch (type) {
      case "join":
      case "add": {
        const isFree = (node: SimNode) => !node.isPresent && !members.includes(node.id);
        const free = this.deps.nodes.filter(isFree);
        const node = free[pick % free.length];
        if (node === undefined) return [];
        return [this.deps.joining.additionOf(node, { isJoining: type === "join" })];
      }
      case "promote":
        return [{ type, id: chosen(config.learners) }];
      case "demote":
        return [{ type, id: chosen(config.voters) }];
      case "remove":
        return [{ type, id: chosen(members) }];
      case "move": {
        const id = chosen(members);
        return [{ type, id, peerUrl: `${id}/moved/${pick}` }];
      }
      case "replace all":
        return [
          ...config.voters.map((id) => ({ type: "remove", id }) as const),
          ...config.learners.map((id) => ({ type: "promote", id }) as const),
        ];
    }
  }

  private note(result: ChangeTaken | ChangeRefusal, term: Term): void {
    const { network, sometimes } = this.deps;
    if ("index" in result) {
      this.begun.push({ index: result.index, term, isCut: network.isCut });
      return;
    }
    if (result.refused === "unsafe") sometimes.saw("a change was refused as unsafe");
    if (result.refused === "behind") sometimes.saw("a change was refused as behind");
    if (result.refused === "in_progress") sometimes.saw("a change was refused as in progress");
    if (result.refused === "not_ready") sometimes.saw("a change was refused as not ready");
  }
}
