/** The cluster as one node knows it: who its members are, and how far each of them is. */
import type { InForce } from "../node/node.ts";
import type { FollowerStatus } from "../raft/followers.ts";
import { isJoint } from "../raft/membership.ts";
import type { RaftStatus } from "../raft/raft.ts";
import type { Configuration, Member, NodeId } from "../raft/types.ts";

/** A member. */
export interface MemberView {
  readonly name: NodeId;
  /** `leaving`: it is a voter until the change that is under way is through, and then no member. */
  readonly role: "voter" | "learner" | "leaving";
  /** It votes with those before, until the change that is under way is through. */
  readonly outgoing: boolean;
  /** A learner that becomes a voter by itself. */
  readonly joining: boolean;
  readonly peerUrl: string;
  /** Null: not known here. */
  readonly clientUrl: string | null;
  /** Of its data directory; empty: of a founder, or not announced yet. */
  readonly incarnation: string;
  /** Which entry has made it a member; 0: a founder. */
  readonly since: number;
  /** Known to the leader alone; elsewhere null. */
  readonly progress: MemberProgress | null;
}

/** How far a member is. */
export interface MemberProgress {
  /** Its log is the leader's up to here. */
  readonly matched: number;
  /** How many entries of the leader's log it lacks. */
  readonly lag: number;
  /** Milliseconds since it was last heard. */
  readonly lastContactMs: number;
  /** It keeps up with the log: a learner that does can become a voter. */
  readonly keepsUp: boolean;
  /** It may have promised what it does not know, and does not count. */
  readonly inDoubt: boolean;
}

export interface ClusterView {
  readonly leader: NodeId | null;
  readonly term: number;
  /** Which entry brought the members as they are. */
  readonly configurationIndex: number;
  /** Up to which entry the log is committed. */
  readonly committed: number;
  /** A change of the members is under way. */
  readonly changing: boolean;
  /** In the order of their names. */
  readonly members: readonly MemberView[];
}

/** What a view is made from. */
export interface ViewSources {
  readonly inForce: InForce;
  readonly status: RaftStatus;
  readonly clientUrlOf: (id: NodeId) => string | null;
}

/** The cluster as it is at this moment. */
export function clusterView({ inForce, status, clientUrlOf }: ViewSources): ClusterView {
  const { configuration, index, isCommitted } = inForce;
  const { leader, term, committed, followers, lastIndex } = status;
  const progress = new Map(followers?.map((one) => [one.id, progressOf(one, lastIndex)]));
  return {
    leader,
    term,
    configurationIndex: index,
    committed,
    changing: isJoint(configuration) || !isCommitted,
    members: configuration.members.map((member) => ({
      name: member.id,
      role: roleOf(configuration, member),
      outgoing: configuration.outgoing.includes(member.id),
      joining: member.isJoining,
      peerUrl: member.peerUrl,
      clientUrl: clientUrlOf(member.id),
      incarnation: member.incarnation,
      since: member.since,
      progress: progress.get(member.id) ?? null,
    })),
  };
}

function roleOf({ voters, learners }: Configuration, { id }: Member): MemberView["role"] {
  if (voters.includes(id)) return "voter";
  return learners.includes(id) ? "learner" : "leaving";
}

function progressOf(follower: FollowerStatus, lastIndex: number): MemberProgress {
  const { matched, lastContactMs, keepsUp, inDoubt } = follower;
  return { matched, lag: lastIndex - matched, lastContactMs, keepsUp, inDoubt };
}
