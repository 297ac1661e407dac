/** The bodies of answers about the cluster, as the document of the API describes them. */
import { z } from "zod";

const count = z.int().nonnegative();
const atLeader = "known to the leader alone, and null elsewhere";

/** A member. */
export const member = z
  .strictObject({
    name: z.string(),
    role: z
      .enum(["voter", "learner", "leaving"])
      .meta({ description: "leaving: a voter that is no member when the change is through" }),
    outgoing: z
      .boolean()
      .meta({ description: "it votes with those before, until the change is through" }),
    joining: z.boolean().meta({ description: "it becomes a voter when it has caught up" }),
    peer_url: z.string().meta({ description: "where the other nodes reach it" }),
    client_url: z
      .string()
      .nullable()
      .meta({ description: "as it says itself; null where it has not been heard yet" }),
    incarnation: z
      .string()
      .meta({ description: "of its data directory; empty: of whichever was heard first" }),
    since: count.meta({ description: "which entry has made it a member; 0: a founder" }),
    matched: count.nullable().meta({ description: `how far it has the log; ${atLeader}` }),
    lag: count.nullable().meta({ description: `how many entries it lacks; ${atLeader}` }),
    last_contact_ms: count.nullable().meta({ description: `when it was heard; ${atLeader}` }),
    keeps_up: z
      .boolean()
      .nullable()
      .meta({ description: `it keeps up with the log, and could vote; ${atLeader}` }),
    in_doubt: z
      .boolean()
      .nullable()
      .meta({ description: `it has lost something, and does not count; ${atLeader}` }),
  })
  .meta({ id: "Member", description: "A member, as the node that answers knows it." });

/** All of them. */
export const members = z
  .strictObject({ members: z.array(member) })
  .meta({ id: "Members", description: "The members, in the order of their names." });

/** The cluster. */
export const cluster = z
  .strictObject({
    cluster_id: z.string(),
    leader: z.string().nullable(),
    term: count,
    configuration_index: count.meta({ description: "which entry brought these members" }),
    committed: count.meta({ description: "up to which entry the log is committed" }),
    changing: z.boolean().meta({ description: "a change of the members is under way" }),
    members: z.array(member),
  })
  .meta({ id: "Cluster", description: "The cluster, as the node that answers knows it." });

/** Who leads. */
export const leader = z
  .strictObject({ leader: z.string(), client_url: z.string().nullable(), term: count })
  .meta({ id: "Leader", description: "Who leads, and where clients find it, where known." });
