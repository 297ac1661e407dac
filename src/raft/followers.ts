/** What a leader knows of the others, for whoever looks after the cluster. */
import type { Core } from "./core.ts";
import type { Index, Millis, NodeId } from "./types.ts";

/** How far a member is, as its leader knows. */
export interface FollowerStatus {
  readonly id: NodeId;
  /** Its log is the leader's up to here, and on its disk. */
  readonly matched: Index;
  /** Milliseconds since it was last heard; at the leader itself 0. */
  readonly lastContactMs: number;
  /** It has had all that there was, within an election timeout, the last time this was measured. */
  readonly keepsUp: boolean;
  /** It may have promised what it does not know, and does not count. */
  readonly inDoubt: boolean;
}

/** All members, the leader itself among them. Null: this node does not lead. */
export function followersOf(core: Core, now: Millis): readonly FollowerStatus[] | null {
  const { role, id, log } = core;
  if (role.kind !== "leader") return null;
  const own = { id, matched: log.durable, lastContactMs: 0, keepsUp: true, inDoubt: false };
  const others = [...role.progress].map(([peer, { matched, heardAt, keepsUp, doubt }]) => ({
    id: peer,
    matched,
    lastContactMs: now - heardAt,
    keepsUp,
    inDoubt: doubt !== null,
  }));
  return [own, ...others];
}
