/** The bodies of errors, and of what a node says of itself, as the document describes them. */
import { z } from "zod";
import type { ErrorCode } from "../../service/errors.ts";
import { STATUS_CODES } from "../status-codes.ts";

/** All codes, in the order of their statuses. */
const CODES = Object.keys(STATUS_CODES) as [ErrorCode, ...ErrorCode[]];

/** The body of every error. */
export const errorBody = z
  .strictObject({
    code: z.enum(CODES),
    error: z.string().meta({ description: "one clear sentence, for people" }),
    retryable: z.boolean().meta({ description: "whether the same request may succeed later" }),
    outcome: z.enum(["not_applied", "unknown"]).meta({
      description: "not_applied: certainly nothing was changed; unknown: nobody knows",
    }),
    leader: z.string().nullable().meta({ description: "the name of the leader, where known" }),
    term: z.int().nonnegative(),
    request_id: z.string(),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({ id: "Error", description: "What went wrong, and what that means for a write." });

/** The body of an error that has one of these codes. */
export function errorOf(codes: readonly ErrorCode[]) {
  return z.intersection(errorBody, z.looseObject({ code: z.enum(codes) }));
}

const count = z.int().nonnegative();

/** What `/v1/status` answers. */
export const status = z
  .strictObject({
    name: z.string(),
    client_url: z.string(),
    version: z.string(),
    role: z.string().meta({ description: "leader, follower, candidate and the like" }),
    term: count,
    leader: z.string().nullable(),
    leader_url: z.string().nullable(),
    last_contact_ms: count.nullable(),
    in_doubt: z.boolean(),
    disk_hangs: z.boolean(),
    revision: count,
    compact_revision: count,
    keys: count,
    key_bytes: count,
    history_bytes: count,
    digest: z.strictObject({
      commands: count.meta({ description: "how many of them have made the state" }),
      chain: z.string().meta({ description: "over all of them, and what came of each" }),
      agreed: count.nullable().meta({ description: "how many a majority has confirmed" }),
    }),
    log: z.strictObject({
      first: count,
      last: count,
      committed: count,
      applied: count,
      snapshot: count,
      bytes: count,
    }),
    scrub: z.strictObject({ rounds: count, damages: count }),
    voters: z.array(z.string()),
    learners: z.array(z.string()),
    removed: z.boolean().meta({ description: "the cluster has it as a member no more" }),
    quarantined: z.boolean().meta({ description: "its state differed from the majority's" }),
    loop_delay_ms: z.strictObject({ p50: count, p99: count, max: count }),
    ready: z.boolean(),
  })
  .meta({ id: "Status", description: "How the node is doing." });

/** What `/version` answers. */
export const version = z
  .strictObject({ version: z.string(), api: z.literal("v1") })
  .meta({ id: "Version", description: "Of the program and of the API." });
