/** The routes of many keys: lists, batches, transactions, watches. */
import { z } from "zod";
import { batchQuery } from "../batch-routes.ts";
import { batchBody } from "../body-schemas.ts";
import { listQuery } from "../list-routes.ts";
import { txnSchema } from "../txn-body.ts";
import { deleteQuery, txnQuery } from "../txn-routes.ts";
import { anyQuery } from "../watch-routes.ts";
import { batch, deleteResult, list, txnResult } from "./answers.ts";
import {
  BODY_ERRORS,
  events,
  json,
  NAMED_WRITE,
  NO_BODY_ERRORS,
  notModified,
  PAST_ERRORS,
  READ_ANSWER,
  READ_ERRORS,
  REQUEST,
  TXN_ANSWER,
  WRITE_ERRORS,
} from "./common.ts";
import type { Operation } from "./operation.ts";

const stream = z.string().meta({
  description:
    "Server-Sent Events: put, delete and expire with the key; progress, when everything up to a " +
    "revision was told; synced, after the keys of initial=true; error, and then the end. Only " +
    "the last event of a revision has an id: send it as Last-Event-ID to go on, at any node.",
});

export const manyOperations: readonly Operation[] = [
  {
    id: "listKeys",
    methods: ["get"],
    path: "/v1/kv",
    tag: "many keys",
    summary: "List keys in bytewise order",
    description:
      "The cursor of a page leads to the next one, at the same revision. " +
      "With since and wait it waits for a change under the prefix, and says 304 if none comes.",
    query: listQuery.schema,
    headers: [...REQUEST, "Prefer"],
    successes: { 200: json(list, READ_ANSWER), 304: notModified(READ_ANSWER) },
    errors: [...READ_ERRORS, ...PAST_ERRORS, "NOT_ACCEPTABLE", "TOO_MANY_WATCHERS"],
    example: { url: "/v1/kv?prefix=app/&limit=10" },
  },
  {
    id: "deleteKeys",
    methods: ["delete"],
    path: "/v1/kv",
    tag: "many keys",
    summary: "Delete many keys under one revision",
    description: "Takes a prefix that is not empty, or all=true.",
    query: deleteQuery.schema,
    headers: NAMED_WRITE,
    successes: { 200: json(deleteResult, [...TXN_ANSWER, "Quorate-Deleted"]) },
    errors: [...WRITE_ERRORS, "IDEMPOTENCY_CONFLICT", ...NO_BODY_ERRORS, "KEY_TOO_LONG"],
    example: { url: "/v1/kv?prefix=old/" },
  },
  {
    id: "transact",
    methods: ["post"],
    path: "/v1/txn",
    tag: "many keys",
    summary: "Compare, and do all of one list or all of the other",
    description:
      "At most 128 operations, 8 MiB in all; one entry of the log, and one revision. A compare " +
      "names exactly one of version, mod_revision, create_revision, lease, value and exists; a " +
      "get names a key or a prefix. What would read more than 20,000 keys or 8 MiB is refused " +
      "as a whole: use a list. An answer that comes again, under an Idempotency-Key, repeats no " +
      "values that were read: more says where there were some.",
    query: txnQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": txnSchema.meta({ id: "TxnRequest" }) },
    successes: { 200: json(txnResult, TXN_ANSWER) },
    errors: [
      ...WRITE_ERRORS,
      ...BODY_ERRORS,
      "INVALID_KEY",
      "KEY_TOO_LONG",
      "INVALID_VALUE",
      "LEASE_NOT_FOUND",
      "NOT_A_NUMBER",
      "TXN_FAILED",
      "READ_TIMEOUT",
      "IDEMPOTENCY_CONFLICT",
    ],
    example: {
      url: "/v1/txn",
      body: {
        compare: [{ key: "app/color", exists: true }],
        success: [{ put: { key: "app/color", value: "green" } }],
        failure: [{ get: { key: "app/color" } }],
      },
    },
  },
  {
    id: "getKeys",
    methods: ["post"],
    path: "/v1/batch/get",
    tag: "many keys",
    summary: "Read many keys in one view",
    query: batchQuery.schema,
    headers: REQUEST,
    body: { "application/json": batchBody },
    successes: { 200: json(batch, READ_ANSWER) },
    errors: [...READ_ERRORS, ...PAST_ERRORS, ...BODY_ERRORS, "INVALID_KEY", "KEY_TOO_LONG"],
    example: { url: "/v1/batch/get", body: { keys: ["app/color", "app/visits"] } },
  },
  {
    id: "watch",
    methods: ["get"],
    path: "/v1/watch",
    tag: "many keys",
    summary: "Be told of changes",
    description: "Takes a key or a prefix; prefix= stands for all keys.",
    query: anyQuery.schema,
    texts: { since: "begin after this revision of the store; now, unless it is said" },
    headers: ["Request-Id", "Quorate-Timeout-Ms", "Last-Event-ID"],
    successes: { 200: events(stream) },
    errors: [
      ...READ_ERRORS,
      "INVALID_KEY",
      "KEY_TOO_LONG",
      "REVISION_COMPACTED",
      "TOO_MANY_WATCHERS",
    ],
    example: { url: "/v1/watch?prefix=app/&since=0" },
    isStream: true,
  },
];
