/** What operators ask for. */
import { z } from "zod";
import { compactQuery, hashQuery, snapshotQuery } from "../admin-routes.ts";
import { backupQuery } from "../backup-route.ts";
import { compactBody } from "../body-schemas.ts";
import { compacted, contentHash, savedSnapshot } from "./answers.ts";
import {
  ANY_ERRORS,
  BODY_ERRORS,
  json,
  NAMED_WRITE,
  NO_BODY_ERRORS,
  PAST_ERRORS,
  READ_ANSWER,
  READ_ERRORS,
  REQUEST,
  WRITE_ERRORS,
} from "./common.ts";
import type { Operation } from "./operation.ts";

export const adminOperations: readonly Operation[] = [
  {
    id: "compact",
    methods: ["post"],
    path: "/v1/admin/compact",
    tag: "administration",
    summary: "Forget what was before a revision",
    query: compactQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": compactBody },
    successes: { 200: json(compacted, ["Idempotency-Replayed"]) },
    errors: [...WRITE_ERRORS, ...BODY_ERRORS, ...PAST_ERRORS, "IDEMPOTENCY_CONFLICT"],
    example: { url: "/v1/admin/compact", body: { revision: 1 } },
  },
  {
    id: "backup",
    methods: ["get"],
    path: "/v1/admin/backup",
    tag: "administration",
    summary: "Copy the whole state, as it is at one revision",
    description:
      "Bytes with checksums, which end with one over all of them: what ends without it is not " +
      "whole. `quorate backup` checks them, and `quorate restore` makes a new cluster of them.",
    query: backupQuery.schema,
    headers: REQUEST,
    successes: {
      200: {
        description: "a snapshot, until its end",
        headers: [...READ_ANSWER, "Quorate-Revision", "Content-Disposition"],
        content: {
          "application/octet-stream": z.string().meta({ description: "the bytes of a snapshot" }),
        },
      },
    },
    errors: [...READ_ERRORS, "NOT_ACCEPTABLE"],
    example: { url: "/v1/admin/backup" },
    isStream: true,
  },
  {
    id: "hash",
    methods: ["get"],
    path: "/v1/admin/hash",
    tag: "administration",
    summary: "One number for all that is there at a revision",
    description:
      "To compare nodes by: ask one, then the others with the revision that it has answered. " +
      "About a second for 200 MB; give it more time where there is more.",
    query: hashQuery.schema,
    headers: REQUEST,
    successes: { 200: json(contentHash, READ_ANSWER) },
    errors: [...READ_ERRORS, ...PAST_ERRORS, "NOT_ACCEPTABLE"],
    example: { url: "/v1/admin/hash" },
  },
  {
    id: "snapshot",
    methods: ["post"],
    path: "/v1/admin/snapshot",
    tag: "administration",
    summary: "Write a snapshot to the disk of this very node",
    description:
      "It has all that is applied on this node when it is asked for. Nodes do that by " +
      "themselves; by hand it shortens the next start.",
    query: snapshotQuery.schema,
    headers: ["Request-Id", "Quorate-Timeout-Ms"],
    successes: { 200: json(savedSnapshot) },
    errors: [
      ...ANY_ERRORS,
      ...NO_BODY_ERRORS,
      "NOT_READY",
      "SHUTTING_DOWN",
      "CORRUPT",
      "MEMBER_REMOVED",
      "READ_TIMEOUT",
    ],
    example: { url: "/v1/admin/snapshot" },
  },
];
