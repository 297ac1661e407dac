/** Notices the rare states (sometimes.ts) of changing members, transfers and their leaders. */
import type { Core } from "../../src/raft/core.ts";
import { isJoint, isVoter, memberOf } from "../../src/raft/membership.ts";
import type { Configuration, Index, NodeId, Term } from "../../src/raft/types.ts";
import { type Configurations, whoIs } from "./configurations.ts";
import { coreOf, type SimNode } from "./sim-node.ts";
import type { Sometimes } from "./sometimes.ts";

/** What a node was like after its last event. */
interface Before {
  readonly generation: number;
  readonly role: string;
  readonly term: Term;
  readonly configuration: Configuration;
  readonly index: Index;
  readonly transferTo: NodeId | null;
}

/** The newest leader, as it was last seen. */
interface Leading {
  readonly node: SimNode;
  readonly generation: number;
  readonly term: Term;
  /** Which entry brought the joint configuration in force; null: it was not joint. */
  readonly joint: Index | null;
}

export class MemberStates {
  private readonly configurations: Configurations;
  private readonly sometimes: Sometimes;
  private readonly before = new Map<NodeId, Before>();
  private leading: Leading | null = null;
  /** A leader was elected with a joint configuration that a dead leader had begun. */
  private inherited: { readonly term: Term; readonly joint: Index } | null = null;
  /** The last leader that handed over: to whom, and in which term. */
  private handedOver: { readonly to: NodeId; readonly term: Term } | null = null;

  constructor(configurations: Configurations, sometimes: Sometimes) {
    this.configurations = configurations;
    this.sometimes = sometimes;
  }

  look(node: SimNode): void {
    const core = coreOf(node);
    const { configurations, role, term } = core;
    const { generation } = node;
    const before = this.before.get(node.id);
    const transferTo = role.kind === "leader" ? (role.transfer?.target ?? null) : null;
    const { current: configuration, index } = configurations;
    const now = { generation, role: role.kind, term, configuration, index, transferTo };
    if (before?.generation === generation) this.compare(core, before, now);
    if (role.kind === "leader") this.lookAtLeader(node, core);
    this.before.set(node.id, now);
  }

  private compare(core: Core, before: Before, now: Before): void {
    const { sometimes } = this;
    if (now.index < before.index && isJoint(before.configuration)) {
      sometimes.saw("a joint configuration was rolled back");
    }
    if (before.role === "leader") this.compareLeader(core, before, now);
    if (now.index > before.index && now.role === "leader") {
      const joined = before.configuration.members.filter(({ isJoining }) => isJoining);
      if (joined.some(({ id }) => now.configuration.voters.includes(id))) {
        sometimes.saw("a joining node was promoted");
      }
      this.lookForNewVoters(now.configuration);
    }
  }

  private compareLeader(core: Core, before: Before, now: Before): void {
    const { sometimes } = this;
    if (now.role === "leader") {
      if (before.transferTo !== null && now.transferTo === null) {
        sometimes.saw("a transfer was given up");
      }
      return;
    }
    if (before.transferTo !== null) this.handedOver = { to: before.transferTo, term: before.term };
    const isDone = core.log.committed >= now.index && now.term === before.term;
    if (isDone && !isVoter(now.configuration, core.id)) sometimes.saw("a leader removed itself");
  }

  private lookAtLeader(node: SimNode, core: Core): void {
    const { term, configuration, configurations, log } = core;
    const { sometimes, leading } = this;
    if (leading !== null && term < leading.term) return;
    const joint = isJoint(configuration) ? configurations.index : null;
    if (leading === null || term > leading.term) {
      const { handedOver } = this;
      if (handedOver?.to === core.id && term === handedOver.term + 1) {
        sometimes.saw("a transfer succeeded");
      }
      const hasDied = leading !== null && leading.generation !== leading.node.generation;
      const isInherited = hasDied && joint !== null && leading.joint === joint;
      this.inherited = isInherited ? { term, joint } : null;
    }
    this.leading = { node, generation: node.generation, term, joint };
    const { inherited } = this;
    if (inherited?.term !== term || joint !== null || log.committed < configurations.index) return;
    this.inherited = null;
    sometimes.saw("a leader died in a joint configuration, and another one left it");
  }

  private lookForNewVoters(configuration: Configuration): void {
    const { founding } = this.configurations;
    const isFounder = (id: NodeId) => {
      const member = memberOf(configuration, id);
      return member !== undefined && founding.voters.includes(id) && whoIs(member) === id;
    };
    if (isJoint(configuration) || configuration.voters.some(isFounder)) return;
    this.sometimes.saw("all voters were replaced");
  }
}
