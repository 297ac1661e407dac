/**
 * The bodies of answers, as the document of the API describes them. Strict: a test holds every
 * answer of the server against these, so that nothing is told that is not described.
 */
import { z } from "zod";

const revision = z
  .int()
  .nonnegative()
  .meta({ description: "of the store: one more with each write that changes something" });
const encoding = z
  .enum(["utf8", "base64"])
  .meta({ description: "base64 where the bytes are no text" });
const metadata = {
  version: z.int().min(1).meta({ description: "1 when the key is created, then 2, 3, …" }),
  create_revision: revision,
  mod_revision: revision,
};
const life = {
  lease: z.int().optional().meta({ description: "the lease that the key ends with" }),
  ttl_ms: z.int().nonnegative().optional().meta({ description: "for how long it still lives" }),
};
const named = {
  key: z.string(),
  key_encoding: z.literal("base64").optional(),
};

/** What `/keys/<key>/` answers. */
export const simpleValue = z
  .strictObject({ value: z.string() })
  .meta({ id: "SimpleValue", description: "A value and nothing else; the headers say the rest." });

/** A key with its value, and all that is known of it. */
export const keyValue = z
  .strictObject({ ...named, value: z.string(), encoding, ...metadata, ...life })
  .meta({ id: "KeyValue", description: "A key with its value, and all that is known of it." });

/** A key of a list. */
export const keyItem = z
  .strictObject({
    ...named,
    value: z.string().optional(),
    encoding: encoding.optional(),
    ...metadata,
    ...life,
  })
  .meta({
    id: "KeyItem",
    description: "A key of a list; keys_only leaves its value out.",
  });

/** What a put of a key answers. */
export const putResult = z
  .strictObject({ key: z.string(), ...metadata, ...life, prev: keyValue.nullable().optional() })
  .meta({
    id: "PutResult",
    description: "What the key is now, and with prev what it was: null where it is new.",
  });

const deleted = z.int().nonnegative().meta({ description: "how many keys are gone" });

/** What the deleting of a key, or of many, answers. */
export const deleteResult = z
  .strictObject({ deleted, revision, prev: keyValue.nullable().optional() })
  .meta({ id: "DeleteResult", description: "What is gone, and at which revision." });

/** A counter. */
export const counter = z
  .strictObject({ value: z.int(), ...metadata })
  .meta({ id: "Counter", description: "A counter after it has counted." });

/** A page of a list. */
export const list = z
  .strictObject({
    items: z.array(keyItem),
    prefixes: z.array(
      z.union([z.string(), z.strictObject({ key: z.string(), encoding: z.literal("base64") })]),
    ),
    cursor: z.string().nullable().meta({ description: "for the next page; null: there is none" }),
    revision,
    count: z
      .int()
      .nonnegative()
      .nullable()
      .meta({ description: "null where there are more pages: ask with count_only" }),
  })
  .meta({ id: "List", description: "Keys in bytewise order, as they were at one revision." });

/** What a batch of reads answers. */
export const batch = z
  .strictObject({ items: z.array(keyValue.nullable()), revision })
  .meta({ id: "Batch", description: "Keys in the order of the request; null: not there." });

const operationResult = z
  .union([
    z.strictObject({ put: z.strictObject({ ...metadata, prev: keyValue.optional() }) }),
    z.strictObject({
      get: z.strictObject({
        items: z.array(keyItem),
        count: z.int().nonnegative(),
        more: z.boolean().meta({ description: "there are more than these items" }),
      }),
    }),
    z.strictObject({
      delete: z.strictObject({
        deleted,
        prev: z.array(keyValue).optional(),
      }),
    }),
    z.strictObject({ increment: counter }),
  ])
  .meta({ id: "OperationResult", description: "What became of one operation." });

/** What a transaction answers. */
export const txnResult = z
  .strictObject({ succeeded: z.boolean(), revision, results: z.array(operationResult) })
  .meta({ id: "TxnResult", description: "Which list was done, and what became of each in it." });

const leaseFields = {
  id: z.int().min(1),
  ttl_ms: z.int().meta({ description: "for how long it was granted" }),
  deadline_ms: z.int().nonnegative().meta({ description: "in how many ms it ends" }),
};

/** A lease. */
export const lease = z
  .strictObject(leaseFields)
  .meta({ id: "Lease", description: "A lease: its keys live as long as it is renewed." });

/** A lease, and its keys where they were asked for. */
export const leaseWithKeys = z
  .strictObject({
    ...leaseFields,
    keys: z
      .array(
        z.union([
          z.string(),
          z.strictObject({ key: z.string(), key_encoding: z.literal("base64") }),
        ]),
      )
      .optional(),
    cursor: z.string().nullable().optional().meta({
      description: "beside the keys: for those that come next; null: these were the last",
    }),
  })
  .meta({ id: "LeaseWithKeys", description: "A lease, and its keys where they are asked for." });

/** A lock that is held. */
export const lock = z
  .strictObject({
    token: z.int().min(1).meta({ description: "greater than that of any earlier holder" }),
    owner: z.string(),
    key: z.string().meta({ description: "to compare in the transactions that it guards" }),
  })
  .meta({ id: "Lock", description: "A lock that is held, with its fencing token." });

/** How a lock is doing. */
export const lockState = z
  .strictObject({
    name: z.string(),
    holder: lock.nullable(),
    waiting: z.int().nonnegative().meta({ description: "how many wait for it" }),
  })
  .meta({ id: "LockState", description: "Who holds a lock, and how many wait for it." });

/** What the release of a lock answers. */
export const released = z
  .strictObject({ released: z.boolean().meta({ description: "false: it was not held so" }) })
  .meta({ id: "Released", description: "Whether the lock was held under this token." });

/** What a compaction answers. */
export const compacted = z
  .strictObject({
    compact_revision: z.int().meta({ description: "the oldest revision that can be read" }),
    revision,
  })
  .meta({ id: "Compacted", description: "What is left of the history." });

/** What a snapshot by hand answers. */
export const savedSnapshot = z
  .strictObject({
    index: z.int().min(1).meta({ description: "up to which entry of the log it reaches" }),
    bytes: z.int().min(1).meta({ description: "how long its file is" }),
  })
  .meta({ id: "SavedSnapshot", description: "A snapshot on the disk of the node." });

/** What a hash of the state answers. */
export const contentHash = z
  .strictObject({
    revision,
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .meta({ description: "the same on every node that has the same keys at this revision" }),
    compact_revision: z.int().nonnegative().meta({ description: "the oldest that can be read" }),
  })
  .meta({ id: "ContentHash", description: "A number for all that is there at a revision." });

/** The data of events of a watch, but for errors. */
export const watchEvent = z
  .union([
    z.strictObject({
      ...named,
      value: z.string(),
      encoding: z.literal("base64").optional(),
      ...metadata,
      prev: z.unknown().optional().meta({ description: "with prev=true: what the key was" }),
    }),
    z.strictObject({ ...named, mod_revision: revision, prev: z.unknown().optional() }),
    z.strictObject({ revision }),
  ])
  .meta({
    id: "WatchEvent",
    description: "The data of a put; of a delete or expire; of progress and synced.",
  });
