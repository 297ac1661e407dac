/** The routes of leases and locks. */
import { leaseBody, lockBody, lockRenewalBody } from "../body-schemas.ts";
import * as leases from "../lease-routes.ts";
import * as locks from "../lock-routes.ts";
import { deleteResult, lease, leaseWithKeys, lock, lockState, released } from "./answers.ts";
import {
  BODY_ERRORS,
  json,
  KEY_ERRORS,
  NAMED_WRITE,
  NO_BODY_ERRORS,
  READ_ERRORS,
  REPLAYED_ANSWER,
  REQUEST,
  WRITE_ERRORS,
} from "./common.ts";
import type { Operation } from "./operation.ts";

/** How long these take is bounded by the server, and by `wait`. */

const ofLeases: readonly Operation[] = [
  {
    id: "grantLease",
    methods: ["post"],
    path: "/v1/leases",
    tag: "leases",
    summary: "Grant a lease",
    description: "Keys that are put with ?lease= end with it. Its time stands without a leader.",
    query: leases.plainQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": leaseBody },
    successes: {
      201: json(lease, ["Location", ...REPLAYED_ANSWER], "it begins"),
    },
    errors: [...WRITE_ERRORS, ...BODY_ERRORS, "LEASE_EXISTS", "IDEMPOTENCY_CONFLICT"],
    example: { url: "/v1/leases", body: { id: 7, ttl: 30 } },
  },
  {
    id: "getLease",
    methods: ["get"],
    path: "/v1/leases/{id}",
    tag: "leases",
    summary: "Read how long a lease lives",
    description:
      "With ?keys=true also its keys, in their order: at most 1,000 of them and 256 KiB at once, " +
      "which may be fewer than the limit. The cursor of the answer asks for the next ones.",
    query: leases.getQuery.schema,
    headers: REQUEST,
    successes: { 200: json(leaseWithKeys) },
    errors: [...READ_ERRORS, "LEASE_NOT_FOUND", "INVALID_KEY"],
    example: { url: "/v1/leases/7?keys=true" },
  },
  {
    id: "renewLease",
    methods: ["put"],
    path: "/v1/leases/{id}",
    tag: "leases",
    summary: "Let a lease begin anew",
    query: leases.plainQuery.schema,
    headers: REQUEST,
    successes: { 200: json(lease) },
    errors: [...WRITE_ERRORS, "LEASE_NOT_FOUND", "INVALID_KEY", ...NO_BODY_ERRORS],
    example: { url: "/v1/leases/7" },
  },
  {
    id: "revokeLease",
    methods: ["delete"],
    path: "/v1/leases/{id}",
    tag: "leases",
    summary: "End a lease, and delete its keys",
    query: leases.plainQuery.schema,
    headers: NAMED_WRITE,
    successes: { 200: json(deleteResult, REPLAYED_ANSWER) },
    errors: [
      ...WRITE_ERRORS,
      "LEASE_NOT_FOUND",
      "INVALID_KEY",
      "IDEMPOTENCY_CONFLICT",
      ...NO_BODY_ERRORS,
    ],
    example: { url: "/v1/leases/7" },
  },
];

const ofLocks: readonly Operation[] = [
  {
    id: "takeLock",
    methods: ["post"],
    path: "/v1/locks/{name}",
    tag: "locks",
    summary: "Take a lock, or wait for it",
    description:
      "The token grows from holder to holder. Guard what the lock is for by a transaction " +
      "that compares the create_revision of the lock's key with the token. Who asks again under " +
      "the same owner, or without one under the same Idempotency-Key, finds what it has.",
    query: locks.plainQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": lockBody },
    successes: { 200: json(lock, REPLAYED_ANSWER) },
    errors: [
      ...WRITE_ERRORS,
      ...BODY_ERRORS,
      ...KEY_ERRORS,
      "READ_TIMEOUT",
      "LOCK_HELD",
      "IDEMPOTENCY_CONFLICT",
    ],
    example: { url: "/v1/locks/deploy", body: { owner: "me", ttl: 30 } },
  },
  {
    id: "getLock",
    methods: ["get"],
    path: "/v1/locks/{name}",
    tag: "locks",
    summary: "Read who holds a lock",
    query: locks.plainQuery.schema,
    headers: REQUEST,
    successes: { 200: json(lockState) },
    errors: [...READ_ERRORS, ...KEY_ERRORS],
    example: { url: "/v1/locks/deploy" },
  },
  {
    id: "renewLock",
    methods: ["put"],
    path: "/v1/locks/{name}",
    tag: "locks",
    summary: "Keep a lock for longer",
    query: locks.plainQuery.schema,
    headers: REQUEST,
    body: { "application/json": lockRenewalBody },
    successes: { 200: json(lock) },
    errors: [...WRITE_ERRORS, ...BODY_ERRORS, ...KEY_ERRORS, "READ_TIMEOUT", "LOCK_HELD"],
    example: { url: "/v1/locks/deploy", body: { token: 812, ttl: 30 } },
  },
  {
    id: "releaseLock",
    methods: ["delete"],
    path: "/v1/locks/{name}",
    tag: "locks",
    summary: "Give a lock back",
    query: locks.releaseQuery.schema,
    headers: NAMED_WRITE,
    successes: { 200: json(released, REPLAYED_ANSWER) },
    errors: [
      ...WRITE_ERRORS,
      ...KEY_ERRORS,
      "READ_TIMEOUT",
      "IDEMPOTENCY_CONFLICT",
      ...NO_BODY_ERRORS,
    ],
    example: { url: "/v1/locks/deploy?token=812" },
  },
];

export const leaseOperations: readonly Operation[] = [...ofLeases, ...ofLocks];
