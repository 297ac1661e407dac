/**
 * What JSON bodies may hold. The names of their fields are checked by these schemas; the routes
 * check the values, each with a code and a sentence of its own, and a test holds the two together.
 */
import { z } from "zod";
import { BATCH_KEYS_MAX } from "./limits.ts";

const TTL_MIN_S = 0.1;
/** A hundred years. */
const TTL_MAX_S = 100 * 366 * 24 * 3_600;
const SECONDS = /^\d{1,10}(\.\d{1,9})?$/;

const id = z.int().min(1);
const encoding = z
  .enum(["utf8", "base64"])
  .meta({ description: "how the text stands for bytes; utf8 unless it is said" });
const seconds = z
  .union([z.number().min(TTL_MIN_S).max(TTL_MAX_S), z.string().regex(SECONDS)])
  .meta({
    description: "a time in seconds, with decimals if need be, of 0.1 s to a hundred years",
  });

/** What `PUT /keys/<key>/` takes. */
export const valueBody = z
  .strictObject({
    value: z.string().meta({ description: "of at most 1 MiB in UTF-8" }),
    version: z
      .int()
      .nonnegative()
      .optional()
      .meta({ description: "the version that the key must have; 0: it must not exist" }),
    ttl: z
      .union([seconds, z.literal("keep")])
      .optional()
      .meta({ description: "how long the key lives, in seconds; keep: as long as before" }),
    lease: id.optional().meta({ description: "the id of a lease: the key ends with it" }),
  })
  .meta({ id: "Value", description: "A value, and under which terms it is to be written." });

/** What `PUT /v1/kv/<key>` takes as JSON. */
export const kvBody = valueBody
  .extend({ encoding: encoding.optional() })
  .meta({ id: "PutRequest", description: "As Value, but base64 can stand for any bytes." });

/** A key as `POST /v1/batch/get` names it, where it is no text. */
export const keyBody = z.strictObject({ key: z.string().min(1), encoding: encoding.optional() });

/** What `POST /v1/batch/get` takes. */
export const batchBody = z
  .strictObject({
    keys: z
      .array(z.union([z.string().min(1), keyBody]))
      .max(BATCH_KEYS_MAX)
      .meta({ description: "of 1 to 4096 bytes each; those that are no text in base64" }),
  })
  .meta({ id: "BatchRequest", description: "The keys to read." });

/** What `POST /v1/leases` takes. */
export const leaseBody = z
  .strictObject({
    ttl: seconds,
    id: id.optional().meta({ description: "an id to take; the server finds one otherwise" }),
  })
  .meta({ id: "LeaseRequest", description: "A lease to grant." });

/** What `POST /v1/locks/<name>` takes. */
export const lockBody = z
  .strictObject({
    owner: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .meta({ description: "who asks: the same owner has the same lock when it asks again" }),
    ttl: seconds,
    wait: z
      .union([z.number().min(0).max(60), z.string()])
      .optional()
      .meta({ description: "how long to wait for the lock: seconds, or a time such as 5s" }),
  })
  .meta({ id: "LockRequest", description: "A lock to take." });

/** What `PUT /v1/locks/<name>` takes. */
export const lockRenewalBody = z
  .strictObject({ token: id, ttl: seconds })
  .meta({ id: "LockRenewal", description: "A lock to keep for longer." });

/** What `POST /v1/admin/compact` takes. */
export const compactBody = z
  .strictObject({
    revision: z.int().min(1).meta({ description: "the oldest that is to be readable after it" }),
  })
  .meta({ id: "CompactRequest", description: "How much of the history to forget." });
