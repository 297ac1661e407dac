/** Members and leadership: who they are, and how that is changed. */
import type { Caller, CallOptions } from "./caller.ts";
import { keyOf } from "./checks.ts";
import { QuorateError } from "./error.ts";
import { camelCased } from "./status.ts";

/** A member, as the node that answered knows it. */
export interface Member {
  readonly name: string;
  /** `leaving`: a voter until the change that is under way is through, and then no member. */
  readonly role: "voter" | "learner" | "leaving";
  /** It votes with those before, until the change that is under way is through. */
  readonly outgoing: boolean;
  /** A learner that becomes a voter by itself, when it has caught up. */
  readonly joining: boolean;
  /** Where the other nodes reach it. */
  readonly peerUrl: string;
  /** Where clients find it; null: it has not said so yet. */
  readonly clientUrl: string | null;
  readonly incarnation: string;
  readonly since: number;
  /** How far it has the log. This and what follows only the leader knows: null elsewhere. */
  readonly matched: number | null;
  /** How many entries it lacks. */
  readonly lag: number | null;
  /** How long ago it was heard. */
  readonly lastContactMs: number | null;
  /** It keeps up with the log: a learner that does can be promoted. */
  readonly keepsUp: boolean | null;
  /** It has lost something, and counts for nothing until the others have made it good. */
  readonly inDoubt: boolean | null;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly leader: string | null;
  readonly term: number;
  /** Which entry of the log brought these members. */
  readonly configurationIndex: number;
  /** Up to which entry the log is committed. */
  readonly committed: number;
  /** A change of the members is under way. */
  readonly changing: boolean;
  readonly members: readonly Member[];
}

/** A member to be. */
export interface NewMember {
  readonly name: string;
  readonly peerUrl: string;
  /** A voter, the default, is a learner until it has caught up. */
  readonly role?: "voter" | "learner" | undefined;
}

/** Changes that are made in one step: all of them, or none. */
export interface MemberChanges {
  readonly add?: readonly NewMember[] | undefined;
  /** Learners that become voters. Each must keep up, or it is UNSAFE_CHANGE. */
  readonly promote?: readonly string[] | undefined;
  /** Voters that become learners. */
  readonly demote?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
  /** Members that the others reach elsewhere. */
  readonly move?: readonly { readonly name: string; readonly peerUrl: string }[] | undefined;
}

export interface LeaderStatus {
  readonly leader: string;
  /** Null: not known where the question was asked. */
  readonly clientUrl: string | null;
  readonly term: number;
}

const MEMBERS = "/v1/cluster/members";
const LEADER = "/v1/cluster/leader";

/**
 * Looks after a cluster, through whichever node answers. A change resolves when it is through, and
 * rejects with CONFIG_CHANGE_IN_PROGRESS, MEMBER_EXISTS, MEMBER_NOT_FOUND or UNSAFE_CHANGE where
 * the cluster does not take it.
 */
export class Cluster {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** As the leader knows it, where that answers at its client URL, or else any other node. */
  async status(options: CallOptions = {}): Promise<ClusterStatus> {
    const path = "/v1/cluster";
    const found = statusIn(await this.#caller.ask({ kind: "read", method: "GET", path }, options));
    const leader = found.members.find(({ name }) => name === found.leader);
    const isFromLeader = leader === undefined || leader.matched !== null;
    if (isFromLeader || leader.clientUrl === null) return found;
    try {
      const question = { method: "GET", path } as const;
      return statusIn(await this.#caller.askOne<object>(leader.clientUrl, question, options));
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return found; // Another may lead by now, or this one be out of reach for clients.
    }
  }

  /** The members, in the order of their names, as `status` finds them. */
  async members(options: CallOptions = {}): Promise<readonly Member[]> {
    return (await this.status(options)).members;
  }

  /** Adds a member. It need not run yet. */
  async add(member: NewMember, options: CallOptions = {}): Promise<ClusterStatus> {
    return this.#change({ method: "POST", path: MEMBERS, body: wireOf(member) }, options);
  }

  /** Removes a member: it answers no client any more. */
  async remove(name: string, options: CallOptions = {}): Promise<ClusterStatus> {
    return this.#change({ method: "DELETE", path: pathOf(name) }, options);
  }

  /** Makes a learner a voter, if it keeps up. */
  async promote(name: string, options: CallOptions = {}): Promise<ClusterStatus> {
    return this.#change({ method: "POST", path: `${pathOf(name)}/promote` }, options);
  }

  /** Makes a voter a learner. */
  async demote(name: string, options: CallOptions = {}): Promise<ClusterStatus> {
    return this.#change({ method: "POST", path: `${pathOf(name)}/demote` }, options);
  }

  /** Makes several changes in one step, such as the replacement of a member. */
  async change(changes: MemberChanges, options: CallOptions = {}): Promise<ClusterStatus> {
    const { add, promote, demote, remove, move } = changes;
    const body = { add: add?.map(wireOf), promote, demote, remove, move: move?.map(wireOf) };
    return this.#change({ method: "PATCH", path: MEMBERS, body }, options);
  }

  /** Who leads. */
  async leader(options: CallOptions = {}): Promise<LeaderStatus> {
    const call = { kind: "read", method: "GET", path: LEADER } as const;
    return camelCased(await this.#caller.ask<object>(call, options)) as LeaderStatus;
  }

  /** Hands leadership over, to whoever is furthest where no target is named. */
  async transfer(target?: string, options: CallOptions = {}): Promise<LeaderStatus> {
    const body = JSON.stringify({ target });
    const headers = { "content-type": "application/json" };
    const call = { kind: "same", method: "POST", path: LEADER, headers, body } as const;
    return camelCased(await this.#caller.ask<object>(call, options)) as LeaderStatus;
  }

  async #change(
    change: { method: "POST" | "PATCH" | "DELETE"; path: string; body?: object },
    options: CallOptions,
  ): Promise<ClusterStatus> {
    const { method, path } = change;
    const sent = change.body !== undefined && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(change.body),
    };
    return statusIn(await this.#caller.ask({ kind: "same", method, path, ...sent }, options));
  }
}

function statusIn(body: object): ClusterStatus {
  return camelCased(body) as ClusterStatus;
}

function wireOf({ name, peerUrl, role }: NewMember) {
  return { name, peer_url: peerUrl, role };
}

function pathOf(name: string): string {
  return `${MEMBERS}/${encodeURIComponent(keyOf("a name", name))}`;
}
