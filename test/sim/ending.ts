/** What a cluster must come to when nothing goes wrong any more. */
import { isJoint } from "../../src/raft/membership.ts";
import type { Configuration } from "../../src/raft/types.ts";
import { whoIs } from "./configurations.ts";
import { coreOf, leaderOf, type SimNode } from "./sim-node.ts";

/** Somebody leads, no change is under way, and all voters have applied so much for certain. */
export function isCalm(nodes: readonly SimNode[], target: number): boolean {
  const config = settled(nodes);
  if (config === null) return false;
  const voters = membersAmong(nodes, config).filter(({ id }) => config.voters.includes(id));
  const isFar = (node: SimNode) => node.isUp && coreOf(node).log.applied >= target;
  return voters.length === config.voters.length && voters.every((n) => isFar(n) && !n.hasLost);
}

/** Whoever wanted to vote does, and all members have the same state. */
export function isEqual(nodes: readonly SimNode[]): boolean {
  const config = settled(nodes);
  if (config === null) return false;
  const members = membersAmong(nodes, config);
  const isJoining = ({ id }: SimNode) =>
    config.members.some((member) => member.id === id && member.isJoining);
  if (members.some((node) => !node.isUp || node.hasLost || isJoining(node))) return false;
  const states = members.map((node) => `${coreOf(node).log.applied} ${node.life?.store.digest}`);
  return new Set(states).size === 1;
}

/** The configuration that the leader knows to be committed; null: there is none yet. */
function settled(nodes: readonly SimNode[]): Configuration | null {
  const leader = leaderOf(nodes);
  if (leader === null) return null;
  const { configuration, configurations, log } = coreOf(leader);
  const isOpen = isJoint(configuration) || configurations.index > log.committed;
  return isOpen ? null : configuration;
}

/** The machines that are meant: a member may never have been started. */
function membersAmong(nodes: readonly SimNode[], { members }: Configuration): readonly SimNode[] {
  const who = new Set(members.map(whoIs));
  return nodes.filter((node) => node.isPresent && who.has(whoIs(node)));
}
