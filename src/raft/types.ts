/** The words of Raft: who, where in the log, which term, and what must survive a crash. */
import { assert } from "../lib/assert.ts";
import type { Brand } from "../lib/brand.ts";

/** The name of a node: 1–64 characters of `A–Z a–z 0–9 . _ -`. */
export type NodeId = Brand<string, "NodeId">;
/** Position in the log. The first entry has index 1; 0 means "before the log". */
export type Index = Brand<number, "Index">;
/** Election epoch. At most one leader exists per term. */
export type Term = Brand<number, "Term">;
/** Monotonic milliseconds, from the node's own clock. Never compared across nodes. */
export type Millis = Brand<number, "Millis">;
/**
 * Milliseconds of leadership since the cluster began: leaders stamp entries with it, and it never
 * decreases along the log. It stands still while there is no leader, so a deadline expressed in it
 * grows by every leaderless gap, and is never early.
 */
export type ClusterTime = Brand<number, "ClusterTime">;

export function asIndex(value: number): Index {
  assert(Number.isSafeInteger(value) && value >= 0, () => `not an index: ${value}`);
  return value as Index;
}

export function asTerm(value: number): Term {
  assert(Number.isSafeInteger(value) && value >= 0, () => `not a term: ${value}`);
  return value as Term;
}

/** The names of nodes. */
export const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether `text` can name a node. */
export function isNodeId(text: string): text is NodeId {
  return NODE_ID.test(text);
}

/** What an election must remember over a crash: written before any reply that depends on it. */
export interface HardState {
  readonly term: Term;
  /** Who got this node's vote in `term`. */
  readonly vote: NodeId | null;
}

/** The place of one entry: no two entries of a cluster share index and term but are different. */
export interface Position {
  readonly index: Index;
  readonly term: Term;
}

/** What the cluster knows of a member, besides its part in decisions. */
export interface Member {
  readonly id: NodeId;
  /** Where the others reach it. */
  readonly peerUrl: string;
  /** The data directory that it joined with; empty: the one that is heard first. */
  readonly incarnation: string;
  /**
   * Which entry has made it a member; 0 for a founder. A name that was removed can be used again,
   * and this tells its lives apart (M8).
   */
  readonly since: Index;
  /** A learner that becomes a voter by itself, as soon as it has caught up. */
  readonly isJoining: boolean;
}

/**
 * Who decides. A decision needs a majority of `voters` and, while a change is under way (`outgoing`
 * not empty), a majority of `outgoing` too (§6, joint consensus). Learners receive the log and do
 * not count. A voter that becomes a learner is both, `outgoing` and learner, until the change ends.
 */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** All of them, each once, ordered by name. */
  readonly members: readonly Member[];
}

/** As much of a configuration as decides. */
export type Deciders = Pick<Configuration, "voters" | "outgoing">;

/** What a snapshot stands for: the state after applying the log up to and including `index`. */
export interface SnapshotMeta extends Position {
  /** Cluster time of the entry at `index`. */
  readonly time: ClusterTime;
  /** The configuration in force at `index`. */
  readonly configuration: Configuration;
}

/** Before the first entry. */
export const NOWHERE: Position = { index: 0 as Index, term: 0 as Term };
